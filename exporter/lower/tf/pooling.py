"""Pools over two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from exporter.lower.gaps import without_last_gap
from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.layout import Layout, layout_of
from exporter.lower.tf.padding import padding_attributes

__all__ = ["OPS"]


def _pool(op_type: str, rank: int) -> OpFunction:
    def pool(ctx: NodeContext) -> ir.Value:
        layout = layout_of(ctx, rank)
        return _pooled(ctx, op_type, layout, ctx.integers("ksize"), ctx.integers("strides"))

    return pool


def _pooled(ctx: NodeContext, op_type: str, layout: Layout, kernel: Sequence[int], strides: Sequence[int]) -> ir.Value:
    x = ctx.ranked(ctx.inputs[0], layout.rank)
    window, steps = layout.spatial(kernel, "ksize"), layout.spatial(strides, "strides")
    dims = ctx.shape(x)
    assert dims is not None
    padding = padding_attributes(ctx, layout, [dims[axis] for axis in layout.space], window, steps)
    last = layout.channels_last(ctx, x)
    last = without_last_gap(ctx.builder, last, window, steps) if "auto_pad" in padding else last
    y = ctx.op(op_type, last, kernel_shape=window, strides=steps, **padding)
    return layout.restore(ctx, y)


def max_pool_v2(ctx: NodeContext) -> ir.Value:
    """`MaxPoolV2`: the window and strides are inputs."""
    layout = layout_of(ctx, 4)
    return _pooled(ctx, "MaxPool", layout, ctx.fixed_ints(1, "ksize"), ctx.fixed_ints(2, "strides"))


def max_pool_with_argmax(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`MaxPoolWithArgmax`: its values; the positions have no translation."""
    return (_pooled(ctx, "MaxPool", Layout(4, False), ctx.integers("ksize"), ctx.integers("strides")),)


OPS: dict[str, OpFunction] = {
    "AvgPool": _pool("AveragePool", 4),
    "AvgPool3D": _pool("AveragePool", 5),
    "MaxPool": _pool("MaxPool", 4),
    "MaxPool3D": _pool("MaxPool", 5),
    "MaxPoolV2": max_pool_v2,
    "MaxPoolWithArgmax": max_pool_with_argmax,
}
