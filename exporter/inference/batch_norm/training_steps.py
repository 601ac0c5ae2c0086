"""How far training had come when the checkpoint was saved, as far as the graph and its variables tell."""

from __future__ import annotations

import math
from collections.abc import Mapping

from exporter.inference.graph.queries import ASSIGN_OPS, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node, Ref
from exporter.sources.model import Variable

__all__ = ["momenta", "steps"]

_COUNTING = frozenset({"AssignAdd", "AssignAddVariableOp"})
_TAKING_AWAY = frozenset({"AssignSub", "AssignSubVariableOp"})
_INTEGERS = frozenset({"int32", "int64"})


def steps(rewriter: Rewriter, variables: Mapping[str, Variable]) -> int | None:
    """The number of steps: a counter's value, else what the powers of Adam's beta say; None if there is neither.

    Adam keeps beta1^(steps + 1) and multiplies it by beta1 at each step.
    """
    counts = []
    for node in rewriter.graph:
        if node.op in _COUNTING and len(node.inputs) > 1:
            variable = variables.get(variable_behind(rewriter, node.inputs[0]) or "")
            added = rewriter.value(node.inputs[1])
            if variable is not None and variable.shape == () and variable.kind in _INTEGERS and added == 1:
                counts.append(int(variable.read()))
    if counts:
        return max(counts)
    for node in rewriter.graph:
        if node.op not in ("Assign", "AssignVariableOp") or len(node.inputs) < 2:
            continue
        variable = variables.get(variable_behind(rewriter, node.inputs[0]) or "")
        factor = _factor(rewriter, node.inputs[1], variable.node) if variable is not None else None
        if variable is None or variable.shape != () or factor is None or not 0 < factor < 1:
            continue
        power = float(variable.read())
        if not 0 < power < 1:
            continue
        count = math.log(power) / math.log(factor) - 1
        if abs(count - round(count)) < 0.05:
            return round(count)
    return None


def momenta(rewriter: Rewriter) -> dict[str, float]:
    """What moving averages keep at each step, by the names of their variables' nodes, as far as the graph says.

    That is d of `V <- V * d + T * (1 - d)`, and 1 - k of `V <- V - (V - T) * k`; assignments are looked for in all of
    the graph.
    """
    found: dict[str, float] = {}
    for node in rewriter.graph:
        variable = variable_behind(rewriter, node.inputs[0]) if node.op in ASSIGN_OPS and len(node.inputs) > 1 else None
        kept = None if variable is None else _kept(rewriter, node, variable)
        if variable is not None and kept is not None and 0 <= kept <= 1:
            found[variable] = kept
    return found


def _kept(rewriter: Rewriter, node: Node, variable: str) -> float | None:
    value = rewriter.producer(node.inputs[1])
    if node.op in _TAKING_AWAY or node.op in _COUNTING:
        factor = _difference(rewriter, node.inputs[1], variable)
        return None if factor is None else 1 - factor
    inputs = rewriter.inputs(value)
    if value.op == "Sub":
        factor = _difference(rewriter, inputs[1], variable)
        return None if factor is None else 1 - factor
    if value.op in ("Add", "AddV2"):
        return next((f for f in (_factor(rewriter, ref, variable) for ref in inputs) if f is not None), None)
    return None


def _factor(rewriter: Rewriter, ref: Ref, variable: str) -> float | None:
    """c of `V * c`."""
    node = rewriter.producer(ref)
    if node.op != "Mul":
        return None
    a, b = rewriter.inputs(node)
    for mine, other in ((a, b), (b, a)):
        if variable_behind(rewriter, mine) == variable:
            return _scalar(rewriter, other)
    return None


def _difference(rewriter: Rewriter, ref: Ref, variable: str) -> float | None:
    """k of `(V - T) * k` or `(T - V) * k`."""
    node = rewriter.producer(ref)
    if node.op != "Mul":
        return None
    a, b = rewriter.inputs(node)
    for mine, other in ((a, b), (b, a)):
        inner = rewriter.producer(mine)
        if inner.op == "Sub" and any(variable_behind(rewriter, r) == variable for r in rewriter.inputs(inner)):
            return _scalar(rewriter, other)
    return None


def _scalar(rewriter: Rewriter, ref: Ref) -> float | None:
    value = rewriter.value(ref)
    return None if value is None or value.size != 1 else float(value.reshape(-1)[0])
