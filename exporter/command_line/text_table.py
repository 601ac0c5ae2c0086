"""Tables as lines of text: a row is one line, and no name is broken or cut."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

__all__ = ["common_scope", "table", "wrapped"]

_GAP = "  "
_NARROWEST = 24


def table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], width: int | None, *, spare: Sequence[int] = ()
) -> list[str]:
    """A title, a heading, and the rows in columns; the last column is prose.

    Args:
        title: What is shown.
        head: The columns' names.
        rows: The cells.
        width: How many characters fit into a line; None for lines of any length.
        spare: Columns that are left out, in this order, until the others fit.

    Returns:
        Lines. Where they don't fit, the prose is wrapped between words, below its column or, where that is too narrow,
        below the row; names are longer than the width rather than broken.
    """
    cells = [list(row) for row in rows]
    kept = list(range(len(head)))
    for column in spare:
        if width is not None and _width(head, cells, kept) > width:
            kept.remove(column)
    columns = [[head[i], *(row[i] for row in cells)] for i in kept]
    sizes = [max(map(len, column)) for column in columns]
    lines = [title]
    for row in zip(*columns, strict=True):
        lines += _line(row, sizes, width)
    return lines


def _width(head: Sequence[str], rows: Sequence[Sequence[str]], kept: Sequence[int]) -> int:
    """How wide the columns are at least: prose can be wrapped."""
    sizes = [max(len(row[i]) for row in (head, *rows)) for i in kept]
    if any(" " in row[kept[-1]] for row in rows):
        sizes[-1] = min(sizes[-1], _NARROWEST)
    return sum(size + len(_GAP) for size in sizes)


def _line(row: Sequence[str], sizes: Sequence[int], width: int | None) -> list[str]:
    before = "".join(_GAP + cell.ljust(size) for cell, size in zip(row[:-1], sizes, strict=False))
    whole = f"{before}{_GAP}{row[-1]}".rstrip()
    if width is None or len(whole) <= width:
        return [whole]
    if len(before.rstrip()) > width:
        return _packed(row, width)
    room = width - len(before) - len(_GAP)
    if room >= _NARROWEST:
        first, *rest = _words(row[-1], room)
        return [f"{before}{_GAP}{first}", *(" " * (len(before) + len(_GAP)) + line for line in rest)]
    return [before.rstrip(), *(_GAP * 3 + line for line in _words(row[-1], max(width - 6, _NARROWEST)))]


def _packed(row: Sequence[str], width: int) -> list[str]:
    """Cells one after another, those that don't fit on further lines."""
    lines = [""]
    for cell in (*row[:-1], *row[-1].split()):
        gap = _GAP if cell in row else " "
        if lines[-1].strip() and len(lines[-1]) + len(gap) + len(cell) > width:
            lines.append(_GAP * 2)
        lines[-1] += gap + cell
    return lines


def wrapped(text: str, width: int | None) -> list[str]:
    """A paragraph in lines, broken between words."""
    return [text] if width is None else _words(text, max(width, _NARROWEST), indent="  ")


def _words(text: str, width: int, indent: str = "") -> list[str]:
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def common_scope(names: Sequence[str]) -> str:
    """The scopes that all names begin with, `a/b/`; nothing for a single name."""
    if len(names) < 2:
        return ""
    split = [name.split("/")[:-1] for name in names]
    count = 0
    while all(len(parts) > count for parts in split) and len({parts[count] for parts in split}) == 1:
        count += 1
    return "".join(f"{part}/" for part in split[0][:count])
