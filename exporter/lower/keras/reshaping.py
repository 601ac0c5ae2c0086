"""Layers that move elements about: shapes, crops, zeros around, repetition."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

import numpy as np
import onnx_ir as ir

from exporter.errors import CorruptError
from exporter.lower.keras.context import LayerContext, Lower

__all__ = ["LAYERS", "interpolation"]


def reshape(ctx: LayerContext) -> ir.Value:
    """Each sample in another shape; -1 is what is left."""
    target = ctx.settings.raw("target_shape")
    if not isinstance(target, list | tuple) or not all(type(size) is int and size >= -1 for size in target):
        raise CorruptError(f"{ctx.settings.owner}: target_shape {str(target)[:60]} is no shape")
    sizes = ctx.ops.dims(ctx.x)[1:]
    if -1 not in target or not all(isinstance(size, int) for size in sizes):
        return ctx.ops.reshape(ctx.x, [0 if -1 in target else -1, *target])
    total = prod(size for size in sizes if isinstance(size, int))
    rest = prod(size for size in target if size != -1)
    return ctx.ops.reshape(ctx.x, [-1, *[total // max(rest, 1) if size == -1 else size for size in target]])


def flatten(ctx: LayerContext) -> ir.Value:
    """Each sample as a vector, in channels-last order."""
    x = ctx.ops.to_last(ctx.x) if ctx.channels_first and ctx.ops.rank(ctx.x) > 1 else ctx.x
    if ctx.ops.rank(x) == 1:
        return ctx.ops.unsqueeze(x, 1)
    sizes = ctx.ops.dims(x)[1:]
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) == len(sizes):
        return ctx.ops.reshape(x, [-1, prod(known)])
    return ctx.ops.reshape(x, [0, -1])


def permute(ctx: LayerContext) -> ir.Value:
    """The axes of each sample in another order, counted from 1."""
    rank = ctx.ops.rank(ctx.x)
    order = ctx.settings.integers("dims", rank - 1)
    if sorted(order) != list(range(1, rank)):
        raise CorruptError(f"{ctx.settings.owner}: dims {order} is no order of {rank - 1} axes")
    return ctx.ops.transpose(ctx.x, [0, *order])


def repeat_vector(ctx: LayerContext) -> ir.Value:
    """[N, C] as [N, n, C]."""
    ops = ctx.ops
    return ops("Tile", ops.unsqueeze(ctx.x, 1), ops.ints(1, ctx.settings.integer("n"), 1))


def _pairs(ctx: LayerContext, key: str, rank: int) -> list[tuple[int, int]]:
    """Amounts before and after along each axis, written as a number, one per axis, or a pair per axis."""
    value = ctx.settings.raw(key, 1)
    if type(value) is int:
        return [(value, value)] * rank
    if isinstance(value, list | tuple) and rank == 1 and len(value) == 2:
        value = [value]
    if isinstance(value, list | tuple) and len(value) == rank:
        pairs = [tuple(item) if isinstance(item, list | tuple) else (item, item) for item in value]
        if all(len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair) for pair in pairs):
            return [(pair[0], pair[1]) for pair in pairs]
    raise CorruptError(f"{ctx.settings.owner}: {key} {str(value)[:60]} says no amounts for {rank} axes")


def zero_padding(ctx: LayerContext, *, rank: int) -> ir.Value:
    """Zeros around the spatial axes."""
    pairs = _pairs(ctx, "padding", rank)
    first = 2 if rank > 1 and ctx.channels_first else 1
    around = [(0, 0)] * first + pairs + [(0, 0)] * (ctx.ops.rank(ctx.x) - first - rank)
    return ctx.ops.pad(ctx.x, [begin for begin, _ in around], [end for _, end in around])


def cropping(ctx: LayerContext, *, rank: int) -> ir.Value:
    """The spatial axes without their first and last positions."""
    first = 2 if rank > 1 and ctx.channels_first else 1
    y = ctx.x
    for axis, (begin, end) in enumerate(_pairs(ctx, "cropping", rank), first):
        if begin or end:
            y = ctx.ops.slice(y, axis, begin, -end or None)
    return y


def up_sampling(ctx: LayerContext, *, rank: int) -> ir.Value:
    """The spatial axes a whole number of times larger: by repetition, or in 2-D by interpolation."""
    factors = ctx.settings.integers("size", rank, 2)
    method = ctx.settings.text("interpolation", "nearest") if rank == 2 else "nearest"
    channels_first = rank > 1 and ctx.channels_first
    x = ctx.ops.to_last(ctx.x) if channels_first else ctx.x
    y = resize(ctx, x, factors, method)
    return ctx.ops.to_first(y) if channels_first else y


def resize(ctx: LayerContext, x: ir.Value, factors: Sequence[int], method: str) -> ir.Value:
    """x[N, *space, C] scaled along its spatial axes."""
    scales = ctx.ops.builder.constant(np.array([1, *factors, 1], np.float32))
    return ctx.ops("Resize", x, None, scales, **interpolation(ctx, method))


def interpolation(ctx: LayerContext, method: str) -> dict[str, object]:
    """The attributes of Resize with which it does as TensorFlow does."""
    if method == "nearest":
        return {
            "mode": "nearest",
            "coordinate_transformation_mode": "half_pixel",
            "nearest_mode": "round_prefer_ceil",
        }
    if method == "bilinear":
        return {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if method == "bicubic":
        return {
            "mode": "cubic",
            "coordinate_transformation_mode": "half_pixel",
            "cubic_coeff_a": -0.5,
            "exclude_outside": 1,
        }
    return ctx.refuse(f"interpolation {method!r}")


def _table() -> dict[str, Lower]:
    table: dict[str, Lower] = {
        "Flatten": flatten,
        "Permute": permute,
        "RepeatVector": repeat_vector,
        "Reshape": reshape,
    }
    for rank in (1, 2, 3):
        table[f"ZeroPadding{rank}D"] = partial(zero_padding, rank=rank)
        table[f"Cropping{rank}D"] = partial(cropping, rank=rank)
        table[f"UpSampling{rank}D"] = partial(up_sampling, rank=rank)
    return table


LAYERS: dict[str, Lower] = _table()
