"""Zeros around the input of a max pool, kept apart from it.

onnxruntime's optimiser (1.31) takes a Pad of zeros in front of a MaxPool for the pool's own padding. That never wins,
but zeros do where all they meet is negative: the result is wrong. A Max with minus infinity, which changes nothing,
between the two keeps them apart; it isn't needed where nothing negative comes in.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import make_initializer
from exporter.ir.signs import is_not_negative

__all__ = ["keep_padding_apart"]


def keep_padding_apart(model: ir.Model) -> None:
    """Puts the Max in front of each max pool over padded values that may be negative."""
    for node in list(model.graph.all_nodes()):
        value = node.inputs[0] if node.op_type == "MaxPool" else None
        producer = None if value is None else value.producer()
        source = producer.inputs[0] if producer is not None and producer.op_type == "Pad" else None
        if value is not None and source is not None and not is_not_negative(source):
            _separate(model.graph, node, value)


def _separate(graph: ir.Graph, pool: ir.Node, value: ir.Value) -> None:
    assert value.dtype is not None
    lowest = make_initializer(graph, f"{pool.name}/lowest", np.array(-np.inf, value.dtype.numpy()))
    node = ir.node("Max", [value, lowest], name=f"{pool.name}/padded", metadata_props=dict(pool.metadata_props))
    output = node.outputs[0]
    output.name, output.shape, output.type = f"{pool.name}/padded", value.shape, value.type
    assert pool.graph is not None
    pool.graph.insert_before(pool, node)
    pool.replace_input_with(0, output)
