"""Lower and upper bounds as one Clip."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.ops import is_op
from exporter.passes.affine.affine_map import Array
from exporter.passes.naming import Namer
from exporter.passes.rewrite import put_instead, with_number

__all__ = ["merge_clips"]

_ZERO = np.zeros(())


def merge_clips(model: ir.Model) -> None:
    """Min(Max(x, a), b), Min(Relu(x), b) and Max(Min(x, b), a) with numbers a <= b become Clip(x, a, b)."""
    graph = model.graph
    namer = Namer(graph)
    for node in list(graph):
        outer = with_number(node) if is_op(node, "Min", "Max") else None
        before = None if outer is None else outer[1].producer()
        if outer is None or before is None or len(outer[1].uses()) > 1 or outer[1].is_graph_output():
            continue
        inner = _inner(before, node.op_type)
        if inner is None:
            continue
        x, first = inner
        bounds = (first, outer[2]) if node.op_type == "Min" else (outer[2], first)
        if bounds[0] <= bounds[1]:
            put_instead(graph, namer, node, "Clip", [x, *_constants(namer, node, x, bounds)])
            graph.remove(before, safe=True)
    edit.remove_dead(model)


def _inner(node: ir.Node, outer: str) -> tuple[ir.Value, Array] | None:
    """The tensor and the other bound."""
    if outer == "Min" and is_op(node, "Relu") and node.inputs[0] is not None:
        return node.inputs[0], _ZERO
    found = with_number(node) if is_op(node, "Max" if outer == "Min" else "Min") else None
    return None if found is None else found[1:]


def _constants(namer: Namer, node: ir.Node, x: ir.Value, bounds: tuple[Array, Array]) -> list[ir.Value]:
    assert x.dtype is not None
    dtype = x.dtype.numpy()
    names = (f"{node.name}/min", f"{node.name}/max")
    return [namer.constant(name, bound.astype(dtype)) for name, bound in zip(names, bounds, strict=True)]
