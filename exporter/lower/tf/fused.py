"""Ops that TensorFlow's graph optimiser makes of several, as they are found in frozen graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from exporter.lower.tf.activations import FUSED_ACTIVATIONS
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.convolution import convolution, depthwise
from exporter.lower.tf.dense import matmul
from exporter.lower.tf.layout import Layout, layout_of
from exporter.lower.tf.normalization import fused_batch_norm

__all__ = ["OPS"]


def _fused(linear: Callable[[NodeContext], ir.Value], rank: int) -> OpFunction:
    """A linear op and what `fused_ops` says follows it."""

    def lower(ctx: NodeContext) -> ir.Value:
        layout = layout_of(ctx, rank) if rank > 2 else Layout(2, channels_first=False)
        if ctx.text("filter_format", "HWIO") != "HWIO":
            raise RefusalError(f"filter_format is {ctx.text('filter_format')!r}")
        y = layout.channels_last(ctx, linear(ctx.first(2)))
        others = iter(ctx.inputs[2:])
        for name in ctx.texts("fused_ops"):
            y = _after(ctx, y, name, others)
        return layout.restore(ctx, y)

    return lower


def _after(ctx: NodeContext, y: ir.Value, name: str, others: Iterator[ir.Value]) -> ir.Value:
    """One op of those that follow, on y with its channels last."""
    if name == "BiasAdd":
        return ctx.op("Add", y, next(others))
    if name == "FusedBatchNorm":
        parameters = [next(others) for _ in range(4)]
        return ctx.op("BatchNormalization", y, *parameters, epsilon=ctx.number("epsilon", 1e-4))
    if name == "LeakyRelu":
        return ctx.op("LeakyRelu", y, alpha=ctx.number("leakyrelu_alpha", 0.2))
    if name not in FUSED_ACTIVATIONS:
        raise RefusalError(f"fused_ops has {name!r}")
    return FUSED_ACTIVATIONS[name](ctx, y)


def batch_norm_ex(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`_FusedBatchNormEx`: a batch norm, another tensor added to it, an activation."""
    y, *statistics = fused_batch_norm(ctx.first(5))
    for other in ctx.inputs[5:]:
        y = ctx.op("Add", y, other)
    mode = ctx.text("activation_mode", "Identity")
    if mode not in ("Identity", "Relu"):
        raise RefusalError(f"activation_mode is {mode!r}")
    return (ctx.op("Relu", y) if mode == "Relu" else y, *statistics)


OPS: dict[str, OpFunction] = {
    "_FusedBatchNormEx": batch_norm_ex,
    "_FusedConv2D": _fused(convolution(4), 4),
    "_FusedDepthwiseConv2dNative": _fused(depthwise, 4),
    "_FusedMatMul": _fused(matmul, 2),
}
