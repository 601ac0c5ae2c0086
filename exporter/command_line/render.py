"""Reports for people, in as many characters as a terminal has; in a file or a pipe, each row is one whole line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from exporter.command_line.text_table import common_scope, table, wrapped
from exporter.inspection import Inspection
from exporter.report.decisions import Choice, Decision
from exporter.report.records import BatchNorm, FoldOutcome, HalfWeights, Report, SelfCheck, TensorSpec

__all__ = ["inspection_lines", "report_lines"]


def report_lines(report: Report, width: int | None, *, detail: int = 0) -> list[str]:
    """The report of an export: what it is, its batch norms, what was decided, warnings, and the files.

    Args:
        report: The report.
        width: Of the terminal; None in a file or a pipe, where names are whole and rows are lines.
        detail: 1 shows all of each batch norm, -1 warnings alone.
    """
    warnings = [line for text in report.warnings for line in wrapped(f"warning: {text}", width)]
    if detail < 0:
        return [*warnings, *([_check(report.check)] if report.check is not None and report.check.taken_back else [])]
    lines = [f"{report.source}: {report.kind}", *_notes(report.notes, width)]
    lines += _tensors(report.inputs, report.outputs, width)
    if report.batch_norms:
        lines += ["", *_batch_norms(report.batch_norms, report.fold_of, width, detail=detail)]
    # arithmetic that isn't a batch norm's and has gone into kernels: these aren't the stored ones any more
    others = [
        (fold.source, fold.into, fold.how if fold.reason is None else f"in part: {fold.reason}")
        for fold in report.folds
        if not fold.batch_norms and fold.into and fold.rescaled
    ]
    if others:
        lines += ["", *table("also folded", ("arithmetic", "into", "how"), others, width, spare=(2,))]
    lines += _decisions("decided", report.decisions, width)
    check = [] if report.check is None else wrapped(_check(report.check), width)
    half = [] if report.half is None else _half(report.half, width)
    norms = "no batch norms"
    if report.batch_norms:
        norms = f"{report.folded} of {len(report.batch_norms)} batch norms folded"
    lines += ["", *warnings, *check, *half, f"{norms}; {report.seconds:.2f} s"]
    return [*lines, *(f"wrote {file.path} ({_size(file.bytes)})" for file in report.files)]


def inspection_lines(found: Inspection, width: int | None, *, detail: int = 0) -> list[str]:
    """What is in a source: its ends and batch norms, or the names and shapes of what is stored, and what is missing."""
    warnings = [line for text in found.warnings for line in wrapped(f"warning: {text}", width)]
    problem = wrapped(f"no export as it is: {found.problem}", width) if found.problem else []
    if detail < 0:
        return [*warnings, *problem]
    lines = [f"{found.source}: {found.kind}", *_notes(found.notes, width)]
    if found.inputs or found.outputs:
        lines += _tensors(found.inputs, found.outputs, width)
    if found.batch_norms:
        lines += ["", *_batch_norms(found.batch_norms, None, width, detail=detail)]
    if found.stored_batch_norms:
        stored = [
            (n.scope, str(n.channels), ", ".join(n.present), ", ".join(n.absent)) for n in found.stored_batch_norms
        ]
        lines += ["", *table("batch norms, by the names", ("scope", "channels", "stored", "not stored"), stored, width)]
    if found.tensors:
        # slots of optimizers and the like are only counted
        weights = [tensor for tensor in found.tensors if not tensor.slot]
        rows = [(t.name, t.dtype, str(list(t.shape)), _size(t.bytes)) for t in weights]
        left_out = len(found.tensors) - len(weights)
        more = f", and {left_out} slots of optimizers and averages" if left_out else ""
        title = f"{len(weights)} tensors{more}"
        lines += ["", *table(title, ("name", "type", "shape", "size"), rows, width, spare=(3, 1))]
    lines += _decisions("an export decides", found.decisions, width)
    return [*lines, *warnings, *problem]


def _notes(notes: Iterable[str], width: int | None) -> list[str]:
    return [line for note in notes for line in wrapped(f"  {note}", width)]


def _tensors(inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec], width: int | None) -> list[str]:
    """Inputs and outputs with type, shape and why they are."""
    rows = [("input", *_tensor(spec)) for spec in inputs] + [("output", *_tensor(spec)) for spec in outputs]
    return ["", *table("inputs and outputs", ("", "name", "type", "shape", "why"), rows, width, spare=(4,))]


def _tensor(spec: TensorSpec) -> tuple[str, str, str, str]:
    shape = "any rank" if spec.shape is None else f"[{', '.join(str(size) for size in spec.shape)}]"
    return spec.name, spec.dtype, shape, spec.reason


def _decisions(title: str, decisions: Iterable[Decision], width: int | None) -> list[str]:
    """All but those on the moving statistics of batch norms, which have their own table."""
    kept = Choice.BATCH_STATISTICS
    rows = [(d.kind, d.subject, d.choice, d.reason) for d in decisions if d.kind != "statistics" or d.value == kept]
    return ["", *table(title, ("what", "which", "choice", "why"), rows, width)] if rows else []


_Fate = Callable[[str], FoldOutcome | None] | None


def _batch_norms(norms: Sequence[BatchNorm], fold_of: _Fate, width: int | None, *, detail: int) -> list[str]:
    """A line for each: on a terminal what is unusual about it, else, and with `detail`, all that is known."""
    if width is None or detail > 0:
        return _whole_batch_norms(norms, fold_of, width)
    usual = Counter(_facts(norm) for norm in norms).most_common(1)[0][0]
    scope = common_scope([norm.name for norm in norms])
    rows = []
    for norm in norms:
        facts = _facts(norm)
        unusual = [fact for fact, common in zip(facts, usual, strict=True) if fact != common]
        fold = None if fold_of is None else fold_of(norm.name)
        into = "" if fold is None else fold.into or (fold.how if fold.reason is None else "")
        if fold is not None and fold.reason is not None:
            unusual.append(f"{'in part' if fold.into else 'not folded'}: {fold.reason}")
        elif fold is None and fold_of is not None:
            unusual.append("not folded")
        row = (norm.name.removeprefix(scope), str(norm.channels), into.removeprefix(scope), "; ".join(unusual))
        rows.append(row)
    head = ("batch norm", "channels", "folded into", "unusual")
    columns = [i for i in range(4) if i < 2 or any(row[i] for row in rows)]
    shown = [[row[i] for i in columns] for row in rows]
    place = f", all in {scope}" if scope else ""
    title = f"{len(norms)} batch norms{place}: {', '.join(usual)}" if len(norms) > 1 else f"batch norm: {usual[0]}"
    title_lines = wrapped(title, width)
    spare = [i for i in (columns.index(2) if 2 in columns else None, columns.index(1)) if i is not None]
    spare = [i for i in spare if i < len(columns) - 1 or not any(row[3] for row in rows)]
    lines = table("", [head[i] for i in columns], shown, width, spare=sorted(spare, reverse=True))
    return [*title_lines, *lines[1:]]


def _whole_batch_norms(norms: Sequence[BatchNorm], fold_of: _Fate, width: int | None) -> list[str]:
    rows = []
    for norm in norms:
        fold = None if fold_of is None else fold_of(norm.name)
        statistics = f"{_short(norm, norm.mean)}, {_short(norm, norm.variance)}"
        row = (norm.name, str(norm.channels), f"{norm.epsilon:.3g}", _short(norm, norm.gamma), _short(norm, norm.beta))
        if fold is None:
            fate = "not folded"
        elif fold.reason is None:
            fate = fold.into or fold.how
        else:
            fate = (f"{fold.into}, in part: " if fold.into else "not folded: ") + fold.reason
        rows.append((*row, statistics, *([] if fold_of is None else [fate])))
    head = ("batch norm", "channels", "epsilon", "gamma", "beta", "statistics", "folded into")
    return table("batch norms", head[: 6 if fold_of is None else 7], rows, width)


def _facts(norm: BatchNorm) -> tuple[str, ...]:
    """What may be unusual about one."""
    parts = (("gamma", norm.gamma), ("beta", norm.beta))
    named = [f"{name} {short}" if (short := _short(norm, origin)) != name else name for name, origin in parts]
    return (f"epsilon {norm.epsilon:.3g}", *named, _short(norm, norm.mean), _short(norm, norm.variance))


def _short(norm: BatchNorm, origin: str) -> str:
    """Without the scope that the row begins with."""
    return origin.removeprefix("stored as ").removeprefix(f"{norm.name}/")


def _check(check: SelfCheck) -> str:
    """The line on what the export has found of its own result."""
    if check.left_out is not None:
        return f"not checked: {_LEFT_OUT[check.left_out]}"
    examples = "1 example" if check.examples == 1 else f"{check.examples} examples"
    examples += " of smaller inputs, as it is large" if check.smaller else ""
    line = f"checked: as the unfolded model on {examples}, to {check.share:.2g} of what noise explains"
    if not check.taken_back:
        return line
    few = ", ".join(check.taken_back[:_FEW])
    more = f" and {len(check.taken_back) - _FEW} more" if len(check.taken_back) > _FEW else ""
    return f"{line}; wrong otherwise, and so not folded, a mistake in ckpt2onnx: {few}{more}"


def _half(half: HalfWeights, width: int | None) -> list[str]:
    """What is stored in float16, and what that has changed."""
    count = f"{len(half.rounded)} tensor{'s' if len(half.rounded) != 1 else ''}"
    moved = ", ".join(f"{name} by {share:.2g} of its size" for name, share in half.errors)
    told = f"on the examples that moves {moved}" if moved else "there are no examples to measure what that changes on"
    line = f"weights in float16: {count}; {told}" if half.rounded else "weights in float16: there are none to round"
    return [
        *wrapped(line, width),
        *(line for name, reason in half.kept for line in wrapped(f"  not {name}: {reason}", width)),
    ]


_FEW = 4

_LEFT_OUT = {
    "asked for": "--no-check",
    "too large": "it would be too much work, and smaller inputs don't tell; verify it with --against",
    "no inputs": "values for its inputs can't be made up; verify it with --data",
    "fails": "it doesn't run on values that are made up for its inputs; verify it with --data",
    "nothing to compare": "the unfolded model's own outputs are no numbers, or nothing but noise, on the examples",
}


def _size(count: int) -> str:
    if count < 1e3:
        return f"{count} B"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
