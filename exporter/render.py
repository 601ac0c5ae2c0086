"""Reports for people: tables on a terminal, plain text in a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.inference.statistics import KEPT
from exporter.inspection import Inspection
from exporter.report import BatchNorm, Decision, FoldOutcome, Report, TensorSpec

__all__ = ["render_inspection", "render_report", "tensor_table"]


def render_report(report: Report, console: Console) -> None:
    """The report of an export: what it is, its batch norms, what was decided, warnings, and the files."""
    console.print(Text(f"{report.source}: {report.kind}", style="bold"))
    for note in report.notes:
        console.print(Text(f"  {note}"))
    console.print(tensor_table("inputs and outputs", report.inputs, report.outputs))
    if report.batch_norms:
        console.print(_batch_norms(report))
    _print_decisions(console, "decided", report.decisions)
    for warning in report.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    console.print(Text(_summary(report)))
    for file in report.files:
        console.print(Text(f"wrote {file.path} ({_size(file.bytes)})"))


def tensor_table(title: str, inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec]) -> Table:
    """Inputs and outputs with type, shape and why they are."""
    rows = [("input", *_tensor(spec)) for spec in inputs] + [("output", *_tensor(spec)) for spec in outputs]
    return _rows(title, ("", "name", "type", "shape", "why"), rows)


def _tensor(spec: TensorSpec) -> tuple[str, str, str, str]:
    shape = "any rank" if spec.shape is None else f"[{', '.join(str(size) for size in spec.shape)}]"
    return spec.name, spec.dtype, shape, spec.reason


def _rows(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*head, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _print_decisions(console: Console, title: str, decisions: Iterable[Decision]) -> None:
    """All but those on the moving statistics of batch norms, which have their own table."""
    rows = [(d.kind, d.subject, d.choice, d.reason) for d in decisions if d.kind != "statistics" or d.choice == KEPT]
    if rows:
        console.print(_rows(title, ("what", "which", "choice", "why"), rows))


def _batch_norms(report: Report) -> Table:
    rows = [_batch_norm(norm, report.fold_of(norm.name)) for norm in report.batch_norms]
    head = ("batch norm", "channels", "epsilon", "gamma", "beta", "statistics", "folded into")
    return _rows("batch norms", head, rows)


def _batch_norm(norm: BatchNorm, fold: FoldOutcome | None) -> tuple[str, ...]:
    statistics = _short(norm, norm.mean) + ", " + _short(norm, norm.variance)
    return (
        norm.name,
        str(norm.channels),
        f"{norm.epsilon:.3g}",
        _short(norm, norm.gamma),
        _short(norm, norm.beta),
        statistics,
        _fate(fold),
    )


def _short(norm: BatchNorm, origin: str) -> str:
    """Without the scope that the row begins with."""
    return origin.removeprefix("stored as ").removeprefix(f"{norm.name}/")


def _fate(fold: FoldOutcome | None) -> str:
    if fold is None:
        return "not folded"
    if fold.reason is None:
        return fold.into or fold.how
    kept = f"{fold.into}, in part: " if fold.into else "not folded: "
    return kept + fold.reason


def _summary(report: Report) -> str:
    folded = sum(1 for n in report.batch_norms if (f := report.fold_of(n.name)) is not None and f.reason is None)
    norms = f"{folded} of {len(report.batch_norms)} batch norms folded" if report.batch_norms else "no batch norms"
    return f"{norms}; {report.seconds:.2f} s"


def _size(count: int) -> str:
    if count < 1e3:
        return f"{count} B"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def render_inspection(found: Inspection, console: Console) -> None:
    """What is in a source: its ends and batch norms, or the names and shapes of what is stored, and what is missing."""
    console.print(Text(f"{found.source}: {found.kind}", style="bold"))
    for note in found.notes:
        console.print(Text(f"  {note}"))
    if found.inputs or found.outputs:
        console.print(tensor_table("inputs and outputs", found.inputs, found.outputs))
    if found.batch_norms:
        rows = [_batch_norm(norm, None)[:-1] for norm in found.batch_norms]
        head = ("batch norm", "channels", "epsilon", "gamma", "beta", "statistics")
        console.print(_rows("batch norms", head, rows))
    if found.stored_batch_norms:
        stored = [
            (n.scope, str(n.channels), ", ".join(n.present), ", ".join(n.absent)) for n in found.stored_batch_norms
        ]
        console.print(_rows("batch norms, by the names", ("scope", "channels", "stored", "not stored"), stored))
    if found.tensors:
        console.print(_tensors(found))
    _print_decisions(console, "an export decides", found.decisions)
    for warning in found.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    if found.problem:
        console.print(Text(f"no export as it is: {found.problem}", style="red"))


def _tensors(found: Inspection) -> Table:
    """The weights; optimizer slots and the like are only counted."""
    weights = [tensor for tensor in found.tensors if not tensor.slot]
    rows = [(t.name, t.dtype, str(list(t.shape)), _size(t.bytes)) for t in weights]
    left_out = len(found.tensors) - len(weights)
    more = f", and {left_out} slots of optimizers and averages" if left_out else ""
    return _rows(f"{len(weights)} tensors{more}", ("name", "type", "shape", "size"), rows)
