"""Preprocessing of images that is part of the model."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower
from exporter.lower.keras.ops import Size
from exporter.lower.keras.reshaping import interpolation

__all__ = ["LAYERS"]


def rescaling(ctx: LayerContext) -> ir.Value:
    """x * scale + offset; both may be vectors over the channels."""
    x = ctx.ops.cast(ctx.x, ctx.dtype)
    scale, offset = _vector(ctx, "scale", 1.0), _vector(ctx, "offset", 0.0)
    y = ctx.ops("Mul", x, ctx.ops.builder.constant(scale, f"{ctx.name}/scale"))
    return ctx.ops("Add", y, ctx.ops.builder.constant(offset, f"{ctx.name}/offset"))


def _vector(ctx: LayerContext, key: str, default: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    value = ctx.settings.raw(key, default)
    if isinstance(value, list | tuple) and all(isinstance(item, int | float) for item in value):
        array = np.array(value, ctx.dtype.numpy())
        return array.reshape(-1, 1, 1) if ctx.channels_first and ctx.ops.rank(ctx.x) == 4 else array
    return np.array(ctx.settings.number(key, default), ctx.dtype.numpy())


def resizing(ctx: LayerContext) -> ir.Value:
    """The image at a fixed size, by interpolation between pixel centres."""
    ctx.settings.refuse("crop_to_aspect_ratio")
    ctx.settings.refuse("pad_to_aspect_ratio")
    ctx.settings.refuse("antialias")
    wanted = [ctx.settings.integer("height"), ctx.settings.integer("width")]
    x = ctx.ops.cast(ctx.x, ctx.dtype)
    alone = ctx.ops.rank(x) == 3
    x = ctx.ops.unsqueeze(x, 0) if alone else x
    x = ctx.ops.to_last(x) if ctx.channels_first else x
    y = _resized(ctx, x, wanted, ctx.settings.text("interpolation", "bilinear").lower())
    y = ctx.ops.to_first(y) if ctx.channels_first else y
    return ctx.ops.squeeze(y, 0) if alone else y


def _resized(ctx: LayerContext, x: ir.Value, wanted: list[int], method: str) -> ir.Value:
    ops = ctx.ops
    if ops.rank(x) != 4:
        return ctx.refuse("images without a batch axis")
    sizes = ops.vector([ops.size(x, 0), *wanted, ops.size(x, 3)])
    return ops("Resize", x, None, None, sizes, **interpolation(ctx, method))


def center_crop(ctx: LayerContext) -> ir.Value:
    """The middle of an image, the odd pixel cut at the end; a smaller image is made as large as is wanted.

    Where its size is known only at run time it has to be large enough: the engine stops at one that isn't.
    """
    ops, wanted = ctx.ops, [ctx.settings.integer("height"), ctx.settings.integer("width")]
    y = ops.cast(ctx.x, ctx.dtype)
    y = ops.to_last(y) if ctx.channels_first else y
    sizes = [ops.size(y, -3), ops.size(y, -2)]
    if any(isinstance(size, int) and size < least for size, least in zip(sizes, wanted, strict=True)):
        y = _smart_resized(ctx, y, wanted)
        return ops.to_first(y) if ctx.channels_first else y
    for axis, (size, count) in enumerate(zip(sizes, wanted, strict=True), ops.rank(y) - 3):
        start = _half(ctx, size, count)
        y = _cut(ctx, y, axis, start, count)
    if not all(isinstance(size, int) for size in sizes):
        batch = [0] * (ops.rank(y) - 3)
        y = ops.reshape(y, [*batch, *wanted, ops.size(y, -1)])
    return ops.to_first(y) if ctx.channels_first else y


def _half(ctx: LayerContext, size: Size, count: Size) -> Size:
    """What is left at the beginning when so many of so many are kept in the middle."""
    if isinstance(size, int) and isinstance(count, int):
        return (size - count) // 2
    ops = ctx.ops
    return ops("Div", ops("Sub", ops.vector([size]), ops.vector([count])), ops.ints(2))


def _cut(ctx: LayerContext, x: ir.Value, axis: int, start: Size, count: Size) -> ir.Value:
    """So many places along an axis, from a start."""
    ops = ctx.ops
    if isinstance(start, int) and isinstance(count, int):
        return ops.slice(x, axis, start, start + count)
    first = ops.vector([start])
    return ops("Slice", x, first, ops("Add", first, ops.vector([count])), ops.ints(axis), ops.ints(1))


def random_crop(ctx: LayerContext) -> ir.Value:
    """Keras 3 crops in training alone; Keras 2 then resizes the largest middle part of the target's proportions."""
    if ctx.major >= 3:
        return ctx.x
    wanted = [ctx.settings.integer("height"), ctx.settings.integer("width")]
    return _smart_resized(ctx, ctx.ops.cast(ctx.x, ctx.dtype), wanted)


def _smart_resized(ctx: LayerContext, x: ir.Value, wanted: list[int]) -> ir.Value:
    """The largest middle part of the target's proportions, at the target's size."""
    ops = ctx.ops
    sizes = [ops.size(x, -3), ops.size(x, -2)]
    for axis in (0, 1):
        kept = _in_proportion(ctx, sizes[axis], sizes[1 - axis], wanted[axis], wanted[1 - axis])
        x = _cut(ctx, x, ops.rank(x) - 3 + axis, _half(ctx, sizes[axis], kept), kept)
    return _resized(ctx, x, wanted, "bilinear")


def _in_proportion(ctx: LayerContext, size: Size, other: Size, wanted: int, wanted_other: int) -> Size:
    """How much of a size there is at most in the target's proportion to the other one, computed in float32."""
    if isinstance(size, int) and isinstance(other, int):
        kept = int(np.float32(other * wanted) / np.float32(wanted_other))
        return max(min(size, kept), 1)
    ops = ctx.ops
    product = ops.cast(ops("Mul", ops.vector([other]), ops.ints(wanted)), ir.DataType.FLOAT)
    kept_then = ops.cast(ops.compute("Div", product, wanted_other), ir.DataType.INT64)
    return ops("Max", ops("Min", ops.vector([size]), kept_then), ops.ints(1))


_WHITE = 255.0


def auto_contrast(ctx: LayerContext) -> ir.Value:
    """Each channel stretched over the range of values; one that is a single value stays."""
    ops, given = ctx.ops, ctx.settings.raw("value_range")
    low, high = given if isinstance(given, list | tuple) and len(given) == 2 else (0, _WHITE)
    original = ops.cast(ctx.x, ctx.dtype)
    x = ops.compute("Mul", ops.compute("Sub", original, low), _WHITE / (high - low))
    darkest = ops.reduce("ReduceMin", x, [1, 2], keepdims=True)
    spread = ops("Sub", ops.reduce("ReduceMax", x, [1, 2], keepdims=True), darkest)
    flat = ops("Equal", spread, ops.scalar(0, spread))
    scale = ops("Div", ops.scalar(_WHITE, x), ops("Where", flat, ops.scalar(1, spread), spread))
    y = ops("Clip", ops("Mul", ops("Sub", x, darkest), scale), ops.scalar(0, x), ops.scalar(_WHITE, x))
    y = ops.compute("Add", ops.compute("Mul", y, (high - low) / _WHITE), low)
    return ops("Where", flat, original, y)


LAYERS: dict[str, Lower] = {
    "AutoContrast": auto_contrast,
    "CenterCrop": center_crop,
    "RandomCrop": random_crop,
    "Rescaling": rescaling,
    "Resizing": resizing,
}
