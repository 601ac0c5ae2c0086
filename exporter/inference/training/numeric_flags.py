"""Flags that are numbers, 1 in training and 0 at inference, or the other way round.

phase * batch_statistic + (1 - phase) * moving_statistic
moving_statistic + phase * (batch_statistic - moving_statistic)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from exporter.inference.batch_norm.moving_averages import is_statistic
from exporter.inference.findings import Findings
from exporter.inference.graph.op_types import PLACEHOLDERS
from exporter.inference.graph.queries import variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.report.decisions import Reason
from exporter.sources.graph import Node, Ref

__all__ = ["resolve_blends"]

_SUMS = frozenset({"Add", "AddV2"})
_BLENDING = _SUMS | {"Mul", "Sub"}

_DEEPEST = 5


def resolve_blends(rewriter: Rewriter, outputs: list[Ref], findings: Findings) -> None:
    """Gives such a flag the number that leaves the moving statistic alone."""
    for node in rewriter.order(outputs):
        if node.op in _SUMS | {"Sub"}:
            _resolve(rewriter, node, findings)


def _resolve(rewriter: Rewriter, node: Node, findings: Findings) -> None:
    terms = set(_terms(rewriter, Ref(node.name)))
    batch = {ref for ref in terms if is_statistic(rewriter, ref)}
    moving = {ref for ref in terms if variable_behind(rewriter, ref) is not None}
    if not batch or len(moving) != 1:
        return
    leaves = [leaf for leaf in rewriter.order(terms - batch - moving) if not leaf.inputs or leaf.op in PLACEHOLDERS]
    sources = [leaf for leaf in leaves if leaf.op in PLACEHOLDERS]
    if len(sources) != 1 or any(leaf.op != "Const" for leaf in leaves if leaf not in sources):
        return
    source = sources[0]
    for value in (0.0, 1.0):
        attributes = {"value": np.array(value, np.float32), "dtype": source.attribute("dtype", 1)}
        rewriter.put(Node(source.name, "Const", (), (), attributes))
        if _left(rewriter, Ref(node.name)) in moving:
            findings.decide("flag", source.name, value, Reason.BLENDS_STATISTICS, node=node.name)
            rewriter.redirect(Ref(node.name), moving.pop())
            return
    rewriter.put(source)


def _terms(rewriter: Rewriter, ref: Ref, depth: int = _DEEPEST) -> Iterator[Ref]:
    """What sums, differences and products are made of."""
    node = rewriter.producer(ref)
    if depth == 0 or node.op not in _BLENDING:
        yield rewriter.resolve(ref)
        return
    for other in rewriter.inputs(node):
        yield from _terms(rewriter, other, depth - 1)


def _left(rewriter: Rewriter, ref: Ref, depth: int = _DEEPEST) -> Ref | None:
    """What is left of sums and products without zeros added and ones multiplied; None if it is zero."""
    ref = rewriter.resolve(ref)
    node = rewriter.node(ref.node)
    value = rewriter.value(ref)
    if value is not None and not value.any():
        return None
    if depth == 0 or node.op not in _BLENDING:
        return ref
    a, b = (_left(rewriter, other, depth - 1) for other in rewriter.inputs(node))
    if node.op == "Mul":
        if a is None or b is None:
            return None
        return b if _is_one(rewriter, a) else a if _is_one(rewriter, b) else ref
    if b is None:
        return a
    return b if a is None and node.op != "Sub" else ref


def _is_one(rewriter: Rewriter, ref: Ref) -> bool:
    value = rewriter.value(ref)
    return value is not None and value.size == 1 and float(value.item()) == 1
