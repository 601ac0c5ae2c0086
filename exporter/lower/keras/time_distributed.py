"""Layers around a layer: applied to each step of a sequence, or pruned."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.sources.keras_config import read_layer

__all__ = ["LAYERS"]


def time_distributed(ctx: LayerContext) -> tuple[Tensor, ...]:
    """[N, T, ...] as N * T samples of the layer inside, and back."""
    ops, x = ctx.ops, ctx.x
    inner = read_layer(ctx.settings.inner("layer"), ctx.settings.owner)
    sizes = [ops.size(x, axis) for axis in range(ops.rank(x))]
    results = ctx.lower(inner, (*ctx.path, "layer"), [Tensor(ops.reshape(x, [-1, *sizes[2:]]))])
    return tuple(Tensor(_unfolded(ctx, result.value), ctx.mask) for result in results)


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
