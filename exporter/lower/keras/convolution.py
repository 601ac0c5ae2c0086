"""Convolutions: plain, grouped, dilated, causal, depthwise, separable; of one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import onnx_ir as ir

from exporter.lower.keras.activations import activate
from exporter.lower.keras.context import LayerContext, Lower
from exporter.lower.keras.windows import padding_attributes
from exporter.nn import layers

__all__ = ["LAYERS", "convolve"]

_PADDINGS = {"valid": "valid", "same": "same", "causal": "causal"}


def convolve(
    ctx: LayerContext, x: ir.Value, kernel: ir.Value, bias: ir.Value | None, *, size: Sequence[int], group: int
) -> ir.Value:
    """The layer's convolution of a channels-last x, by its strides, dilation and padding."""
    rank = len(size)
    strides = ctx.settings.integers("strides", rank, 1)
    dilations = ctx.settings.integers("dilation_rate", rank, 1)
    padding = ctx.settings.choice("padding", _PADDINGS, "valid")
    pads = padding_attributes(ctx.ops, x, padding, size, strides, dilations)
    return layers.convolve(
        ctx.ops.builder,
        x,
        kernel,
        bias,
        size=size,
        strides=strides,
        dilations=dilations,
        padding=pads,
        group=group,
    )


def conv(ctx: LayerContext, *, rank: int) -> ir.Value:
    """Conv1D to 3D: kernel [*k, C / groups, filters]."""
    ctx.settings.refuse("lora_rank")
    x = _channels_last(ctx)
    channels, group = ctx.channels(x), ctx.settings.integer("groups", 1)
    size, filters = ctx.settings.integers("kernel_size", rank), ctx.settings.integer("filters")
    if group < 1 or channels % group or filters % group:
        return ctx.refuse(f"{group} groups don't divide {channels} channels and {filters} filters")
    kernel = ctx.weight("kernel", (*size, channels // group, filters))
    if ctx.ops.rank(x) <= rank + 2:
        return _finished(ctx, convolve(ctx, x, kernel, _bias(ctx, filters), size=size, group=group))
    return _finished(ctx, _over_batches(ctx, x, kernel, _bias(ctx, filters), size=size, group=group))


def _over_batches(
    ctx: LayerContext, x: ir.Value, kernel: ir.Value, bias: ir.Value | None, *, size: Sequence[int], group: int
) -> ir.Value:
    """x[N, *more, *space, C]: Keras 2 takes all axes before the spatial ones as a batch."""
    ops = ctx.ops
    sizes = [ops.size(x, axis) for axis in range(ops.rank(x))]
    first = len(sizes) - len(size) - 1
    y = convolve(ctx, ops.reshape(x, [-1, *sizes[first:]]), kernel, bias, size=size, group=group)
    after = [ops.size(y, axis) for axis in range(1, ops.rank(y))]
    known = all(isinstance(each, int) for each in (*sizes[1:first], *after))
    return ops.reshape(y, [-1 if known else sizes[0], *sizes[1:first], *after])


def depthwise(ctx: LayerContext, *, rank: int) -> ir.Value:
    """DepthwiseConv1D and 2D: kernel [*k, C, multiplier]."""
    x = _channels_last(ctx)
    channels = ctx.channels(x)
    size = ctx.settings.integers("kernel_size", rank)
    kernel = _depthwise_kernel(ctx, "kernel", size, channels)
    bias = _bias(ctx, channels * ctx.settings.integer("depth_multiplier", 1))
    return _finished(ctx, convolve(ctx, x, kernel, bias, size=size, group=channels))


def separable(ctx: LayerContext, *, rank: int) -> ir.Value:
    """SeparableConv1D and 2D: a depthwise convolution, then one of size 1 with the bias."""
    x = _channels_last(ctx)
    channels, filters = ctx.channels(x), ctx.settings.integer("filters")
    size = ctx.settings.integers("kernel_size", rank)
    between = convolve(
        ctx, x, _depthwise_kernel(ctx, "depthwise_kernel", size, channels), None, size=size, group=channels
    )
    pointwise = ctx.weight("pointwise_kernel", (*[1] * rank, ctx.channels(between), filters))
    return _finished(ctx, ctx.ops("Conv", between, pointwise, _bias(ctx, filters)))


def _channels_last(ctx: LayerContext) -> ir.Value:
    return ctx.ops.to_last(ctx.x) if ctx.channels_first else ctx.x


def _bias(ctx: LayerContext, size: int) -> ir.Value | None:
    return ctx.weight("bias", (size,)) if ctx.settings.flag("use_bias", True) else None


def _depthwise_kernel(ctx: LayerContext, name: str, size: Sequence[int], channels: int) -> ir.Value:
    """[*k, C, multiplier] as [*k, 1, C * multiplier]."""
    multiplier = ctx.settings.integer("depth_multiplier", 1)
    shape = (*size, channels, multiplier)
    return layers.depthwise_kernel(ctx.ops.builder, ctx.weight(name, shape), shape)


def _finished(ctx: LayerContext, y: ir.Value) -> ir.Value:
    """The activation, and the layer's own layout again."""
    back = ctx.channels_first
    activation = ctx.settings.raw("activation")
    y = ctx.ops.to_first(y) if back else y
    return activate(ctx, y, activation)


LAYERS: dict[str, Lower] = {
    "Conv1D": partial(conv, rank=1),
    "Conv2D": partial(conv, rank=2),
    "Conv3D": partial(conv, rank=3),
    "Convolution1D": partial(conv, rank=1),
    "Convolution2D": partial(conv, rank=2),
    "Convolution3D": partial(conv, rank=3),
    "DepthwiseConv1D": partial(depthwise, rank=1),
    "DepthwiseConv2D": partial(depthwise, rank=2),
    "SeparableConv1D": partial(separable, rank=1),
    "SeparableConv2D": partial(separable, rank=2),
}
