"""Which ops the IR has beyond standard ONNX, and in which domain an op type lives.

Standard ONNX ops have the meaning of opset 18 and work on tensors laid out as TensorFlow lays them out. What depends on
the layout is in the private domain `channels_last`: batch first, channels last, kernels in TensorFlow's order. No op
type is in both, so the type alone identifies an op.

The records in `opset` say which are there, and what holds for each.
"""

from __future__ import annotations

import onnx_ir as ir

from exporter.ir.opset import CHANNELS_LAST, ML, record_of

__all__ = ["CHANNELS_LAST", "ML", "ML_OPSET", "OPSET", "domain_of", "is_op"]

ML_OPSET = 2

OPSET = 18


def domain_of(op_type: str) -> str:
    """The domain that an op type of the IR lives in: `channels_last`, `ai.onnx.ml`, or "" for standard ONNX."""
    return record_of(op_type).domain


def is_op(node: ir.Node | None, *op_types: str) -> bool:
    """Whether a node is one of these IR ops (False for None, so that a producer can be passed as it is)."""
    return node is not None and node.op_type in op_types and node.domain == domain_of(node.op_type)
