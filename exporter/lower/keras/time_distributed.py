"""Layers around a layer: applied to each step of a sequence, or pruned."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.sources.keras_config import read_layer

__all__ = ["LAYERS"]


def time_distributed(ctx: LayerContext) -> tuple[Tensor, ...]:
    """[N, T, ...] as N * T samples of the layer inside, and back; masks with more axes than steps go inside too."""
    ops, x = ctx.ops, ctx.x
    inner = read_layer(ctx.settings.inner("layer"), ctx.settings.owner)
    sizes = [ops.size(x, axis) for axis in range(ops.rank(x))]
    mask = None
    if ctx.mask is not None and ops.rank(ctx.mask) > 2:
        mask = ops.reshape(ctx.mask, [-1, *(ops.size(ctx.mask, axis) for axis in range(2, ops.rank(ctx.mask)))])
    results = ctx.lower(inner, (*ctx.path, "layer"), [Tensor(ops.reshape(x, [-1, *sizes[2:]]), mask)])
    return tuple(Tensor(_unfolded(ctx, result.value), _mask(ctx, result)) for result in results)


def _mask(ctx: LayerContext, result: Tensor) -> ir.Value | None:
    """The mask of the whole: Keras 3 hands its input's on, Keras 2 gives the inner layer's, if it has one."""
    if ctx.major >= 3:
        return ctx.mask
    if result.mask is not None:
        return _unfolded(ctx, result.mask)
    if ctx.mask is None or ctx.ops.rank(ctx.mask) == 2:
        return ctx.mask
    counted = ctx.ops.cast(ctx.mask, ir.DataType.INT32)
    highest = ctx.ops.reduce("ReduceMax", counted, list(range(2, ctx.ops.rank(ctx.mask))), keepdims=False)
    return ctx.ops.cast(highest, ir.DataType.BOOL)


def _unfolded(ctx: LayerContext, y: ir.Value) -> ir.Value:
    ops = ctx.ops
    batch, steps = ops.size(ctx.x, 0), ops.size(ctx.x, 1)
    rest = [ops.size(y, axis) for axis in range(1, ops.rank(y))]
    known = all(isinstance(size, int) for size in (steps, *rest))
    return ops.reshape(y, [-1 if known else batch, steps, *rest])


def pruned(ctx: LayerContext) -> tuple[Tensor, ...]:
    """The layer inside: its weights are stored with the mask applied, which changes in training alone."""
    inner = read_layer(ctx.settings.inner("layer"), ctx.settings.owner)
    return ctx.lower(inner, (*ctx.path, "layer"), ctx.tensors)


LAYERS: dict[str, Lower] = {"PruneLowMagnitude": pruned, "TimeDistributed": time_distributed}
