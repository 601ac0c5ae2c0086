"""Patches and crops of images."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.layout import Layout
from exporter.lower.tf.padding import extents, padding_attributes
from exporter.lower.tf.vectors import cast, dim_value, join

__all__ = ["OPS"]

_MOST = 2048
"""Elements of a patch up to which a one-hot kernel, of that number squared, cuts it out."""


def extract_patches(ctx: NodeContext) -> ir.Value:
    """`ExtractImagePatches`, `ExtractVolumePatches`: each window's elements as channels, by a one-hot convolution."""
    ksizes = ctx.integers("ksizes")
    layout = Layout(len(ksizes), channels_first=False)
    x = ctx.ranked(ctx.inputs[0], layout.rank)
    window, strides = layout.spatial(ksizes, "ksizes"), layout.spatial(ctx.integers("strides"), "strides")
    rates = layout.spatial(ctx.integers("rates", (1,) * layout.rank), "rates")
    dims = ctx.shape(x) or ()
    channels = dims[-1]
    if not isinstance(channels, int) or prod(window) * channels > _MOST:
        raise RefusalError(
            f"a patch has {'x'.join(map(str, [*window, channels]))} elements, at most {_MOST} can be cut"
        )
    size = prod(window) * channels
    kernel = ctx.const(np.eye(size, dtype=ctx.numpy_dtype(x)).reshape(*window, channels, size))
    padding = padding_attributes(ctx, layout, dims[1:-1], extents(window, rates), strides)
    return ctx.op("Conv", x, kernel, strides=strides, dilations=rates, **padding)


def crop_and_resize(ctx: NodeContext) -> ir.Value:
    """`CropAndResize`: boxes [n, 4] of y1, x1, y2, x2, where 1 is the last pixel, resized to one size.

    Points outside the image have the extrapolation value.
    """
    image, boxes, numbers, _ = ctx.inputs
    height, width = ctx.fixed_ints(3, "the size of its crops")
    image = cast(ctx, ctx.ranked(image, 4), ir.DataType.FLOAT)
    rows, low_y, high_y = _points(ctx, image, boxes, 0, height)
    columns, low_x, high_x = _points(ctx, image, boxes, 1, width)
    y, x = ctx.op("Unsqueeze", rows, ctx.int64([2])), ctx.op("Unsqueeze", columns, ctx.int64([1]))
    value = _sampled(ctx, image, numbers, y, x)
    inside = ctx.op(
        "And",
        ctx.op("Unsqueeze", ctx.op("And", low_y, high_y), ctx.int64([2, 3])),
        ctx.op("Unsqueeze", ctx.op("And", low_x, high_x), ctx.int64([1, 3])),
    )
    return ctx.op("Where", inside, value, ctx.scalar(ctx.number("extrapolation_value", 0.0), value))


def _points(
    ctx: NodeContext, image: ir.Value, boxes: ir.Value, side: int, count: int
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Where [n, count] a crop's points lie along an axis, and whether that is not before and not behind the image."""
    size = ctx.op("Cast", join(ctx, [dim_value(ctx, image, side + 1)]), to=ir.DataType.FLOAT.value)
    last = ctx.op("Sub", size, ctx.scalar(1, size))
    first, second = (ctx.op("Gather", boxes, ctx.int64([i]), axis=1) for i in (side, side + 2))
    if count > 1:
        step = ctx.op("Mul", ctx.op("Sub", second, first), ctx.op("Div", last, ctx.scalar(count - 1, last)))
        places = ctx.const(np.arange(count, dtype=np.float32))
        points = ctx.op("Add", ctx.op("Mul", first, last), ctx.op("Mul", step, places))
    else:
        middle = ctx.op("Mul", ctx.op("Add", first, second), ctx.scalar(0.5, first))
        points = ctx.op("Mul", middle, last)
    not_before = ctx.op("GreaterOrEqual", points, ctx.scalar(0, points))
    not_behind = ctx.op("LessOrEqual", points, last)
    return ctx.op("Max", ctx.op("Min", points, last), ctx.scalar(0, points)), not_before, not_behind


def _sampled(ctx: NodeContext, image: ir.Value, numbers: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
    """The image at y [n, h, 1] and x [n, 1, w]: between pixels the weighted mean of four, or the nearest."""
    method = ctx.text("method", "bilinear")
    batch = cast(ctx, ctx.op("Reshape", numbers, ctx.int64([-1, 1, 1])), ir.DataType.INT64)
    if method == "nearest":
        half = ctx.scalar(0.5, y)
        return _pixels(ctx, image, batch, *(ctx.op("Floor", ctx.op("Add", place, half)) for place in (y, x)))
    if method != "bilinear":
        raise RefusalError(f"method is {method!r}")
    top, left = ctx.op("Floor", y), ctx.op("Floor", x)
    bottom, right = ctx.op("Ceil", y), ctx.op("Ceil", x)
    down = ctx.op("Unsqueeze", ctx.op("Sub", y, top), ctx.int64([3]))
    along = ctx.op("Unsqueeze", ctx.op("Sub", x, left), ctx.int64([3]))
    upper = _between(ctx, _pixels(ctx, image, batch, top, left), _pixels(ctx, image, batch, top, right), along)
    lower = _between(ctx, _pixels(ctx, image, batch, bottom, left), _pixels(ctx, image, batch, bottom, right), along)
    return _between(ctx, upper, lower, down)


def _between(ctx: NodeContext, a: ir.Value, b: ir.Value, part: ir.Value) -> ir.Value:
    return ctx.op("Add", a, ctx.op("Mul", ctx.op("Sub", b, a), part))


def _pixels(ctx: NodeContext, image: ir.Value, batch: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
    """image[batch, y, x], the three broadcast together."""
    rows, columns = (cast(ctx, place, ir.DataType.INT64) for place in (y, x))
    zero = ctx.op("Mul", ctx.op("Add", ctx.op("Add", batch, rows), columns), ctx.int64(0))
    parts = [ctx.op("Unsqueeze", ctx.op("Add", part, zero), ctx.int64([3])) for part in (batch, rows, columns)]
    return ctx.op("GatherND", image, ctx.op("Concat", *parts, axis=3))


OPS: dict[str, OpFunction] = {
    "CropAndResize": crop_and_resize,
    "ExtractImagePatches": extract_patches,
    "ExtractVolumePatches": extract_patches,
}
