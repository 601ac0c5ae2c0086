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
        if value is None or source is None or is_not_negative(source):
            continue
        assert value.dtype is not None and node.graph is not None
        name = f"{node.name}/padded"
        lowest = make_initializer(model.graph, f"{node.name}/lowest", np.array(-np.inf, value.dtype.numpy()))
        largest = ir.node("Max", [value, lowest], name=name, metadata_props=dict(node.metadata_props))
        output = largest.outputs[0]
        output.name, output.shape, output.type = name, value.shape, value.type
        node.graph.insert_before(node, largest)
        node.replace_input_with(0, output)
