"""Ops with weights, windows or statistics, and random numbers.

| op | inputs | attributes |
|---|---|---|
| Conv | X[N, *space, C], W[*kernel, C/group, M], B[M]? | strides, dilations, pads or auto_pad, group |
| ConvTranspose | X[N, *space, C], W[*kernel, M/group, C], B[M]? | strides, dilations, pads, output_padding, group |
| Dense | X[..., I], W[I, O], B[O]? | |
| MaxPool | X[N, *space, C] | kernel_shape, strides, dilations, pads or auto_pad |
| AveragePool | X[N, *space, C] | kernel_shape, strides, pads or auto_pad, count_include_pad |
| LRN | X[N, H, W, C] | size, alpha, beta, bias |
| BatchNormalization | X[..., C], scale[C], B[C], mean[C], var[C] | epsilon |

The others as in ONNX.
"""

from __future__ import annotations

from exporter.ir.opset import shape_rules as shapes
from exporter.ir.opset.record import CHANNELS_LAST, Op

__all__ = ["OPS"]

OPS = (
    Op(
        name="AveragePool",
        domain=CHANNELS_LAST,
        space=True,
        window=True,
        keeps_range=True,
        sign="inherited",
        shape=shapes.pool,
    ),
    Op(name="BatchNormalization", domain=CHANNELS_LAST, affine=True, shape=shapes.same),
    Op(name="Bernoulli", random=True),
    Op(name="Conv", domain=CHANNELS_LAST, space=True, window=True, weights="second", shape=shapes.conv),
    Op(
        name="ConvTranspose",
        domain=CHANNELS_LAST,
        space=True,
        window=True,
        weights="second",
        shape=shapes.conv_transpose,
    ),
    Op(name="Dense", domain=CHANNELS_LAST, weights="second", shape=shapes.dense),
    Op(name="Einsum", weights="either"),
    Op(name="GRU", rounding="relative"),
    Op(name="Gemm", weights="either"),
    Op(name="InstanceNormalization", rounding="relative"),
    Op(name="LRN", domain=CHANNELS_LAST, space=True, rounding="relative", shape=shapes.same),
    Op(name="LSTM", rounding="relative"),
    Op(name="LayerNormalization", rounding="relative"),
    Op(name="MatMul", weights="either", shape=shapes.matmul),
    Op(
        name="MaxPool",
        domain=CHANNELS_LAST,
        space=True,
        window=True,
        keeps_range=True,
        sign="inherited",
        shape=shapes.pool,
    ),
    Op(name="Multinomial", random=True),
    Op(name="RNN", rounding="relative"),
    Op(name="RandomNormal", random=True),
    Op(name="RandomNormalLike", random=True),
    Op(name="RandomUniform", random=True),
    Op(name="RandomUniformLike", random=True),
)
