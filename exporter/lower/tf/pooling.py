"""Pools over two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.layout import Layout, layout_of
from exporter.lower.tf.padding import padding_attributes
from exporter.lower.tf.patches import cut_windows
from exporter.lower.tf.vectors import cast, dim_value, join, scalar
from exporter.nn import layers

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
    kind = ctx.dtype(x)
    wide = x if kind.is_floating_point() else cast(ctx, x, ir.DataType.DOUBLE)
    last = layout.channels_last(ctx, wide)
    y = layers.pool(ctx.builder, op_type, last, size=window, strides=steps, padding=padding)
    return layout.restore(ctx, cast(ctx, y, kind))


def max_pool_v2(ctx: NodeContext) -> ir.Value:
    """`MaxPoolV2`: the window and strides are inputs."""
    layout = layout_of(ctx, 4)
    return _pooled(ctx, "MaxPool", layout, ctx.fixed_ints(1, "ksize"), ctx.fixed_ints(2, "strides"))


def max_pool_with_argmax(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`MaxPoolWithArgmax`: the largest elements and where they are, (y width + x) channels + c, the first of equals.

    With `include_batch_in_index` images before count, too.
    """
    layout = Layout(4, False)
    window, strides = (layout.spatial(ctx.integers(name), name) for name in ("ksize", "strides"))
    values = _pooled(ctx, "MaxPool", layout, ctx.integers("ksize"), ctx.integers("strides"))
    x = ctx.ranked(ctx.inputs[0], 4)
    kind = ctx.numpy_dtype(x)
    lowest = -np.inf if kind.kind == "f" else np.iinfo(kind).min
    found = cut_windows(ctx, x, window, strides, (1, 1), ctx.const(np.asarray(lowest, kind)))
    sizes = [join(ctx, [dim_value(ctx, x, axis)]) for axis in range(4)]
    flat = ctx.op("Reshape", found.elements, join(ctx, [*found.sizes, window[0] * window[1], sizes[3]]))
    best = ctx.op("ArgMax", flat, axis=3, keepdims=0)
    within = (ctx.op("Div", best, ctx.int64(window[1])), ctx.op("Mod", best, ctx.int64(window[1])))
    starts = (_steps(ctx, found.sizes[i + 1], strides[i], 2 - i) for i in (0, 1))
    padded = (ctx.op("Sub", start, join(ctx, [before])) for start, before in zip(starts, found.before, strict=True))
    y, x_place = (ctx.op("Add", start, place) for start, place in zip(padded, within, strict=True))
    place = ctx.op("Add", ctx.op("Mul", y, sizes[2]), x_place)
    place = ctx.op("Add", ctx.op("Mul", place, sizes[3]), _steps(ctx, sizes[3], 1, 0))
    if ctx.flag("include_batch_in_index", False):
        image = ctx.op("Mul", ctx.op("Mul", sizes[1], sizes[2]), sizes[3])
        place = ctx.op("Add", place, ctx.op("Mul", _steps(ctx, sizes[0], 1, 3), image))
    return values, cast(ctx, place, ctx.element_type("Targmax", 9))


def _steps(ctx: NodeContext, count: int | ir.Value, stride: int, axes_after: int) -> ir.Value:
    """0, stride, 2 stride, ... as it broadcasts with so many axes after it."""
    numbers = ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [count])), ctx.int64(1))
    return ctx.op("Reshape", ctx.op("Mul", numbers, ctx.int64(stride)), ctx.int64([-1] + [1] * axes_after))


OPS: dict[str, OpFunction] = {
    "AvgPool": _pool("AveragePool", 4),
    "AvgPool3D": _pool("AveragePool", 5),
    "MaxPool": _pool("MaxPool", 4),
    "MaxPool3D": _pool("MaxPool", 5),
    "MaxPoolV2": max_pool_v2,
    "MaxPoolWithArgmax": max_pool_with_argmax,
}
