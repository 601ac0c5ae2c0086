"""The table of keras.applications in docs/folding.md, which `tests.bench.keras_applications --write` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Cell", "Row", "read_rows", "table_lines", "write_rows"]

_PAGE = Path(__file__).parents[2] / "docs" / "folding.md"
_BEGIN, _END = "<!-- keras-applications -->", "<!-- /keras-applications -->"
_HEAD = "| network | batch norms | folded | Keras | left | Keras | nodes | Keras | difference | Keras |"


@dataclass(frozen=True)
class Cell:
    """What a tool made of a network.

    Attributes:
        folded: Batch norms of which nothing is left.
        left: Affine ops with a vector that are left.
        nodes: Nodes of the ONNX graph; 0 where the tool gave none.
        parity: The largest difference to Keras relative to the largest output, or what is wrong.
    """

    folded: int
    left: int
    nodes: int
    parity: float | str

    def texts(self) -> tuple[str, ...]:
        """As they are in the table."""
        if not self.nodes:
            return ("", "", "", str(self.parity))
        difference = self.parity if isinstance(self.parity, str) else f"{self.parity:.0e}"
        return str(self.folded), str(self.left), str(self.nodes), difference


@dataclass(frozen=True)
class Row:
    """A network: its batch norms, and what each tool made of it."""

    norms: int
    ours: Cell
    theirs: Cell

    def written(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Row:
        """From what `written` gave."""
        return cls(data["norms"], Cell(**data["ours"]), Cell(**data["theirs"]))


def table_lines(rows: Mapping[str, Row]) -> list[str]:
    """In Markdown."""
    return [_HEAD, "|---|" + "---:|" * (_HEAD.count("|") - 2), *(_line(*item) for item in sorted(rows.items()))]


def _line(name: str, row: Row) -> str:
    pairs = zip(row.ours.texts(), row.theirs.texts(), strict=True)
    return f"| {name} | {row.norms} | " + " | ".join(f"{ours} | {theirs}" for ours, theirs in pairs) + " |"


def write_rows(rows: Mapping[str, Row], legend: str, path: Path = _PAGE) -> None:
    """Puts the table between the two comments. ValueError if they aren't there."""
    before, text = path.read_text().split(_BEGIN)
    after = text.split(_END)[1]
    path.write_text(before + "\n".join([_BEGIN, legend, "", *table_lines(rows), _END]) + after)


def read_rows(path: Path = _PAGE) -> dict[str, list[str]]:
    """The cells of the table that is there, by network. ValueError or IndexError if there is none."""
    block = path.read_text().split(_BEGIN)[1].split(_END)[0]
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines[2:]}
