"""Padding as a node of its own."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import FAR, as_int64, dim_value, join, scalar

__all__ = ["OPS", "onnx_pads"]


def onnx_pads(ctx: NodeContext, paddings: ir.Value) -> ir.Value:
    """TensorFlow's paddings [rank, 2] as ONNX's, first all begins, then all ends."""
    numbers = as_int64(ctx, paddings)
    begins, ends = (ctx.op("Gather", numbers, ctx.int64(column), axis=1) for column in (0, 1))
    return ctx.op("Concat", begins, ends, axis=0)


def pad(ctx: NodeContext) -> ir.Value:
    """`Pad` and `PadV2`: zeros, or a given constant, around a tensor."""
    x, paddings, *value = ctx.inputs
    return ctx.op("Pad", x, onnx_pads(ctx, paddings), *value[:1], mode="constant")


def mirror_pad(ctx: NodeContext) -> ir.Value:
    """`MirrorPad`: REFLECT leaves out the edge, SYMMETRIC, which ONNX doesn't have, repeats it."""
    x, paddings = ctx.inputs
    mode = ctx.text("mode")
    if mode == "REFLECT":
        return ctx.op("Pad", x, onnx_pads(ctx, paddings), mode="reflect")
    if mode != "SYMMETRIC":
        raise RefusalError(f"mode is {mode!r}")
    if ctx.ints(1) is None:
        return _symmetric(ctx, x, as_int64(ctx, paddings))
    numbers = ctx.fixed_ints(1, "how much it pads")
    for axis, (begin, end) in enumerate(zip(numbers[0::2], numbers[1::2], strict=True)):
        x = _mirrored(ctx, x, axis, begin, end)
    return x


def _symmetric(ctx: NodeContext, x: ir.Value, paddings: ir.Value) -> ir.Value:
    """Along each axis the elements whose numbers go down to 0 and from 0 on, up to the last and down from that."""
    for axis in range(ctx.rank(x)):
        begin, end = (ctx.op("GatherND", paddings, ctx.int64([axis, side])) for side in (0, 1))
        size = scalar(ctx, join(ctx, [dim_value(ctx, x, axis)]))
        places = ctx.op("Range", ctx.op("Neg", begin), ctx.op("Add", size, end), ctx.int64(1))
        last = ctx.op("Sub", ctx.op("Add", size, size), ctx.int64(1))
        below = ctx.op("Sub", ctx.int64(-1), places)
        places = ctx.op("Max", places, below)
        x = ctx.op("Gather", x, ctx.op("Min", places, ctx.op("Sub", last, places)), axis=axis)
    return x


def _mirrored(ctx: NodeContext, x: ir.Value, axis: int, begin: int, end: int) -> ir.Value:
    """The first elements backwards, all of them, the last ones backwards."""
    parts = [x]
    if begin:
        parts.insert(0, _backwards(ctx, x, axis, begin - 1, -FAR))
    if end:
        parts.append(_backwards(ctx, x, axis, -1, -end - 1))
    return x if len(parts) == 1 else ctx.op("Concat", *parts, axis=axis)


def _backwards(ctx: NodeContext, x: ir.Value, axis: int, start: int, end: int) -> ir.Value:
    return ctx.op("Slice", x, ctx.int64([start]), ctx.int64([end]), ctx.int64([axis]), ctx.int64([-1]))


OPS: dict[str, OpFunction] = {"MirrorPad": mirror_pad, "Pad": pad, "PadV2": pad}
