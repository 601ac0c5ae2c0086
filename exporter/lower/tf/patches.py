"""Patches and crops of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.layout import Layout
from exporter.lower.tf.vectors import cast, dim_value, element, join, scalar

__all__ = ["OPS", "cut_windows"]


def extract_patches(ctx: NodeContext) -> ir.Value:
    """`ExtractImagePatches`, `ExtractVolumePatches`: each window's elements, its channels last, as channels."""
    ksizes = ctx.integers("ksizes")
    layout = Layout(len(ksizes), channels_first=False)
    x = ctx.ranked(ctx.inputs[0], layout.rank)
    window, strides = layout.spatial(ksizes, "ksizes"), layout.spatial(ctx.integers("strides"), "strides")
    rates = layout.spatial(ctx.integers("rates", (1,) * layout.rank), "rates")
    found = cut_windows(ctx, x, window, strides, rates, ctx.scalar(0, x))
    depth = ctx.op("Mul", join(ctx, [dim_value(ctx, x, layout.rank - 1)]), ctx.int64([prod(window)]))
    return ctx.op("Reshape", found.elements, join(ctx, [*found.sizes, element(ctx, depth, 0)]))


@dataclass(frozen=True, slots=True)
class CutWindows:
    """The windows of a tensor x[n, *space, c].

    Attributes:
        elements: [n, *windows, *window, c].
        sizes: n and how many windows there are along each axis.
        before: How much SAME pads before each axis.
    """

    elements: ir.Value
    sizes: list[int | ir.Value]
    before: list[int | ir.Value]


def cut_windows(
    ctx: NodeContext, x: ir.Value, window: Sequence[int], strides: Sequence[int], rates: Sequence[int], fill: ir.Value
) -> CutWindows:
    """Cuts out windows, as `padding` says: along each axis the places [windows, window] are gathered."""
    rank = len(window) + 2
    channels, batch = dim_value(ctx, x, rank - 1), dim_value(ctx, x, 0)
    axes = [
        _windows(ctx, x, axis, (size - 1) * rate + 1, stride)
        for axis, size, stride, rate in zip(range(1, rank - 1), window, strides, rates, strict=True)
    ]
    pads = join(ctx, [0, *(found.before for found in axes), 0, 0, *(found.after for found in axes), 0])
    if any(ctx.ints_of(pads) or [1]):
        x = ctx.op("Pad", x, pads, fill)
    for axis, (found, size, rate) in enumerate(zip(axes, window, rates, strict=True), start=1):
        offsets = ctx.const(np.arange(0, size * rate, rate, dtype=np.int64))
        index = ctx.op("Add", ctx.op("Unsqueeze", found.first, ctx.int64([1])), offsets)
        x = ctx.op("Gather", x, ctx.op("Reshape", index, ctx.int64([-1])), axis=axis)
    counts = [found.count for found in axes]
    pairs = [item for pair in zip(counts, window, strict=True) for item in pair]
    x = ctx.op("Reshape", x, join(ctx, [batch, *pairs, channels]))
    order = [0, *range(1, 2 * len(window), 2), *range(2, 2 * len(window) + 1, 2), 2 * len(window) + 1]
    return CutWindows(ctx.op("Transpose", x, perm=order), [batch, *counts], [found.before for found in axes])


@dataclass(frozen=True, slots=True)
class _Windows:
    """The windows along one axis: the first place of each, how many there are, and what is padded on both sides."""

    first: ir.Value
    count: int | ir.Value
    before: int | ir.Value
    after: int | ir.Value


