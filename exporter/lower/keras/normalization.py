"""Normalisations by statistics of the input itself, or of data seen before; all but batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.errors import CorruptError
from exporter.lower.keras.context import LayerContext, Lower
from exporter.sources.keras_config import read_layer

__all__ = ["LAYERS"]

_FUZZ = 1e-7
_TINY = 1e-12


def layer_normalization(ctx: LayerContext) -> ir.Value:
    """(x - m) / sqrt(v + epsilon) * gamma + beta, with m and v over the axes; gamma and beta run along them.

    With rms_scaling x / sqrt(v + epsilon) * gamma, v still being the variance.
    """
    ops, axes = ctx.ops, _axes(ctx)
    rank, epsilon = ops.rank(ctx.x), ctx.settings.number("epsilon", 1e-3)
    rms = ctx.settings.flag("rms_scaling", False)
    scales, shifts = rms or ctx.settings.flag("scale", True), not rms and ctx.settings.flag("center", True)
    known = scales or shifts or all(isinstance(ops.size(ctx.x, axis), int) for axis in axes)
    sizes = [ctx.channels(ctx.x, axis) for axis in axes] if known else []
    gamma = ctx.weight("gamma", sizes) if scales else None
    beta = ctx.weight("beta", sizes) if shifts else None
    if known and not rms and axes == list(range(axes[0], rank)):
        if gamma is None:
            gamma = ops.builder.constant(np.ones(sizes, ctx.dtype.numpy()), f"{ctx.name}/gamma")
        return ops("LayerNormalization", ctx.x, gamma, beta, axis=axes[0], epsilon=epsilon)
    mean = ops.reduce("ReduceMean", ctx.x, axes, keepdims=True)
    centred = ops("Sub", ctx.x, mean)
    variance = ops.reduce("ReduceMean", ops("Mul", centred, centred), axes, keepdims=True)
    y = ops("Div", ctx.x if rms else centred, ops("Sqrt", ops.compute("Add", variance, epsilon)))
    if not scales and not shifts:
        return y
    return _scaled(ctx, y, gamma, beta, [size if axis in axes else 1 for axis, size in _sizes(ctx, axes)])


def rms_normalization(ctx: LayerContext) -> ir.Value:
    """x / sqrt(mean of x^2 + epsilon) * scale."""
    ops, axes = ctx.ops, _axes(ctx)
    mean = ops.reduce("ReduceMean", ops("Mul", ctx.x, ctx.x), axes, keepdims=True)
    y = ops("Div", ctx.x, ops("Sqrt", ops.compute("Add", mean, ctx.settings.number("epsilon", 1e-6))))
    scale = ctx.weight("scale", [ctx.channels(ctx.x, axis) for axis in axes])
    return ops("Mul", y, scale)


def group_normalization(ctx: LayerContext) -> ir.Value:
    """Each sample's groups of channels normalised by their own mean and variance; groups -1 is one per channel."""
    ops = ctx.ops
    (axis,) = _axes(ctx)
    x = ops.move_axis(ctx.x, axis, -1)
    channels, groups = ctx.channels(x), ctx.settings.integer("groups", 32)
    groups = channels if groups == -1 else groups
    if groups < 1 or channels % groups:
        return ctx.refuse(f"{groups} groups don't divide {channels} channels")
    sizes = [ops.size(x, position) for position in range(ops.rank(x))]
    grouped = ops.reshape(x, [*sizes[:-1], groups, channels // groups])
    axes = [*range(1, ops.rank(x) - 1), ops.rank(x)]
    centred = ops("Sub", grouped, ops.reduce("ReduceMean", grouped, axes, keepdims=True))
    variance = ops.reduce("ReduceMean", ops("Mul", centred, centred), axes, keepdims=True)
    y = ops("Div", centred, ops("Sqrt", ops.compute("Add", variance, ctx.settings.number("epsilon", 1e-3))))
    y = ops.reshape(y, sizes)
    gamma = ctx.weight("gamma", (channels,)) if ctx.settings.flag("scale", True) else None
    beta = ctx.weight("beta", (channels,)) if ctx.settings.flag("center", True) else None
    return ops.move_axis(_scaled(ctx, y, gamma, beta, [channels]), -1, axis)


def unit_normalization(ctx: LayerContext) -> ir.Value:
    """x / sqrt(sum of x^2), the sum being at least 1e-12."""
    ops = ctx.ops
    total = ops.reduce("ReduceSum", ops("Mul", ctx.x, ctx.x), _axes(ctx), keepdims=True)
    return ops("Div", ctx.x, ops("Sqrt", ops("Max", total, ops.scalar(_TINY, ctx.x))))


def normalization(ctx: LayerContext) -> ir.Value:
    """(x - mean) / max(sqrt(variance), 1e-7), or with `invert` the reverse; by stored or configured statistics."""
    ops = ctx.ops
    x = ops.cast(ctx.x, ctx.dtype)
    mean, variance = _statistic(ctx, x, "mean"), _statistic(ctx, x, "variance")
    deviation = ops("Max", ops("Sqrt", variance), ops.scalar(_FUZZ, x))
    if ctx.settings.flag("invert", False):
        return ops("Add", mean, ops("Mul", x, deviation))
    return ops("Div", ops("Sub", x, mean), deviation)


def _statistic(ctx: LayerContext, x: ir.Value, name: str) -> ir.Value:
    """Mean or variance, spread over the axes that it is kept along."""
    rank = ctx.ops.rank(x)
    axis = ctx.settings.raw("axis", -1)
    kept = sorted(a % rank for a in ([] if axis is None else axis if isinstance(axis, list | tuple) else [axis]))
    given = ctx.settings.raw(name)
    if given is None:
        sizes = [ctx.channels(x, a) for a in kept]
        stored = ctx.weight(name, sizes)
        shape = [ctx.channels(x, a) if a in kept else 1 for a in range(rank)]
        return ctx.ops.reshape(stored, shape[kept[0] :] if kept else [1])
    try:
        array = np.asarray(given.get("config", {}).get("value") if isinstance(given, dict) else given, np.float64)
    except (TypeError, ValueError) as error:
        raise CorruptError(f"{ctx.settings.owner}: {name} is no array of numbers") from error
    shape = [1] * rank
    if array.ndim > len(kept) and array.size > 1 and array.ndim < rank:
        return ctx.refuse(f"{name} has {array.ndim} axes, expected {len(kept)}")
    if array.ndim <= len(kept):
        for position, size in zip(reversed(kept), reversed(array.shape), strict=False):
            shape[position] = size
        array = array.reshape(shape)
    return ctx.ops.builder.constant(array.astype(ctx.dtype.numpy()), f"{ctx.name}/{name}")


def spectral_normalization(ctx: LayerContext) -> ir.Value:
    """The layer inside: the kernel is stored divided by its spectral norm."""
    inner = read_layer(ctx.settings.inner("layer"), ctx.settings.owner)
    (result,) = ctx.lower(inner, (*ctx.path, "layer"), ctx.tensors)
    return result.value


def _axes(ctx: LayerContext) -> list[int]:
    """The `axis` setting as non-negative axes, sorted."""
    axis, rank = ctx.settings.raw("axis", -1), ctx.ops.rank(ctx.x)
    axes = axis if isinstance(axis, list | tuple) else [axis]
    if not axes or not all(type(a) is int and -rank <= a < rank for a in axes):
        return ctx.refuse(f"axis {axis!r} of an input of rank {rank}")
    return sorted(a % rank for a in axes)


def _sizes(ctx: LayerContext, axes: Sequence[int]) -> list[tuple[int, int]]:
    """Each axis with its size, where that matters."""
    return [(axis, ctx.channels(ctx.x, axis) if axis in axes else 1) for axis in range(ctx.ops.rank(ctx.x))]


def _scaled(
    ctx: LayerContext, y: ir.Value, gamma: ir.Value | None, beta: ir.Value | None, shape: Sequence[int]
) -> ir.Value:
    """y * gamma + beta, both in that shape; either may be missing."""
    for op_type, parameter in (("Mul", gamma), ("Add", beta)):
        if parameter is not None:
            flat = len(shape) == ctx.ops.rank(parameter)
            y = ctx.ops(op_type, y, parameter if flat else ctx.ops.reshape(parameter, shape))
    return y


LAYERS: dict[str, Lower] = {
    "GroupNormalization": group_normalization,
    "LayerNormalization": layer_normalization,
    "Normalization": normalization,
    "RMSNormalization": rms_normalization,
    "SpectralNormalization": spectral_normalization,
    "UnitNormalization": unit_normalization,
}
