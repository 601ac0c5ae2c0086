"""The page of an export."""

from __future__ import annotations

from exporter.pages.page import Fact, Mark, Page, Section
from exporter.pages.provenance import Provenance
from exporter.pages.source_sections import file_sections, source_sections, tensors_table
from exporter.report.records import Report

__all__ = ["report_page"]


def report_page(report: Report, made: Provenance) -> Page:
    """What was exported, what became of each batch norm, what was decided, and what the export's own check found."""
    norms = (
        f"{report.folded} of {len(report.batch_norms)} batch norms folded" if report.batch_norms else "no batch norms"
    )
    warnings = f"{len(report.warnings)} warning{'' if len(report.warnings) == 1 else 's'}"
    check = report.check
    if check is None or check.left_out is not None:
        mark = Mark("exported, not checked", "doubtful")
    elif check.taken_back or report.warnings:
        mark = Mark("exported, with remarks", "doubtful")
    else:
        mark = Mark("exported and checked", "good")
    sections = [Section("Inputs and outputs", tables=(tensors_table(report.inputs, report.outputs),))]
    if check is not None:
        facts: tuple[Fact, ...] = (
            Fact("examples", str(check.examples)),
            Fact("largest error", f"{check.share:.2g} of what noise explains"),
            Fact("folds taken back", ", ".join(check.taken_back) or "none"),
        )
        if check.left_out is not None:
            facts = (Fact("not checked", check.left_out),)
        sections.append(Section("Check", (_CHECK,), facts=facts))
    sections += [*source_sections(report), *file_sections(made)]
    title, summary = f"Export of {report.source}", f"{report.kind}; {norms}; {warnings}."
    return Page(title, mark, summary, report.notes, tuple(sections))


_CHECK = (
    "The folded model was run beside the unfolded one, in float64 and in its own type. It is no verification of the "
    "files: that is what `ckpt2onnx verify --against` does."
)
