"""Colours of images: red, green and blue in the last axis, or hue, saturation and value."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.vectors import cast

__all__ = ["OPS"]


def _parts(ctx: NodeContext, x: ir.Value) -> list[ir.Value]:
    """The three channels, each with a last axis of 1."""
    return [ctx.op("Slice", x, ctx.int64([i]), ctx.int64([i + 1]), ctx.int64([-1])) for i in range(3)]


def _to_hsv(ctx: NodeContext, x: ir.Value) -> list[ir.Value]:
    """Hue from 0 to 1, saturation (max - min) / max, value max; where there is no colour hue and saturation are 0."""
    r, g, b = _parts(ctx, x)
    zero, one = ctx.scalar(0, x), ctx.scalar(1, x)
    value = ctx.op("ReduceMax", x, ctx.int64([-1]), keepdims=1)
    width = ctx.op("Sub", value, ctx.op("ReduceMin", x, ctx.int64([-1]), keepdims=1))
    saturation = ctx.op("Where", ctx.op("Greater", value, zero), ctx.op("Div", width, value), zero)
    coloured = ctx.op("Greater", width, zero)
    share = ctx.op("Div", ctx.scalar(1 / 6, x), ctx.op("Where", coloured, width, one))
    red = ctx.op("Mul", share, ctx.op("Sub", g, b))
    green = ctx.op("Add", ctx.op("Mul", share, ctx.op("Sub", b, r)), ctx.scalar(2 / 6, x))
    blue = ctx.op("Add", ctx.op("Mul", share, ctx.op("Sub", r, g)), ctx.scalar(4 / 6, x))
    hue = ctx.op("Where", ctx.op("Equal", g, value), green, blue)
    hue = ctx.op("Where", ctx.op("Equal", r, value), red, hue)
    hue = ctx.op("Where", coloured, hue, zero)
    hue = ctx.op("Where", ctx.op("Less", hue, zero), ctx.op("Add", hue, one), hue)
    return [hue, saturation, value]


def _to_rgb(ctx: NodeContext, hue: ir.Value, saturation: ir.Value, value: ir.Value) -> ir.Value:
    """(1 - s + s d) v, where d of red, green and blue is how near the hue is to it, cut off at 0 and 1."""
    zero, one, two = (ctx.scalar(number, hue) for number in (0, 1, 2))
    six = ctx.op("Mul", hue, ctx.scalar(6, hue))
    far = [ctx.op("Abs", ctx.op("Sub", six, ctx.scalar(number, hue))) for number in (3, 2, 4)]
    near = [ctx.op("Sub", far[0], one), ctx.op("Sub", two, far[1]), ctx.op("Sub", two, far[2])]
    rest = ctx.op("Sub", one, saturation)
    parts = [
        ctx.op("Mul", ctx.op("Add", rest, ctx.op("Mul", saturation, ctx.op("Clip", d, zero, one))), value) for d in near
    ]
    return ctx.op("Concat", *parts, axis=-1)


def rgb_to_hsv(ctx: NodeContext) -> ir.Value:
    """`RGBToHSV`."""
    return ctx.op("Concat", *_to_hsv(ctx, ctx.inputs[0]), axis=-1)


def hsv_to_rgb(ctx: NodeContext) -> ir.Value:
    """`HSVToRGB`."""
    return _to_rgb(ctx, *_parts(ctx, ctx.inputs[0]))


def adjust_hue(ctx: NodeContext) -> ir.Value:
    """`AdjustHue`: the hue turned by a share of the whole circle."""
    x, delta = ctx.inputs
    wide = cast(ctx, x, ir.DataType.FLOAT)
    hue, saturation, value = _to_hsv(ctx, wide)
    turned = ctx.op("Add", hue, cast(ctx, delta, ir.DataType.FLOAT))
    turned = ctx.op("Sub", turned, ctx.op("Floor", turned))
    return cast(ctx, _to_rgb(ctx, turned, saturation, value), ctx.dtype(x))


def adjust_saturation(ctx: NodeContext) -> ir.Value:
    """`AdjustSaturation`: the saturation multiplied by a factor, from 0 to 1."""
    x, factor = ctx.inputs
    wide = cast(ctx, x, ir.DataType.FLOAT)
    hue, saturation, value = _to_hsv(ctx, wide)
    scaled = ctx.op("Mul", saturation, cast(ctx, factor, ir.DataType.FLOAT))
    scaled = ctx.op("Clip", scaled, ctx.scalar(0, scaled), ctx.scalar(1, scaled))
    return cast(ctx, _to_rgb(ctx, hue, scaled, value), ctx.dtype(x))


def adjust_contrast(ctx: NodeContext) -> ir.Value:
    """`AdjustContrastv2`: (x - mean) factor + mean, with the mean of each channel of each image."""
    x, factor = ctx.inputs
    wide = cast(ctx, x, ir.DataType.FLOAT)
    mean = ctx.op("ReduceMean", wide, ctx.int64([-3, -2]), keepdims=1)
    apart = ctx.op("Mul", ctx.op("Sub", wide, mean), cast(ctx, factor, ir.DataType.FLOAT))
    return cast(ctx, ctx.op("Add", apart, mean), ctx.dtype(x))


OPS: dict[str, OpFunction] = {
    "AdjustContrastv2": adjust_contrast,
    "AdjustHue": adjust_hue,
    "AdjustSaturation": adjust_saturation,
    "HSVToRGB": hsv_to_rgb,
    "RGBToHSV": rgb_to_hsv,
}