def _windows(ctx: NodeContext, x: ir.Value, axis: int, reach: int, stride: int) -> _Windows:
    padding = ctx.text("padding")
    if padding not in ("SAME", "VALID"):
        raise RefusalError(f"padding is {padding!r}")
    size, step, one = join(ctx, [dim_value(ctx, x, axis)]), ctx.int64([stride]), ctx.int64([1])
    before = after = ctx.int64([0])
    if padding == "SAME":
        count = ctx.op("Div", ctx.op("Add", size, ctx.int64([stride - 1])), step)
        wanted = ctx.op("Add", ctx.op("Mul", ctx.op("Sub", count, one), step), ctx.int64([reach]))
        total = ctx.op("Max", ctx.op("Sub", wanted, size), ctx.int64([0]))
        before = ctx.op("Div", total, ctx.int64([2]))
        after = ctx.op("Sub", total, before)
    else:
        count = ctx.op("Div", ctx.op("Add", size, ctx.int64([stride - reach])), step)
    first = ctx.op("Mul", ctx.op("Range", ctx.int64(0), scalar(ctx, count), ctx.int64(1)), ctx.int64(stride))
    return _Windows(first, *(element(ctx, number, 0) for number in (count, before, after)))


def crop_and_resize(ctx: NodeContext) -> ir.Value:
    """`CropAndResize`: boxes [n, 4] of y1, x1, y2, x2, where 1 is the last pixel, resized to one size.

    Points outside the image have the extrapolation value.
    """
    image, boxes, numbers, crop = ctx.inputs
    image = cast(ctx, ctx.ranked(image, 4), ir.DataType.FLOAT)
    rows, columns = (_points(ctx, image, boxes, side, join(ctx, [element(ctx, crop, side)])) for side in (0, 1))
    y, x = ctx.op("Unsqueeze", rows.places, ctx.int64([2])), ctx.op("Unsqueeze", columns.places, ctx.int64([1]))
    value = _sampled(ctx, image, numbers, y, x)
    inside = ctx.op(
        "And",
        ctx.op("Unsqueeze", rows.inside, ctx.int64([2, 3])),
        ctx.op("Unsqueeze", columns.inside, ctx.int64([1, 3])),
    )
    return ctx.op("Where", inside, value, ctx.scalar(ctx.number("extrapolation_value", 0.0), value))


@dataclass(frozen=True, slots=True)
class _Points:
    """Where [n, count] the points of crops lie along an axis, moved into the image, and whether they were inside."""

    places: ir.Value
    inside: ir.Value


def _points(ctx: NodeContext, image: ir.Value, boxes: ir.Value, side: int, count: ir.Value) -> _Points:
    """first * (size - 1) + i * ((second - first) * (size - 1) / (count - 1)), or the middle of the box if count is 1.

    In this order: the point at the end of a box may be outside by one rounding.
    """
    last = cast(ctx, ctx.op("Sub", join(ctx, [dim_value(ctx, image, side + 1)]), ctx.int64([1])), ir.DataType.FLOAT)
    before = ctx.op("Sub", count, ctx.int64([1]))
    first, second = (ctx.op("Gather", boxes, ctx.int64([i]), axis=1) for i in (side, side + 2))
    with ctx.as_written():
        middle = ctx.op("Mul", ctx.op("Mul", ctx.op("Add", first, second), ctx.scalar(0.5, first)), last)
        points = middle
        if ctx.ints_of(before) != [0]:
            numbers = cast(ctx, ctx.op("Range", ctx.int64(0), scalar(ctx, count), ctx.int64(1)), ir.DataType.FLOAT)
            width = ctx.op("Mul", ctx.op("Sub", second, first), last)
            step = ctx.op("Div", width, cast(ctx, before, ir.DataType.FLOAT))
            points = ctx.op("Add", ctx.op("Mul", first, last), ctx.op("Mul", numbers, step))
            if ctx.ints_of(before) is None:
                points = ctx.op("Where", ctx.op("Equal", before, ctx.int64([0])), middle, points)
    zero = ctx.scalar(0, points)
    inside = ctx.op("And", ctx.op("GreaterOrEqual", points, zero), ctx.op("LessOrEqual", points, last))
    return _Points(ctx.op("Max", ctx.op("Min", points, last), zero), inside)


