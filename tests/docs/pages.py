"""The project's documents, and what can be read out of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PAGES", "README", "ROOT", "blocks", "commands", "links"]

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", ROOT / "runtime" / "FORMAT.md", *sorted((ROOT / "docs").glob("*.md")))
"""All documents; the README first, as the commands of the other pages may use what its commands leave."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the contents of a page's code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command of a page's shell blocks, in order."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (shlex.split(part) for part in line.split("&&"))


def links(page: Path) -> list[str]:
    """Return the targets of a page's links, but for those on the web."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: list[str] = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if "://" not in target]
