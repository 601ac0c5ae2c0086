"""Activations that are layers of their own, with parameters."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from exporter.lower.keras.activations import activate
from exporter.lower.keras.context import LayerContext, Lower, Tensor

__all__ = ["LAYERS", "masked_softmax", "rectified"]


def activation(ctx: LayerContext) -> ir.Value:
    """A function by name."""
    return activate(ctx, ctx.x, ctx.settings.raw("activation"))


def relu(ctx: LayerContext) -> ir.Value:
    """x above the threshold, up to max_value; slope * (x - threshold) below it."""
    maximum = ctx.settings.raw("max_value")
    slope = ctx.settings.number("negative_slope", 0.0)
    threshold = ctx.settings.number("threshold", 0.0)
    return rectified(ctx, ctx.x, slope, None if maximum is None else ctx.settings.number("max_value"), threshold)


def rectified(ctx: LayerContext, x: ir.Value, slope: float, maximum: float | None, threshold: float) -> ir.Value:
    """Keras's general relu."""
    ops = ctx.ops
    if threshold == 0:
        if slope == 0 and maximum is not None:
            return ops("Clip", x, ops.scalar(0, x), ops.scalar(maximum, x))
        y = ops("Relu", x) if slope == 0 else ops("LeakyRelu", x, alpha=slope)
    else:
        above = ops("GreaterOrEqual", x, ops.scalar(threshold, x))
        below = ops.compute("Mul", ops.compute("Sub", x, threshold), slope) if slope else ops.scalar(0, x)
        y = ops("Where", above, x, below)
    return y if maximum is None else ops("Min", y, ops.scalar(maximum, y))


def leaky_relu(ctx: LayerContext) -> ir.Value:
    """x, or slope * x below 0; the slope is 0.3 where it isn't said."""
    key = "negative_slope" if "negative_slope" in ctx.settings else "alpha"
    return ctx.ops("LeakyRelu", ctx.x, alpha=ctx.settings.number(key, 0.3))


def prelu(ctx: LayerContext) -> ir.Value:
    """x, or alpha * x below 0; alpha has the input's shape, with 1 on the shared axes."""
    shared = ctx.settings.raw("shared_axes") or []
    rank = ctx.ops.rank(ctx.x)
    shape = [1 if axis in shared else ctx.channels(ctx.x, axis) for axis in range(1, rank)]
    return ctx.ops("PRelu", ctx.x, ctx.weight("alpha", shape))


def elu(ctx: LayerContext) -> ir.Value:
    """x, or alpha * (exp(x) - 1) below 0."""
    return ctx.ops("Elu", ctx.x, alpha=ctx.settings.number("alpha", 1.0))


def thresholded_relu(ctx: LayerContext) -> ir.Value:
    """x above theta, else 0."""
    return ctx.ops("ThresholdedRelu", ctx.x, alpha=ctx.settings.number("theta", 1.0))


def softmax(ctx: LayerContext) -> ir.Value:
    """exp(x) / sum(exp(x)) over one axis or several, of what a mask lets through."""
    axis, given = ctx.settings.raw("axis", -1), ctx.argument("mask", 1)
    mask = given.value if isinstance(given, Tensor) else ctx.mask
    if mask is not None and ctx.ops.rank(mask) != ctx.ops.rank(ctx.x):
        return ctx.refuse("a mask of another rank than the input")
    return masked_softmax(ctx, ctx.x, mask, axis if isinstance(axis, list | tuple) else [axis], zeros=ctx.major >= 3)


def masked_softmax(
    ctx: LayerContext, x: ir.Value, mask: ir.Value | None, axes: Sequence[int], *, zeros: bool
) -> ir.Value:
    """Softmax of x, with -1e9 where the mask is false; where all is masked, equal parts, or zeros on request."""
    ops = ctx.ops
    if mask is not None:
        x = ops("Where", mask, x, ops.scalar(-1e9, x))
    if len(axes) == 1:
        y = ops("Softmax", x, axis=int(axes[0]))
    else:
        powers = ops("Exp", ops("Sub", x, ops.reduce("ReduceMax", x, axes, keepdims=True)))
        y = ops("Div", powers, ops.reduce("ReduceSum", powers, axes, keepdims=True))
    return ops("Where", mask, y, ops.scalar(0, y)) if mask is not None and zeros else y


LAYERS: dict[str, Lower] = {
    "Activation": activation,
    "ELU": elu,
    "LeakyReLU": leaky_relu,
    "PReLU": prelu,
    "ReLU": relu,
    "Softmax": softmax,
    "ThresholdedReLU": thresholded_relu,
}
