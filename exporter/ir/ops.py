"""Which ops the IR has beyond standard ONNX, and in which domain an op type lives.

Standard ONNX ops have the meaning of opset 18 and work on tensors laid out as TensorFlow lays them out. What depends on
the layout is in the private domain `channels_last`: batch first, channels last, kernels in TensorFlow's order. No op
type is in both, so the type alone identifies an op.

| op | inputs | attributes |
|---|---|---|
| Conv | X[N, *space, C], W[*kernel, C/group, M], B[M]? | strides, dilations, pads or auto_pad, group |
| ConvTranspose | X[N, *space, C], W[*kernel, M/group, C], B[M]? | strides, dilations, pads, output_padding, group |
| Dense | X[..., I], W[I, O], B[O]? | |
| MaxPool | X[N, *space, C] | kernel_shape, strides, dilations, pads or auto_pad |
| AveragePool | X[N, *space, C] | kernel_shape, strides, pads or auto_pad, count_include_pad |
| LRN | X[N, H, W, C] | size, alpha, beta, bias |
| BatchNormalization | X[..., C], scale[C], B[C], mean[C], var[C] | epsilon |
| DepthToSpace, SpaceToDepth | X[N, H, W, C] | blocksize |
"""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["CHANNELS_LAST", "CHANNELS_LAST_OPS", "ML", "ML_OPS", "ML_OPSET", "OPSET", "domain_of", "is_op"]

CHANNELS_LAST = "channels_last"

ML = "ai.onnx.ml"
"""ONNX's own domain for tables of text and classes."""

ML_OPS = frozenset({"LabelEncoder"})

ML_OPSET = 2

OPSET = 18

CHANNELS_LAST_OPS = frozenset(
    {
        "AveragePool",
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "Dense",
        "DepthToSpace",
        "LRN",
        "MaxPool",
        "SpaceToDepth",
    }
)


def domain_of(op_type: str) -> str:
    """The domain that an op type of the IR lives in: `channels_last`, `ai.onnx.ml`, or "" for standard ONNX."""
    if op_type in ML_OPS:
        return ML
    return CHANNELS_LAST if op_type in CHANNELS_LAST_OPS else ""


def is_op(node: ir.Node | None, *op_types: str) -> bool:
    """Whether a node is one of these IR ops (False for None, so that a producer can be passed as it is)."""
    return node is not None and node.op_type in op_types and node.domain == domain_of(node.op_type)
