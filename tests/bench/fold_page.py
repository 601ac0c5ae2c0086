"""The table of folds in docs/folding.md, between two comments; `tests.bench.fold_table --write` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGE", "Table", "read_table", "write_table"]

PAGE = Path(__file__).parents[2] / "docs" / "folding.md"

_BEGIN, _END = "<!-- fold-table -->", "<!-- /fold-table -->"
_TOTAL = "**folded as far as is exact**"


@dataclass(frozen=True)
class Table:
    """What is folded, by whom.

    Attributes:
        columns: The tools.
        rows: For each pattern how many affine ops an exact fold leaves, and the cells; "" where a tool can't be asked.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[int, tuple[str, ...]]]

    def totals(self) -> tuple[str, ...]:
        """As in `8 of 16`, for each tool."""
        cells = zip(*(row for _, row in self.rows.values()), strict=True)
        return tuple(f"{column.count('F')} of {len(column) - column.count('')}" for column in cells)

    def column(self, name: str) -> dict[str, tuple[int, str]]:
        """What an exact fold leaves, and a tool's cell, by pattern."""
        index = self.columns.index(name)
        return {pattern: (left, cells[index]) for pattern, (left, cells) in self.rows.items()}

    def lines(self) -> list[str]:
        """In Markdown."""
        head = [_line(["pattern", "left", *self.columns]), "|---|---:|" + "---|" * len(self.columns)]
        body = [_line([name, str(left), *cells]) for name, (left, cells) in self.rows.items()]
        return [*head, *body, _line([_TOTAL, "", *self.totals()])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_table(table: Table, legend: str, path: Path = PAGE) -> None:
    """Puts the table, its totals first, between the two comments. ValueError if they aren't there."""
    before, text = path.read_text().split(_BEGIN)
    after = text.split(_END)[1]
    totals = [_line(["", *table.columns]), "|---|" + "---|" * len(table.columns), _line([_TOTAL, *table.totals()])]
    summary = f"<details><summary>All {len(table.rows)} patterns</summary>"
    block = [_BEGIN, *totals, "", summary, "", legend, "", *table.lines(), "", "</details>", _END]
    path.write_text(before + "\n".join(block) + after)


def read_table(path: Path = PAGE) -> Table:
    """The table that is there. ValueError if there is none."""
    block = path.read_text().split(_BEGIN)[1].split(_END)[0]
    lines = [_cells(line) for line in block.splitlines() if line.startswith("|")]
    start = next(number for number, cells in enumerate(lines) if cells[0] == "pattern")
    rows = {cells[0]: (int(cells[1]), tuple(cells[2:])) for cells in lines[start + 2 : -1]}
    return Table(tuple(lines[start][2:]), rows)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]
