"""The page of an export."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.pages.page import Fact, Mark, Page, Section
from exporter.pages.provenance import Provenance
from exporter.pages.source_sections import file_sections, source_sections, tensors_table
from exporter.report.records import Report, SelfCheck

__all__ = ["report_page"]


def report_page(report: Report, made: Provenance) -> Page:
    """What was exported, what became of each batch norm, what was decided, and what the export's own check found."""
    norms = (
        f"{report.folded} of {len(report.batch_norms)} batch norms folded" if report.batch_norms else "no batch norms"
    )
    warnings = f"{len(report.warnings)} warning{'' if len(report.warnings) == 1 else 's'}"
    return Page(
        f"Export of {report.source}",
        _mark(report),
        f"{report.kind}; {norms}; {warnings}.",
        report.notes,
        tuple(_sections(report, made)),
    )


def _mark(report: Report) -> Mark:
    if report.check is None or report.check.left_out is not None:
        return Mark("exported, not checked", "doubtful")
    if report.check.taken_back or report.warnings:
        return Mark("exported, with remarks", "doubtful")
    return Mark("exported and checked", "good")


def _sections(report: Report, made: Provenance) -> Iterator[Section]:
    yield Section("Inputs and outputs", tables=(tensors_table(report.inputs, report.outputs),))
    if report.check is not None:
        yield Section("Check", (_CHECK,), facts=tuple(_check(report.check)))
    yield from source_sections(report)
    yield from file_sections(made)


_CHECK = (
    "The folded model was run beside the unfolded one, in float64 and in its own type. It is no verification of the "
    "files: that is what `ckpt2onnx verify --against` does."
)


def _check(check: SelfCheck) -> Iterator[Fact]:
    if check.left_out is not None:
        yield Fact("not checked", check.left_out)
        return
    yield Fact("examples", str(check.examples))
    yield Fact("largest error", f"{check.share:.2g} of what noise explains")
    yield Fact("folds taken back", ", ".join(check.taken_back) or "none")
