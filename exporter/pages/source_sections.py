"""The parts of a page that say what became of a source: its batch norms, folds, statistics and decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.pages.page import Cell, Chart, Fact, Mark, Section, Series, Table
from exporter.pages.provenance import Provenance
from exporter.report.records import BatchNorm, FoldOutcome, Report, TensorSpec

__all__ = ["file_sections", "source_sections", "tensors_table"]

_CARRIED = 0.01


def source_sections(report: Report) -> Iterator[Section]:
    """Batch norms with where their parameters came from, other folds, the statistics, and what was decided."""
    if report.batch_norms:
        count = f"{report.folded} of {len(report.batch_norms)} are folded wholly."
        yield Section("Batch norms", (count,), tables=(_batch_norms(report),))
    others = [fold for fold in report.folds if not fold.batch_norms]
    if others:
        rows = tuple((fold.source, *_fate(fold)) for fold in others)
        table = Table("folds", ("arithmetic", "folded", "into, or why not"), rows)
        text = "Multiplications and additions by constants that aren't a batch norm's; those that were folded change "
        yield Section("Other arithmetic", (f"{text}the kernels, too.",), tables=(table,))
    measured = [norm for norm in report.batch_norms if norm.statistics is not None]
    if measured or report.warnings:
        charts: tuple[Chart, ...] = ()
        tables: tuple[Table, ...] = ()
        if measured:
            title = "Moving variances of each batch norm's channels, in the model's order"
            values = [(s.smallest, s.median, s.largest) for norm in measured if (s := norm.statistics) is not None]
            series = Series("smallest to largest, median", values, "first")
            charts = (Chart("ranges", title, [norm.name for norm in measured], [series]),)
            tables = (_statistics(measured),)
        yield Section("Statistics and warnings", report.warnings, charts, tables=tables)
    if report.decisions:
        decided = tuple((d.subject, d.kind, d.choice, d.reason) for d in report.decisions)
        yield Section("Decisions", tables=(Table("decisions", ("which", "what", "choice", "why"), decided),))


def _batch_norms(report: Report) -> Table:
    head = ("batch norm", "channels", "epsilon", "gamma", "beta", "mean", "variance", "folded", "into, or why not")
    rows = []
    for norm in report.batch_norms:
        fold = report.fold_of(norm.name)
        origins = [
            origin.removeprefix("stored as ").removeprefix(f"{norm.name}/")
            for origin in (norm.gamma, norm.beta, norm.mean, norm.variance)
        ]
        rows.append((norm.name, norm.channels, norm.epsilon, *origins, *_fate(fold)))
    return Table("batch norms", head, tuple(rows))


def _fate(fold: FoldOutcome | None) -> tuple[Cell, Cell]:
    if fold is None:
        return Mark("no", "doubtful"), "the fold never met it"
    if fold.reason is None:
        return Mark("yes", "good"), f"{fold.into}: {fold.how}" if fold.into else fold.how
    if fold.into:
        return Mark("in part", "doubtful"), f"{fold.into}: {fold.how}; the rest stays: {fold.reason}"
    return Mark("no", "doubtful"), fold.reason


def _statistics(norms: Sequence[BatchNorm]) -> Table:
    head = ("batch norm", "least variance", "median", "largest", "dead", "amplifying", "initial values left", "remark")
    rows = []
    for norm in norms:
        found = norm.statistics
        assert found is not None
        remark = None
        if not found.updated:
            remark = Mark("never updated", "bad")
        elif found.initial is not None and found.initial > _CARRIED:
            remark = Mark("few steps", "doubtful")
        elif found.loud:
            remark = Mark("amplifies noise", "doubtful")
        elif found.dead:
            remark = Mark("dead channels", "doubtful")
        rows.append(
            (
                norm.name,
                found.smallest,
                found.median,
                found.largest,
                found.dead,
                found.loud,
                None if found.initial is None else f"{found.initial:.2%}",
                remark,
            )
        )
    return Table("batch norms", head, tuple(rows))


def tensors_table(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Table:
    """Inputs and outputs with types and shapes."""
    rows = []
    for role, specs in (("input", inputs), ("output", outputs)):
        for spec in specs:
            shape = "any rank" if spec.shape is None else f"[{', '.join(str(size) for size in spec.shape)}]"
            rows.append((spec.name, role, spec.dtype, shape, spec.reason))
    return Table("inputs and outputs", ("name", "role", "type", "shape", "why"), tuple(rows))


def file_sections(made: Provenance) -> Iterator[Section]:
    """Hashes, versions and when."""
    rows = tuple((f.path, f.role, f.bytes, f.sha256 or "it isn't there any more") for f in made.files)
    table = Table("files", ("file", "role", "bytes", "SHA-256"), rows)
    versions = [Fact(name, number) for name, number in made.versions.items()]
    facts = (Fact("made", made.made), Fact("on", made.machine), *versions)
    yield Section("Files and versions", facts=facts, tables=(table,))
