"""The batch norms of the report: where gamma, beta and the statistics come from, and whether they can be meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from exporter.errors import ValueInputError
from exporter.formats.records import Array
from exporter.inference.batch_norm.recognise import Parameters
from exporter.inference.batch_norm.training_steps import momenta, steps
from exporter.inference.findings import Findings
from exporter.inference.graph.queries import behind, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.report.diagnosis import NormValues, diagnose, with_statistics
from exporter.report.records import BatchNorm
from exporter.sources.graph import Ref
from exporter.sources.model import Variable

__all__ = ["describe"]


def describe(
    rewriter: Rewriter,
    parameters: list[Parameters],
    variables: Mapping[str, Variable],
    findings: Findings,
) -> list[tuple[Parameters, BatchNorm]]:
    """A record of each batch norm; its statistics are read and checked.

    Raises:
        ValueInputError: A variance is negative, or a statistic NaN or infinite.
    """
    reader = _Reader(rewriter, variables)
    uses: Counter[str] = Counter()
    found = []
    for each in parameters:
        record = _record(reader, each, findings)
        uses[record.name] += 1
        if uses[record.name] > 1:  # a layer that is used twice gets a row for each use: `bn`, `bn (2)`
            record = replace(record, name=f"{record.name} ({uses[record.name]})")
        found.append((each, record))
    trained = steps(rewriter, variables) if found else None
    values = _values(reader, found)
    # what lets batch norms normalise by the batch: flags that chose the moving statistics, too
    flags = [d for d in findings.decisions if d.kind == "flag" and isinstance(d.value, bool)]
    to_keep = [f"--set {d.subject}={'false' if d.value else 'true'}" for d in flags] + ["--keep-batch-statistics"]
    for sentence in diagnose(values, trained, to_keep=" ".join(to_keep)):
        findings.warn(sentence)
    records = with_statistics((record for _, record in found), values, trained)
    return [(p, record) for (p, _), record in zip(found, records, strict=True)]


def _values(reader: _Reader, found: list[tuple[Parameters, BatchNorm]]) -> list[NormValues]:
    """What is known of the batch norms whose statistics are stored."""
    values = []
    known = momenta(reader.rewriter)
    for parameters, record in found:
        mean, variance = reader.array(parameters.mean), reader.array(parameters.variance)
        if mean is None or variance is None:
            continue
        gamma = None if parameters.gamma is None else reader.array(parameters.gamma)
        kept = known.get(variable_behind(reader.rewriter, parameters.mean) or "")
        values.append(NormValues(record.name, record.epsilon, gamma, mean.reshape(-1), variance.reshape(-1), kept))
    return values


class _Reader:
    def __init__(self, rewriter: Rewriter, variables: Mapping[str, Variable]) -> None:
        self.rewriter = rewriter
        self.variables = variables

    def origin(self, ref: Ref) -> str:
        """`stored as KEY`, or what a constant is."""
        name = variable_behind(self.rewriter, ref)
        if name is not None and name in self.variables:
            return f"stored as {self.variables[name].title}"
        return f"constant {behind(self.rewriter, ref).node}"

    def array(self, ref: Ref) -> Array | None:
        """The value of a parameter; None if arithmetic makes it."""
        name = variable_behind(self.rewriter, ref)
        if name is not None and name in self.variables:
            return self.variables[name].read()
        return self.rewriter.value(behind(self.rewriter, ref))


def _record(reader: _Reader, parameters: Parameters, findings: Findings) -> BatchNorm:
    # the scope of the parameters if they share one, else that of the op
    refs = [parameters.beta, parameters.gamma, parameters.mean]
    names = [variable_behind(reader.rewriter, ref) for ref in refs if ref is not None]
    titles = [reader.variables[name].title for name in names if name is not None and name in reader.variables]
    scope = titles[0].rpartition("/")[0] if titles else ""
    name = scope or parameters.node.rpartition("/")[0] or parameters.node
    variance = reader.array(parameters.variance)
    _check(reader, name, "mean", parameters.mean, reader.array(parameters.mean), lowest=-np.inf)
    _check(reader, name, "variance", parameters.variance, variance, lowest=0)
    return BatchNorm(
        name,
        0 if variance is None else int(variance.size),
        parameters.epsilon,
        _parameter(reader, parameters.gamma, 1, "1 (scale=False)"),
        _parameter(reader, parameters.beta, 0, "0 (center=False)"),
        reader.origin(parameters.mean),
        reader.origin(parameters.variance),
    )


def _parameter(reader: _Reader, ref: Ref | None, neutral: float, left_out: str) -> str:
    if ref is None:
        return left_out
    if variable_behind(reader.rewriter, ref) is None:
        value = reader.array(ref)
        if reader.rewriter.producer(ref).op == "Fill" or (value is not None and np.all(value == neutral)):
            return left_out
    return reader.origin(ref)


def _check(reader: _Reader, name: str, what: str, ref: Ref, array: Array | None, *, lowest: float) -> None:
    if array is None or (np.isfinite(array).all() and (array >= lowest).all()):
        return
    bad = array[~(np.isfinite(array) & (array >= lowest))].reshape(-1)
    raise ValueInputError(
        f"its {what} has {bad.size} of {array.size} values that can't be meant, as {bad[0]!s} ({reader.origin(ref)})",
        hint="The training diverged, or these are not the moving statistics",
    ).within(f"batch norm {name}")
