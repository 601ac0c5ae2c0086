"""Concatenations of concatenations as one."""

from __future__ import annotations

import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.ops import is_op

__all__ = ["join_concats"]


def join_concats(model: ir.Model) -> None:
    """Concat(a, Concat(b, c), d) along one axis becomes Concat(a, b, c, d).

    Not where somebody else sees Concat(b, c): b and c would be copied twice.
    """
    for node in list(model.graph):
        if not is_op(node, "Concat"):
            continue
        joined: list[ir.Value | None] = []
        for value in node.inputs:
            inner = None if value is None else value.producer()
            own = inner is not None and is_op(inner, "Concat") and inner.graph is node.graph
            if value is None or inner is None or not own or len(value.uses()) > 1 or value.is_graph_output():
                joined.append(value)
                continue
            axis, outer = (each.attributes["axis"].as_int() for each in (inner, node))
            same = axis == outer or (value.shape is not None and (axis - outer) % len(value.shape) == 0)
            joined += inner.inputs if same else [value]
        if len(joined) > len(node.inputs):
            node.resize_inputs(len(joined))
            for index, value in enumerate(joined):
                node.replace_input_with(index, value)
    edit.remove_dead(model)
