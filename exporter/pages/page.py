"""What a page consists of, whatever it is written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["MADE_BY", "Cell", "Chart", "Fact", "Mark", "Page", "Section", "Series", "Table", "text_of"]

MADE_BY = "ckpt2onnx report"
"""Stands in every file that is written, so that it can be told from others."""


@dataclass(frozen=True)
class Mark:
    """A word that says whether something is as it should be.

    Attributes:
        word: The word.
        tone: `good`, `bad`, `doubtful` or `plain`.
    """

    word: str
    tone: str


Cell = str | int | float | Mark | None
"""A cell of a table; None is empty."""


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes:
        name: What a row is, in the plural.
        head: The names of the columns; the first one names the row.
        rows: As many cells in each.
    """

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Series:
    """One of the things that a chart shows of each of its items.

    Attributes:
        name: What it is.
        values: For each item a number, None where there is none; or its lowest, middle and highest number.
        tone: `good`, `bad`, `doubtful`, `plain`, or `first`, `second`, `third` to tell series apart.
    """

    name: str
    values: Sequence[float | tuple[float, float, float] | None]
    tone: str


@dataclass(frozen=True)
class Chart:
    """A plot of many items in order.

    Attributes:
        kind: `dots` and `ranges` on a logarithmic axis, or `bars`, whose parts are stacked and add up to 1.
        title: What is seen.
        items: The names of the items, from left to right.
        series: What is shown of each.
        line: A level that is drawn across.
        line_name: What it is.
    """

    kind: str
    title: str
    items: Sequence[str]
    series: Sequence[Series]
    line: float | None = None
    line_name: str = ""


@dataclass(frozen=True)
class Fact:
    """A name and what it is, in words."""

    name: str
    value: str


@dataclass(frozen=True)
class Section:
    """A part of a page, in the order of its attributes.

    Attributes:
        title: Its heading.
        text: Paragraphs.
        charts: Plots.
        facts: Names and values.
        tables: Tables.
    """

    title: str
    text: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Page:
    """All of it.

    Attributes:
        title: What it is about.
        mark: The result in a word.
        summary: The result in a sentence.
        notes: What else has to be known before anything is believed.
        sections: The rest.
    """

    title: str
    mark: Mark
    summary: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def text_of(cell: Cell) -> str:
    """A cell as text; numbers that aren't whole with three digits."""
    if cell is None:
        return ""
    if isinstance(cell, Mark):
        return cell.word
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
