"""Slices in a row as one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array, remove_dead
from exporter.ir.ops import is_op
from exporter.passes.affine.affine_map import Array
from exporter.passes.naming import Namer

__all__ = ["join_slices"]

_NAMES = ("data", "starts", "ends", "axes", "steps")


def join_slices(model: ir.Model) -> None:
    """Slice(Slice(x)) along other axes, both by constants, becomes one Slice; one that others use stays for them."""
    graph = model.graph
    namer = Namer(graph)
    for node in list(graph):
        while (before := _before(node)) is not None:
            source, parameters = before
            if len(node.inputs) < 5:
                node.resize_inputs(5)
            for index, array in enumerate(parameters, 1):
                node.replace_input_with(index, namer.constant(f"{node.name}/{_NAMES[index]}", array))
            node.replace_input_with(0, source)
    remove_dead(model)


def _before(node: ir.Node) -> tuple[ir.Value, Array] | None:
    """What the Slice before a Slice takes its part of, and starts, ends, axes and steps [4, n] of both together."""
    middle = node.inputs[0] if is_op(node, "Slice") else None
    first = None if middle is None else middle.producer()
    if middle is None or first is None or not is_op(first, "Slice") or first.inputs[0] is None:
        return None
    if len(middle.uses()) > 1 or middle.is_graph_output() or first.graph is not node.graph:
        return None
    inner, outer = _parameters(first), _parameters(node)
    if inner is None or outer is None or set(inner[2]) & set(outer[2]):
        return None
    return first.inputs[0], np.concatenate([inner, outer], axis=1)


def _parameters(node: ir.Node) -> Array | None:
    """Starts, ends, axes and steps [4, n]; None if they aren't all constant."""
    x = node.inputs[0]
    arrays = [constant_array(value) for value in node.inputs[1:]]
    if x is None or x.shape is None or len(arrays) < 3 or any(array is None for array in arrays):
        return None
    starts, ends, axes, *rest = (np.asarray(array, np.int64).reshape(-1) for array in arrays)
    return np.stack([starts, ends, axes % len(x.shape), rest[0] if rest else np.ones_like(starts)])
