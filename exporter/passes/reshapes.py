"""Joins reshapes of reshapes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.dims import same_dim
from exporter.ir.edit import constant_array
from exporter.ir.opset import record_of
from exporter.passes.affine.affine_map import Array
from exporter.passes.naming import Namer
from exporter.passes.rewrite import put_instead

__all__ = ["join_reshapes"]


def join_reshapes(model: ir.Model) -> None:
    """Reshape(Reshape(x)) becomes one Reshape, as do pairs with Flatten, Squeeze and Unsqueeze.

    Only where the final shape can be written with at most one -1 and zeros for sizes that x has in the same place, and
    where nobody else sees the shape between.
    """
    graph = model.graph
    namer = Namer(graph)
    _keep_reduced_axes(graph)
    for node in list(graph):
        if not _reshapes(node) or node.inputs[0] is None:
            continue
        before = node.inputs[0].producer()
        if not _reshapes(before) or len(node.inputs[0].uses()) > 1 or node.inputs[0].is_graph_output():
            continue
        assert before is not None
        wanted = _shape_tensor(before.inputs[0], node.outputs[0])
        if wanted is None:
            continue
        name = node.inputs[1].name if len(node.inputs) > 1 and node.inputs[1] is not None else f"{node.name}/shape"
        put_instead(graph, namer, node, "Reshape", [before.inputs[0], namer.constant(str(name), wanted)])
        graph.remove(before, safe=True)


def _reshapes(node: ir.Node | None) -> bool:
    return node is not None and record_of(node.op_type).form == "reshaped"


def _keep_reduced_axes(graph: ir.Graph) -> None:
    """A reduction whose axes are put back afterwards keeps them; one that keeps them to lose them doesn't."""
    for node in list(graph):
        between, result = node.inputs[0] if _reshapes(node) else None, node.outputs[0]
        before = None if between is None else between.producer()
        if between is None or before is None or not record_of(before.op_type).reduces or len(between.uses()) > 1:
            continue
        x = before.inputs[0]
        axes = constant_array(before.inputs[1]) if len(before.inputs) > 1 else None
        if x is None or x.shape is None or axes is None or between.is_graph_output():
            continue
        keeps = "keepdims" not in before.attributes or before.attributes["keepdims"].as_int() == 1
        reduced = {int(axis) % len(x.shape) for axis in axes.reshape(-1)}
        sizes = [1 if axis in reduced else dim for axis, dim in enumerate(x.shape.dims)]
        if keeps:
            sizes = [dim for axis, dim in enumerate(sizes) if axis not in reduced]
        if result.shape is None or len(result.shape) != len(sizes):
            continue
        different = [(a, b) for a, b in zip(result.shape.dims, sizes, strict=True) if not same_dim(a, b)]
        # with as many elements, one size that isn't known must be the same too
        if len(different) > 1 or any(isinstance(a, int) and isinstance(b, int) for a, b in different):
            continue
        before.attributes["keepdims"] = ir.AttrInt64("keepdims", 1 - keeps)
        between.shape = result.shape
        edit.replace(graph, result, between)
        graph.remove(node, safe=True)


def _shape_tensor(x: ir.Value | None, y: ir.Value) -> Array | None:
    """y's shape as a constant for Reshape(x)."""
    if x is None or x.shape is None or y.shape is None:
        return None
    sizes = []
    for axis, dim in enumerate(y.shape.dims):
        if isinstance(dim, int):
            if dim == 0:
                return None
            sizes.append(dim)
        else:
            kept = axis < len(x.shape) and same_dim(x.shape[axis], dim)
            sizes.append(0 if kept else -1)
    return np.array(sizes, np.int64) if sizes.count(-1) <= 1 else None
