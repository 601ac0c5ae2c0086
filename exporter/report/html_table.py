"""Tables in HTML for notebooks: no script, no style but the notebook's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_table"]

_MOST = 60


def html_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows of any values, escaped; at most 60 of them, and how many more there are."""
    found = list(rows)
    lines = [f"<table><caption style='text-align: left; white-space: pre-line'>{escape(caption)}</caption>"]
    if head:
        lines.append(f"<thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr></thead>")
    body = [f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in found[:_MOST]]
    if len(found) > _MOST:
        body.append(f"<tr><td colspan={max(len(head), 1)}>and {len(found) - _MOST} more</td></tr>")
    return "\n".join([*lines, "<tbody>", *body, "</tbody></table>"])
