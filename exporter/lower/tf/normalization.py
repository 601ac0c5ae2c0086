"""Normalisations: batch norms with moving or own statistics, local response normalisation."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.inference.model import BATCH_NORM
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.layout import Layout, layout_of
from exporter.lower.tf.vectors import cast

__all__ = ["OPS", "fused_batch_norm"]


def _normalize(
    ctx: NodeContext, x: ir.Value, parameters: tuple[ir.Value, ...], epsilon: float, channels: int | None
) -> ir.Value:
    """The IR's batch norm of gamma, beta, mean, variance; `channels` is the axis of the channels, None for the last.

    A half-precision x is computed with in the parameters' float32, as TensorFlow does it.
    """
    kind, wide = ctx.dtype(x), ctx.dtype(parameters[0])
    x = cast(ctx, x, wide)
    rank = None if channels is None else ctx.rank(x)
    order = [] if rank is None or channels is None else [i for i in range(rank) if i != channels] + [channels]
    if order != sorted(order):
        x = ctx.op("Transpose", x, perm=order)
    metadata = {} if ctx.batch_norm is None else {"batch_norm": ctx.batch_norm}
    with ctx.builder.source(ctx.node.name, **metadata):
        y = ctx.op("BatchNormalization", x, *parameters, epsilon=epsilon)
    if order != sorted(order):
        y = ctx.op("Transpose", y, perm=[order.index(i) for i in range(len(order))])
    return cast(ctx, y, kind)


def batch_norm(ctx: NodeContext) -> ir.Value:
    """A batch norm that was recognised in arithmetic."""
    x, gamma, beta, mean, variance = ctx.inputs
    axis = ctx.integer("axis")
    dims = ctx.shape(x)
    if axis < 0 and dims is not None:
        axis += len(dims)
    return _normalize(ctx, x, (gamma, beta, mean, variance), ctx.number("epsilon"), None if axis == -1 else axis)


def _fused_layout(ctx: NodeContext) -> Layout:
    x = ctx.inputs[0]
    spatial = ctx.text("data_format", "NHWC")
    rank = 5 if spatial in ("NDHWC", "NCDHW") else 4
    ctx.ranked(x, rank)
    return layout_of(ctx, rank)


def fused_batch_norm(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`FusedBatchNorm*`: y, mean and variance; with its own statistics where `is_training` is kept on purpose."""
    x, gamma, beta, mean, variance = ctx.inputs
    layout = _fused_layout(ctx)
    epsilon = ctx.number("epsilon", 1e-4)
    if ctx.flag("is_training", True):
        return _with_own_statistics(ctx, layout, epsilon)
    y = _normalize(ctx, x, (gamma, beta, mean, variance), epsilon, layout.channel)
    return y, mean, variance


def _with_own_statistics(ctx: NodeContext, layout: Layout, epsilon: float) -> tuple[ir.Value, ...]:
    """(x - m) / sqrt(v + epsilon) * gamma + beta; m is the mean and v the mean square deviation of each channel."""
    gamma, beta = ctx.inputs[1:3]
    kind = ctx.dtype(ctx.inputs[0])
    x = cast(ctx, layout.channels_last(ctx, ctx.inputs[0]), ctx.dtype(gamma))
    axes = ctx.const(np.arange(layout.rank - 1, dtype=np.int64))
    mean = ctx.op("ReduceMean", x, axes, keepdims=1)
    centred = ctx.op("Sub", x, mean)
    variance = ctx.op("ReduceMean", ctx.op("Mul", centred, centred), axes, keepdims=1)
    root = ctx.op("Sqrt", ctx.op("Add", variance, ctx.scalar(epsilon, variance)))
    y = ctx.op("Add", ctx.op("Mul", ctx.op("Div", centred, root), gamma), beta)
    return cast(ctx, layout.restore(ctx, y), kind), ctx.op("Squeeze", mean, axes)


def global_normalization(ctx: NodeContext) -> ir.Value:
    """`BatchNormWithGlobalNormalization`; gamma only counts with `scale_after_normalization`."""
    x, mean, variance, beta, gamma = ctx.inputs
    if not ctx.flag("scale_after_normalization"):
        sizes = ctx.sizes(gamma)
        if sizes is None:
            raise RefusalError("the number of its channels is not known")
        gamma = ctx.const(np.ones(sizes, ctx.numpy_dtype(x)))
    return _normalize(ctx, x, (gamma, beta, mean, variance), ctx.number("variance_epsilon"), None)


def local_response(ctx: NodeContext) -> ir.Value:
    """x / (bias + alpha s)^beta; s is the sum of x^2 over depth_radius channels on each side.

    ONNX divides alpha by the number of channels in the sum.
    """
    size = 2 * ctx.integer("depth_radius", 5) + 1
    return ctx.op(
        "LRN",
        ctx.ranked(ctx.inputs[0], 4),
        size=size,
        alpha=ctx.number("alpha", 1.0) * size,
        beta=ctx.number("beta", 0.5),
        bias=ctx.number("bias", 1.0),
    )


OPS: dict[str, OpFunction] = {
    BATCH_NORM: batch_norm,
    "BatchNormWithGlobalNormalization": global_normalization,
    "FusedBatchNorm": fused_batch_norm,
    "FusedBatchNormV2": fused_batch_norm,
    "FusedBatchNormV3": fused_batch_norm,
    "LRN": local_response,
}
