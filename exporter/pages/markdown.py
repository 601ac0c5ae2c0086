"""A page as Markdown, with tables as GitHub shows them; what plots show is in the tables."""

from __future__ import annotations

import re

from exporter.pages.page import MADE_BY, Page, text_of

__all__ = ["markdown_page"]


def markdown_page(page: Page) -> str:
    """The whole page."""
    lines = [
        f"<!-- {MADE_BY} -->",
        "",
        f"# {_text(page.title)}",
        "",
        f"**{_text(page.mark.word)}**: {_text(page.summary)}",
        "",
    ]
    lines += [line for note in page.notes for line in (f"- {_text(note)}",)]
    for section in page.sections:
        lines += ["", f"## {_text(section.title)}", ""]
        for text in section.text:
            lines += [_text(text), ""]
        if section.facts:
            lines += [*(f"- {_text(fact.name)}: {_text(fact.value)}" for fact in section.facts), ""]
        for table in section.tables:
            lines += [_row([_text(name) for name in table.head]), _row(["---" for _ in table.head])]
            lines += [*(_row([_text(text_of(cell)) for cell in row]) for row in table.rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Text that means itself: names have underscores and stars, and may have line ends."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
