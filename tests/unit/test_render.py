"""Reports as people read them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from exporter.inspection import Inspection
from exporter.render import render_inspection, render_report
from exporter.report import Decision, Report

_STATISTICS = Decision("statistics", "bn", "moving_mean and moving_variance", "updated by the graph")
_DROPOUT = Decision("dropout", "drop", "identity", "dropout")


def _report(*decisions: Decision) -> str:
    out = io.StringIO()
    report = Report("model", "a kind", (), (), (), (), decisions, ("look out",), ("a note",), (), 1.0)
    render_report(report, Console(file=out, width=160))
    return out.getvalue()


def _inspection(*decisions: Decision) -> str:
    out = io.StringIO()
    render_inspection(Inspection("model", "a kind", decisions=decisions), Console(file=out, width=160))
    return out.getvalue()


@pytest.mark.parametrize(("render", "title"), [(_report, "decided"), (_inspection, "an export decides")])
def test_statistics_are_no_rows_of_the_decisions(render: object, title: str) -> None:
    """They are in the table of batch norms: a table of the others is there only if there are others."""
    assert callable(render)
    assert title not in render(_STATISTICS)
    shown = render(_STATISTICS, _DROPOUT)
    assert title in shown
    assert "identity" in shown
    assert "moving_mean" not in shown


def test_notes_and_warnings_are_shown() -> None:
    """Each on a line of its own."""
    lines = _report().splitlines()
    assert "  a note" in lines
    assert "warning: look out" in lines
