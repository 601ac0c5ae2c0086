"""Transposed convolutions: TensorFlow's gradients of a convolution for its input.

The node is given the size O that comes out; n, the size of its input, is what the forward convolution makes of O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.ir.dims import Dim, normal
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.convolution import depthwise_kernel, kernel_space
from exporter.lower.tf.layout import Layout, layout_of
from exporter.lower.tf.padding import explicit_pads
from exporter.lower.tf.vectors import dim_value, element, join
from exporter.nn.windows import extents

__all__ = ["OPS"]


@dataclass(frozen=True, slots=True)
class _Axis:
    """One spatial axis: the size n of the input, the reach of the kernel, the stride, the size O that comes out."""

    size: Dim
    reach: int
    stride: int
    out: Dim | None

    @property
    def surplus(self) -> int | None:
        """O - n * stride, which says all of O that the padding depends on; None where it isn't known."""
        if self.out is None:
            return None
        difference = normal(self.out - self.size * self.stride)
        return difference if isinstance(difference, int) else None


def _transposed(rank: int) -> OpFunction:
    def transposed(ctx: NodeContext) -> ir.Value:
        layout = layout_of(ctx, rank)
        kernel, gradient = ctx.ranked(ctx.inputs[1], rank), ctx.ranked(ctx.inputs[2], rank)
        dims = ctx.shape(kernel)
        channels = _given_size(ctx, layout, layout.channel) if _sizes(ctx) == rank else None
        group = channels // dims[-2] if dims and isinstance(channels, int) and isinstance(dims[-2], int) else 1
        return _back(ctx, layout, gradient, kernel, group)

    return transposed


def _depthwise(ctx: NodeContext) -> ir.Value:
    layout = layout_of(ctx, 4)
    kernel, channels = depthwise_kernel(ctx, ctx.inputs[1])
    return _back(ctx, layout, ctx.ranked(ctx.inputs[2], 4), kernel, channels)


def _back(ctx: NodeContext, layout: Layout, x: ir.Value, kernel: ir.Value, group: int) -> ir.Value:
    strides = layout.spatial(ctx.integers("strides"), "strides")
    dilations = layout.spatial(ctx.integers("dilations", (1,) * layout.rank), "dilations")
    reach = extents(kernel_space(ctx, kernel), dilations)
    last = layout.channels_last(ctx, x)
    sizes = (ctx.shape(last) or ())[1:-1]
    outs = [_given_size(ctx, layout, axis) for axis in layout.space]
    axes = [_Axis(*axis) for axis in zip(sizes, reach, strides, outs, strict=True)]
    begins = _begins(ctx, layout, axes)
    if any(axis.surplus is None for axis in axes) or any(begin is None for begin in begins):
        return layout.restore(ctx, _cut(ctx, layout, last, kernel, axes, dilations, group))
    pads, extra = _resolved(axes, [begin for begin in begins if begin is not None])
    y = ctx.op(
        "ConvTranspose",
        last,
        kernel,
        strides=strides,
        dilations=dilations,
        pads=pads,
        output_padding=extra,
        group=group,
    )
    return layout.restore(ctx, y)


def _sizes(ctx: NodeContext) -> int:
    """How many sizes the node is given: all of them, or the spatial ones."""
    dims = ctx.shape(ctx.inputs[0])
    if dims is None or len(dims) != 1 or not isinstance(dims[0], int):
        raise RefusalError("the rank of its result is not known")
    return dims[0]


def _place(ctx: NodeContext, layout: Layout, axis: int) -> int:
    return axis if _sizes(ctx) == layout.rank else layout.space.index(axis)


def _given_size(ctx: NodeContext, layout: Layout, axis: int) -> Dim | None:
    """The size of the result along an axis of the node's layout, where it is known, possibly as a symbol."""
    known = ctx.builder.elements(ctx.inputs[0])
    if known is None:
        return None
    size = known[_place(ctx, layout, axis)]
    return size if isinstance(size, ir.SymbolicDim) else int(size)


def _begins(ctx: NodeContext, layout: Layout, axes: Sequence[_Axis]) -> list[int | None]:
    """What the forward convolution adds before each axis."""
    padding = ctx.text("padding")
    if padding == "VALID":
        return [0] * len(axes)
    if padding == "EXPLICIT":
        return list(explicit_pads(ctx, layout)[: len(axes)])
    if padding != "SAME":
        raise RefusalError(f"padding is {padding!r}")
    totals = [None if a.surplus is None else max(a.reach - a.stride - a.surplus, 0) for a in axes]
    return [None if total is None else total // 2 for total in totals]


def _resolved(axes: Sequence[_Axis], begins: Sequence[int]) -> tuple[list[int], list[int]]:
    """`pads` and `output_padding`: what isn't cut off at the beginning of stride * (n - 1) + reach is at the end."""
    ends: list[int] = []
    extra: list[int] = []
    for axis, begin in zip(axes, begins, strict=True):
        surplus = axis.surplus
        assert surplus is not None
        end = axis.reach - axis.stride - surplus - begin
        ends.append(max(end, 0))
        extra.append(max(-end, 0))
    return [*begins, *ends], extra


def _cut(
    ctx: NodeContext,
    layout: Layout,
    x: ir.Value,
    kernel: ir.Value,
    axes: Sequence[_Axis],
    dilations: Sequence[int],
    group: int,
) -> ir.Value:
    """For sizes known only at run time: the whole transposed convolution, of which O positions are cut out."""
    strides = [axis.stride for axis in axes]
    extra = [max(stride - 1, stride - axis.reach) for axis, stride in zip(axes, strides, strict=True)]
    whole = ctx.op(
        "ConvTranspose", x, kernel, strides=strides, dilations=list(dilations), output_padding=extra, group=group
    )
    outs = [element(ctx, ctx.inputs[0], _place(ctx, layout, axis)) for axis in layout.space]
    starts = join(ctx, [_start(ctx, layout, x, i, axis, outs[i]) for i, axis in enumerate(axes)])
    ends = ctx.op("Add", starts, join(ctx, outs))
    return ctx.op("Slice", whole, starts, ends, ctx.const(np.arange(1, len(axes) + 1, dtype=np.int64)))


def _start(
    ctx: NodeContext, layout: Layout, x: ir.Value, index: int, axis: _Axis, out: int | ir.Value
) -> int | ir.Value:
    """What is cut off at the beginning: for SAME max((n - 1) * stride + reach - O, 0) // 2."""
    if ctx.text("padding") == "VALID":
        return 0
    if ctx.text("padding") == "EXPLICIT":
        return explicit_pads(ctx, layout)[index]
    size = join(ctx, [dim_value(ctx, x, index + 1)])
    full = ctx.op("Add", ctx.op("Mul", size, ctx.int64([axis.stride])), ctx.int64([axis.reach]))
    total = ctx.op("Sub", ctx.op("Sub", full, ctx.int64([axis.stride])), join(ctx, [out]))
    kept = ctx.op("Max", total, ctx.int64([0]))
    return ctx.op("Div", kept, ctx.int64([2]))


OPS: dict[str, OpFunction] = {
    "Conv2DBackpropInput": _transposed(4),
    "Conv3DBackpropInputV2": _transposed(5),
    "DepthwiseConv2dNativeBackpropInput": _depthwise,
}
