"""Preprocessing of images that is part of the model."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower
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
    x = ctx.ops.to_last(x) if ctx.channels_first else x
    y = _resized(ctx, x, wanted, ctx.settings.text("interpolation", "bilinear").lower())
    return ctx.ops.to_first(y) if ctx.channels_first else y


def _resized(ctx: LayerContext, x: ir.Value, wanted: list[int], method: str) -> ir.Value:
    if ctx.ops.rank(x) != 4:
        return ctx.refuse("images without a batch axis")
    ops = ctx.ops
    sizes = ops.vector([ops.size(x, 0), *wanted, ops.size(x, 3)])
    return ops("Resize", x, None, None, sizes, **interpolation(ctx, method))


def center_crop(ctx: LayerContext) -> ir.Value:
    """The middle of an image that is large enough; the odd pixel is cut at the end."""
    ops = ctx.ops
    y = ops.cast(ctx.x, ctx.dtype)
    first = 2 if ctx.channels_first else 1
    for axis, key in ((first, "height"), (first + 1, "width")):
        wanted, size = ctx.settings.integer(key), ctx.channels(y, axis)
        if size < wanted:
            return ctx.refuse(f"an image of {key} {size} is smaller than the crop, {wanted}")
        start = (size - wanted) // 2
        y = ops.slice(y, axis, start, start + wanted)
    return y


def random_crop(ctx: LayerContext) -> ir.Value:
    """Keras 3 crops in training alone; Keras 2 then resizes the largest middle part of the target's proportions."""
    if ctx.major >= 3:
        return ctx.x
    ops, wanted = ctx.ops, [ctx.settings.integer("height"), ctx.settings.integer("width")]
    y = ops.cast(ctx.x, ctx.dtype)
    sizes = [ctx.channels(y, -3), ctx.channels(y, -2)]
    for axis in (0, 1):
        other = 1 - axis
        kept = min(sizes[axis], int(np.float32(sizes[other] * wanted[axis]) / np.float32(wanted[other])))
        start = int((sizes[axis] - kept) / 2)
        y = ops.slice(y, axis - 3, start, start + kept)
    return _resized(ctx, y, wanted, "bilinear")


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
