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
        joined = [part for value in node.inputs for part in _parts(value, node)]
        if len(joined) > len(node.inputs):
            node.resize_inputs(len(joined))
            for index, value in enumerate(joined):
                node.replace_input_with(index, value)
    edit.remove_dead(model)


def _parts(value: ir.Value | None, user: ir.Node) -> list[ir.Value | None]:
    """What a value is concatenated from, if only this user sees it; else itself."""
    node = None if value is None else value.producer()
    if value is None or node is None or not is_op(node, "Concat") or node.graph is not user.graph:
        return [value]
    if len(value.uses()) > 1 or value.is_graph_output():
        return [value]
    inner, outer = (each.attributes["axis"].as_int() for each in (node, user))
    same = inner == outer or (value.shape is not None and (inner - outer) % len(value.shape) == 0)
    return list(node.inputs) if same else [value]
