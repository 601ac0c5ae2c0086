"""Leaky rectifiers that are written as arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.ops import is_op
from exporter.passes.naming import Namer
from exporter.passes.rewrite import put_instead, with_number

__all__ = ["merge_absolute_leaky_relus", "merge_leaky_relus"]

_Found = tuple[ir.Value, float]


def merge_leaky_relus(model: ir.Model) -> None:
    """Max(x, a x) with a number 0 <= a <= 1 becomes LeakyRelu(x, a): the same numbers, and x is read once."""
    _merge(model, _maximum)


def merge_absolute_leaky_relus(model: ir.Model) -> None:
    """p x + q |x| with p + q = 1 becomes LeakyRelu(x, p - q): the same up to rounding."""
    _merge(model, _absolute)


def _merge(model: ir.Model, find: Callable[[ir.Node], _Found | None]) -> None:
    graph = model.graph
    namer = Namer(graph)
    for node in list(graph):
        found = find(node)
        if found is None:
            continue
        put_instead(graph, namer, node, "LeakyRelu", [found[0]], {"alpha": found[1]})
    edit.remove_dead(model)


def _maximum(node: ir.Node) -> _Found | None:
    """x and a of Max(x, a x), in any order."""
    if not is_op(node, "Max") or len(node.inputs) != 2:
        return None
    for x, scaled in (node.inputs, node.inputs[::-1]):
        found = _product(scaled)
        if found is not None and found[0] is x and 0 <= found[1] <= 1:
            return found
    return None


def _absolute(node: ir.Node) -> _Found | None:
    """x and p - q of p x + q |x|, in any order."""
    if not is_op(node, "Add") or len(node.inputs) != 2:
        return None
    for plain, other in (node.inputs, node.inputs[::-1]):
        first, second = _product(plain), _product(other)
        if first is None or second is None:
            continue
        absolute = second[0].producer()
        if absolute is None or not is_op(absolute, "Abs") or absolute.inputs[0] is not first[0]:
            continue
        if abs(first[1] + second[1] - 1) <= np.finfo(np.float32).eps:
            return first[0], first[1] - second[1]
    return None


def _product(value: ir.Value | None) -> _Found | None:
    """The tensor and the number of a product of both."""
    product = None if value is None else value.producer()
    found = with_number(product) if product is not None and is_op(product, "Mul") else None
    return None if found is None else (found[1], float(found[2]))