def _sampled(ctx: NodeContext, image: ir.Value, numbers: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
    """The image at y [n, h, 1] and x [n, 1, w]: between pixels the weighted mean of four, or the nearest."""
    method = ctx.text("method", "bilinear")
    batch = cast(ctx, ctx.op("Reshape", numbers, ctx.int64([-1, 1, 1])), ir.DataType.INT64)
    if method == "nearest":
        return _pixels(ctx, image, batch, *(_half_up(ctx, place) for place in (y, x)))
    if method != "bilinear":
        raise RefusalError(f"method is {method!r}")
    top, left = ctx.op("Floor", y), ctx.op("Floor", x)
    bottom, right = ctx.op("Ceil", y), ctx.op("Ceil", x)
    down = ctx.op("Unsqueeze", ctx.op("Sub", y, top), ctx.int64([3]))
    along = ctx.op("Unsqueeze", ctx.op("Sub", x, left), ctx.int64([3]))
    upper = _between(ctx, _pixels(ctx, image, batch, top, left), _pixels(ctx, image, batch, top, right), along)
    lower = _between(ctx, _pixels(ctx, image, batch, bottom, left), _pixels(ctx, image, batch, bottom, right), along)
    return _between(ctx, upper, lower, down)


def extract_glimpse(ctx: NodeContext) -> ir.Value:
    """`ExtractGlimpse`: a window of each image [n, h, w, c] around an offset [n, 2] of y and x, 0 outside the image.

    Normalized offsets are shares of the image's size, centered ones are half of that from its middle.
    """
    image, offsets = ctx.ranked(ctx.inputs[0], 4), ctx.inputs[2]
    if ctx.flag("uniform_noise", True) or ctx.text("noise", "uniform") != "zero":
        raise RefusalError("it fills what is outside of the image with noise")
    places, inside = [], []
    for axis in (0, 1):
        count = ctx.fixed_ints(1, "its size")[axis]
        extent = join(ctx, [dim_value(ctx, image, axis + 1)])
        length = cast(ctx, extent, ir.DataType.FLOAT)
        with ctx.as_written():
            start = ctx.op("Gather", offsets, ctx.int64([axis]), axis=1)
            first = cast(ctx, _glimpse_start(ctx, start, length, count), ir.DataType.INT64)
        place = ctx.op("Add", first, ctx.const(np.arange(count, dtype=np.int64)))
        inner = ctx.op("And", ctx.op("GreaterOrEqual", place, ctx.int64(0)), ctx.op("Less", place, extent))
        places.append(ctx.op("Unsqueeze", ctx.op("Where", inner, place, ctx.int64(0)), ctx.int64([2 - axis])))
        inside.append(ctx.op("Unsqueeze", inner, ctx.int64([2 - axis, 3])))
    number = ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [dim_value(ctx, image, 0)])), ctx.int64(1))
    batch = ctx.op("Reshape", number, ctx.int64([-1, 1, 1]))
    found = _pixels(ctx, image, batch, *places)
    return ctx.op("Where", ctx.op("And", *inside), found, ctx.scalar(0, image))


def _glimpse_start(ctx: NodeContext, start: ir.Value, length: ir.Value, count: int) -> ir.Value:
    """Where a glimpse begins; only version 1 takes half of it off everywhere."""
    normalized, centered = ctx.flag("normalized", True), ctx.flag("centered", True)
    old, two = not ctx.node.op.endswith("V2"), ctx.scalar(2, start)
    if normalized:
        start = ctx.op("Mul", start, length)
    if centered:
        start = ctx.op("Div", start, two) if normalized or old else start
        start = ctx.op("Add", start, ctx.op("Div", length, two))
    if old or (normalized and centered):
        return ctx.op("Sub", start, ctx.scalar(count / 2, start))
    return start


def _half_up(ctx: NodeContext, place: ir.Value) -> ir.Value:
    """The nearest integer, of two the one above; the number below 1/2 to which 1/2 can't be added is below."""
    low = ctx.op("Floor", place)
    above = ctx.op("GreaterOrEqual", ctx.op("Sub", place, low), ctx.scalar(0.5, place))
    return ctx.op("Add", low, cast(ctx, above, ctx.dtype(place)))


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
    "ExtractGlimpse": extract_glimpse,
    "ExtractGlimpseV2": extract_glimpse,
    "ExtractImagePatches": extract_patches,
    "ExtractVolumePatches": extract_patches,
}
