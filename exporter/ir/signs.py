"""What the ops of a graph tell of the signs of its tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.opset import CHANNELS_LAST, record_of

__all__ = ["is_not_negative"]

_FAR = 8


def is_not_negative(value: ir.Value, far: int = _FAR) -> bool:
    """Whether a tensor is made by an op whose results can't be negative, `far` nodes before it at most."""
    node = value.producer()
    if node is None or not far or node.domain not in ("", CHANNELS_LAST):
        return False
    if record_of(node.op_type).sign == "inherited":
        return all(v is not None and is_not_negative(v, far - 1) for v in node.inputs)
    if node.op_type == "Clip":
        least = constant_array(node.inputs[1]) if len(node.inputs) > 1 else None
        return least is not None and bool(np.all(least >= 0))
    return record_of(node.op_type).sign == "positive"
