"""Axes in an order, or an axis by a number, that the model computes."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from exporter.ir.dims import UNKNOWN, to_shape
from exporter.lower.tf.context import NodeContext
from exporter.lower.tf.vectors import as_int64, dim_value, join, scalar, shape_of, vector

__all__ = ["along", "apart", "permuted", "to_front"]


def permuted(ctx: NodeContext, x: ir.Value, order: ir.Value) -> ir.Value:
    """A tensor of known rank with its axes in an order [rank]: each element by its place in the row of all."""
    rank = ctx.rank(x)
    if rank < 2:
        return x
    shape = shape_of(ctx, x)
    steps = [ctx.int64([1])]
    for axis in reversed(range(1, rank)):
        steps.insert(0, ctx.op("Mul", steps[0], join(ctx, [dim_value(ctx, x, axis)])))
    order = ctx.op("Mod", as_int64(ctx, order), ctx.int64([rank]))
    new_sizes, new_steps = (ctx.op("Gather", each, order, axis=0) for each in (shape, join(ctx, steps)))
    places = ctx.int64([0])
    for axis in range(rank):
        size, step = (ctx.op("Gather", each, ctx.int64([axis]), axis=0) for each in (new_sizes, new_steps))
        far = ctx.op("Mul", ctx.op("Range", ctx.int64(0), scalar(ctx, size), ctx.int64(1)), step)
        places = ctx.op("Add", ctx.op("Unsqueeze", places, ctx.int64([-1])) if axis else places, far)
    found = ctx.op("Gather", ctx.op("Reshape", x, ctx.int64([-1])), places, axis=0)
    found.shape = to_shape((UNKNOWN,) * rank)
    return found


def to_front(ctx: NodeContext, x: ir.Value, axis: ir.Value) -> ir.Value:
    """A tensor with an axis first, the others in their order."""
    rank = ctx.rank(x)
    numbers, axis = ctx.int64(range(rank)), _place(ctx, axis, rank)
    before = ctx.op("Where", ctx.op("LessOrEqual", numbers, axis), ctx.op("Sub", numbers, ctx.int64([1])), numbers)
    return permuted(ctx, x, ctx.op("Where", ctx.op("Equal", numbers, ctx.int64([0])), axis, before))


def _from_front(ctx: NodeContext, x: ir.Value, axis: ir.Value) -> ir.Value:
    rank = ctx.rank(x)
    numbers, axis = ctx.int64(range(rank)), _place(ctx, axis, rank)
    before = ctx.op("Where", ctx.op("Less", numbers, axis), ctx.op("Add", numbers, ctx.int64([1])), numbers)
    return permuted(ctx, x, ctx.op("Where", ctx.op("Equal", numbers, axis), ctx.int64([0]), before))


def _place(ctx: NodeContext, axis: ir.Value, rank: int) -> ir.Value:
    return ctx.op("Mod", as_int64(ctx, vector(ctx, axis)), ctx.int64([rank]))


def apart(
    ctx: NodeContext, x: ir.Value, axis: ir.Value, function: Callable[[ir.Value], tuple[ir.Value, ...]]
) -> tuple[ir.Value, ...]:
    """The parts that a function makes of a tensor along its first axis, along a computed axis instead."""
    return tuple(_from_front(ctx, part, axis) for part in function(to_front(ctx, x, axis)))


def along(
    ctx: NodeContext, x: ir.Value | tuple[ir.Value, ...], axis: ir.Value, function: Callable[..., ir.Value]
) -> ir.Value:
    """What a function of tensors makes that works along the first axis and keeps it, along a computed axis instead."""
    values = x if isinstance(x, tuple) else (x,)
    return _from_front(ctx, function(*(to_front(ctx, value, axis) for value in values)), axis)
