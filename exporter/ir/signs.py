"""What the ops of a graph tell of the signs of its tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.ops import CHANNELS_LAST

__all__ = ["is_not_negative"]

_NOT_NEGATIVE = frozenset({"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus"})
_NOT_NEGATIVE_IF_INPUTS_ARE = frozenset({"AveragePool", "Concat", "Identity", "MaxPool", "Transpose"})
_FAR = 8


def is_not_negative(value: ir.Value, far: int = _FAR) -> bool:
    """Whether a tensor is made by an op whose results can't be negative, `far` nodes before it at most."""
    node = value.producer()
    if node is None or not far or node.domain not in ("", CHANNELS_LAST):
        return False
    if node.op_type in _NOT_NEGATIVE_IF_INPUTS_ARE:
        return all(v is not None and is_not_negative(v, far - 1) for v in node.inputs)
    if node.op_type == "Clip":
        least = constant_array(node.inputs[1]) if len(node.inputs) > 1 else None
        return least is not None and bool(np.all(least >= 0))
    return node.op_type in _NOT_NEGATIVE
