"""Batch normalisation with the statistics that were stored."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.errors import ValueInputError
from exporter.lower.keras.context import LayerContext, Lower
from exporter.report.diagnosis import NormValues
from exporter.report.records import BatchNorm

__all__ = ["LAYERS"]


def batch_normalization(ctx: LayerContext) -> ir.Value:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta along one axis; gamma is 1 and beta 0 where left out."""
    ops, axis = ctx.ops, _axis(ctx)
    x = ops.move_axis(ctx.x, axis, -1)
    channels = ctx.channels(x)
    gamma = _parameter(ctx, "gamma", channels, switch="scale", default=1)
    beta = _parameter(ctx, "beta", channels, switch="center", default=0)
    mean, variance = ctx.weight("moving_mean", (channels,)), ctx.weight("moving_variance", (channels,))
    epsilon = ctx.settings.number("epsilon", 1e-3)
    if ctx.major < 3 and ctx.kwargs.get("training") is True:
        ctx.findings.warn(f"batch norm {ctx.name} is called with training=True: it keeps to the batch's own statistics")
        return ops.move_axis(_by_batch(ctx, x, gamma, beta, epsilon), -1, axis)
    _check_statistics(ctx, epsilon)
    _record(ctx, channels, epsilon)
    with ops.builder.source(ctx.name, batch_norm=ctx.name):
        y = ops("BatchNormalization", x, gamma, beta, mean, variance, epsilon=epsilon)
    return ops.move_axis(y, -1, axis)


def _by_batch(ctx: LayerContext, x: ir.Value, gamma: ir.Value, beta: ir.Value, epsilon: float) -> ir.Value:
    """The same by the mean and (biased) variance of the batch, as Keras 2 does when a call says training=True."""
    ops, axes = ctx.ops, range(ctx.ops.rank(x) - 1)
    centred = ops("Sub", x, ops.reduce("ReduceMean", x, axes, keepdims=True))
    variance = ops.reduce("ReduceMean", ops("Mul", centred, centred), axes, keepdims=True)
    y = ops("Div", centred, ops("Sqrt", ops.compute("Add", variance, epsilon)))
    return ops("Add", ops("Mul", y, gamma), beta)


def _axis(ctx: LayerContext) -> int:
    axis, rank = ctx.settings.raw("axis", -1), ctx.ops.rank(ctx.x)
    if isinstance(axis, list | tuple) and len(axis) == 1:
        axis = axis[0]
    if type(axis) is not int or not -rank <= axis < rank:
        return ctx.refuse(f"axis {axis!r} of an input of rank {rank}")
    return axis


def _parameter(ctx: LayerContext, name: str, channels: int, *, switch: str, default: float) -> ir.Value:
    if ctx.settings.flag(switch, True):
        return ctx.weight(name, (channels,))
    values = np.full(channels, default, ctx.dtype.numpy())
    return ctx.ops.builder.constant(values, f"{ctx.name}/{name}")


def _check_statistics(ctx: LayerContext, epsilon: float) -> None:
    """A negative variance can't be meant; what else the numbers say is for the diagnosis."""
    gamma, mean, variance = (ctx.weights.array(f"{ctx.name}/{n}") for n in ("gamma", "moving_mean", "moving_variance"))
    if variance is not None and (variance < 0).any():
        key = ctx.weights.key(f"{ctx.name}/moving_variance")
        raise ValueInputError(
            f"batch norm {ctx.name}: the variance stored as {key} is negative, {float(variance.min()):g} at least"
        )
    if mean is not None and variance is not None:
        momentum = ctx.settings.number("momentum", 0.99)
        ctx.findings.norms[ctx.name] = NormValues(ctx.name, epsilon, gamma, mean, variance, momentum)


def _record(ctx: LayerContext, channels: int, epsilon: float) -> None:
    def stored(name: str) -> str:
        return f"stored as {ctx.weights.key(f'{ctx.name}/{name}')}"

    scaled, centred = ctx.settings.flag("scale", True), ctx.settings.flag("center", True)
    ctx.findings.batch_norms[ctx.name] = BatchNorm(
        name=ctx.name,
        channels=channels,
        epsilon=epsilon,
        gamma=stored("gamma") if scaled else "1 (scale=False)",
        beta=stored("beta") if centred else "0 (center=False)",
        mean=stored("moving_mean"),
        variance=stored("moving_variance"),
    )


LAYERS: dict[str, Lower] = {
    "BatchNormalization": batch_normalization,
    "BatchNormalizationV1": batch_normalization,
    "BatchNormalizationV2": batch_normalization,
    "SyncBatchNormalization": batch_normalization,
}
