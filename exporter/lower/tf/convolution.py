"""Convolutions of two and three spatial axes, grouped and depthwise ones."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from exporter.ir.dims import Dim, Dims
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.layout import Layout, layout_of
from exporter.lower.tf.padding import padding_attributes
from exporter.nn import layers
from exporter.nn.windows import extents

__all__ = ["OPS", "convolution", "depthwise", "depthwise_kernel", "kernel_space"]


def _dilations(ctx: NodeContext, layout: Layout) -> list[int]:
    return layout.spatial(ctx.integers("dilations", (1,) * layout.rank), "dilations")


def kernel_space(ctx: NodeContext, kernel: ir.Value) -> list[int]:
    """The spatial sizes of a kernel; refused where its shape isn't known."""
    sizes = ctx.sizes(kernel)
    if sizes is None:
        raise RefusalError("the shape of its kernel is not known")
    return list(sizes[:-2])


def _convolve(ctx: NodeContext, x: ir.Value, kernel: ir.Value, layout: Layout, group: int) -> ir.Value:
    """The convolution of x, in the node's layout, with a kernel [*space, C / group, M]."""
    strides = layout.spatial(ctx.integers("strides"), "strides")
    dilations = _dilations(ctx, layout)
    size = kernel_space(ctx, kernel)
    dims = ctx.shape(x)
    assert dims is not None
    padding = padding_attributes(ctx, layout, [dims[axis] for axis in layout.space], extents(size, dilations), strides)
    y = layers.convolve(
        ctx.builder,
        layout.channels_last(ctx, x),
        kernel,
        size=size,
        strides=strides,
        dilations=dilations,
        padding=padding,
        group=group,
    )
    return layout.restore(ctx, y)


def _group(channels: Dim, taken: Dim, made: Dim) -> int:
    """How many groups: the input's channels over those that the kernel takes; 1 where the former aren't known."""
    if not isinstance(channels, int) or not isinstance(taken, int):
        return 1
    if taken == 0 or channels % taken:
        raise RefusalError(f"its kernel takes {taken} channels, the input has {channels}")
    if isinstance(made, int) and made % (channels // taken):
        raise RefusalError(f"its kernel takes {taken} channels and makes {made}, the input has {channels}")
    return channels // taken


def convolution(rank: int) -> Callable[[NodeContext], ir.Value]:
    """The function for convolutions of tensors of this rank."""

    def lower(ctx: NodeContext) -> ir.Value:
        layout = layout_of(ctx, rank)
        x, kernel = (ctx.ranked(value, rank) for value in ctx.inputs)
        return _convolve(ctx, x, kernel, layout, _group(_dims(ctx, x)[layout.channel], *_dims(ctx, kernel)[-2:]))

    return lower


def _dims(ctx: NodeContext, value: ir.Value) -> Dims:
    dims = ctx.shape(value)
    assert dims is not None
    return dims


def depthwise_kernel(ctx: NodeContext, kernel: ir.Value) -> tuple[ir.Value, int]:
    """TensorFlow's [H, W, C, multiplier] as [H, W, 1, C * multiplier], and C, which is the number of groups."""
    sizes = ctx.sizes(ctx.ranked(kernel, 4))
    if sizes is None:
        raise RefusalError("the shape of its kernel is not known")
    return layers.depthwise_kernel(ctx.builder, kernel, sizes), sizes[2]


def depthwise(ctx: NodeContext) -> ir.Value:
    """`DepthwiseConv2dNative`: one group per input channel."""
    layout = layout_of(ctx, 4)
    kernel, channels = depthwise_kernel(ctx, ctx.inputs[1])
    return _convolve(ctx, ctx.ranked(ctx.inputs[0], 4), kernel, layout, channels)


OPS: dict[str, OpFunction] = {
    "Conv2D": convolution(4),
    "Conv3D": convolution(5),
    "DepthwiseConv2dNative": depthwise,
}
