"""The option `--report` of commands: checked before any work, written after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from exporter.report.records import Report
    from exporter.verify.verdict import Verdict

__all__ = ["check_report", "report_option", "write_asked_report"]

_TARGET = "ckpt2onnx.report"
"""The entry of the context's `meta`."""


def _note(context: click.Context, _: click.Parameter, target: Path | None) -> None:
    context.meta[_TARGET] = target


report_option = click.option(
    "--report",
    type=click.Path(path_type=Path),
    callback=_note,
    expose_value=False,
    metavar="FILE",
    show_default="none",
    help="Write a page to sign: FILE.html, .md, .json, or .xml (JUnit).",
)


def check_report(context: click.Context, *read: Path | None) -> None:
    """Whether a report, if one is asked for, can be written without touching what is read.

    Raises:
        UsageError: It can't be.
    """
    target: Path | None = context.meta[_TARGET]
    if target is not None:
        from exporter.pages.writing import check_report_path
        from exporter.sources.detect import source_files

        check_report_path(target, [file for path in read if path is not None for file in source_files(path)])


def write_asked_report(context: click.Context, found: Report | Verdict) -> None:
    """Writes it, if one is asked for."""
    target: Path | None = context.meta[_TARGET]
    if target is not None:
        from exporter.pages.writing import write_report

        write_report(found, target)
