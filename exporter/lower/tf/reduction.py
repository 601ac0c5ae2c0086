"""Reductions over axes, positions of extremes, running sums and products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.axes import along, to_front
from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.vectors import as_int64, cast, scalar, vector

__all__ = ["OPS", "reduce"]


def reduce(ctx: NodeContext, op_type: str, x: ir.Value) -> ir.Value:
    """A reduction of x over the axes in input 1, of which there may be none; `keep_dims` as the node says."""
    keep = int(ctx.flag("keep_dims", False))
    axes = as_int64(ctx, vector(ctx, ctx.inputs[1]))
    return ctx.op(op_type, x, axes, keepdims=keep, noop_with_empty_axes=1)


def _reduction(op_type: str) -> OpFunction:
    def reduction(ctx: NodeContext) -> ir.Value:
        if ctx.ints(1) == []:
            return ctx.op("Abs", ctx.inputs[0]) if op_type == "ReduceL2" else ctx.inputs[0]
        x = ctx.inputs[0]
        kind = ctx.dtype(x)
        if kind.is_floating_point():
            return reduce(ctx, op_type, x)
        if op_type in ("ReduceMax", "ReduceMin"):
            narrow = kind in (ir.DataType.INT16, ir.DataType.UINT16)
            return cast(ctx, reduce(ctx, op_type, cast(ctx, x, ir.DataType.INT32 if narrow else kind)), kind)
        wide = cast(ctx, x, _WIDE.get(kind, kind))
        if op_type != "ReduceMean":
            return cast(ctx, reduce(ctx, op_type, wide), kind)
        count = ctx.op("Sub", ctx.op("Add", wide, ctx.scalar(1, wide)), wide)
        total, number = (reduce(ctx, "ReduceSum", value) for value in (wide, count))
        return cast(ctx, ctx.op("Div", total, number), kind)

    return reduction


_WIDE = {
    **dict.fromkeys((ir.DataType.INT8, ir.DataType.INT16, ir.DataType.UINT8, ir.DataType.UINT16), ir.DataType.INT32),
    **dict.fromkeys((ir.DataType.UINT32, ir.DataType.UINT64), ir.DataType.INT64),
}
"""Integers in which those that ONNX doesn't add up are added up; cut off afterwards, they are the same."""


def _truth(op_type: str) -> OpFunction:
    """`All` and `Any`, as the minimum and maximum of 0 and 1; over nothing these are the largest and lowest number."""

    def reduction(ctx: NodeContext) -> ir.Value:
        if ctx.ints(1) == []:
            return ctx.inputs[0]
        numbers = cast(ctx, ctx.inputs[0], ir.DataType.INT32)
        return ctx.op("Greater", reduce(ctx, op_type, numbers), ctx.const(np.int32(0)))

    return reduction


def _position(op_type: str) -> OpFunction:
    """`ArgMax` and `ArgMin`: the first one of equal elements."""

    def position(ctx: NodeContext) -> ir.Value:
        x = ctx.inputs[0]
        x = cast(ctx, x, ir.DataType.INT32) if x.dtype in _WITHOUT_ORDER else x
        if ctx.ints(1) is None:
            x, axis = to_front(ctx, x, ctx.inputs[1]), 0
        else:
            axis = ctx.fixed_int(1, "its axis")
        found = ctx.op(op_type, x, axis=axis, keepdims=0)
        return cast(ctx, found, ctx.element_type("output_type", 9))

    return position


_WITHOUT_ORDER = frozenset({ir.DataType.BOOL, ir.DataType.INT16, ir.DataType.UINT16})
"""Types in which ONNX or its runtimes don't look for the largest."""


def top_k(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`TopKV2`: the k largest along the last axis, of equal ones the first, in falling order."""
    x, k = ctx.inputs
    values, indices = ctx.builder.op_n("TopK", 2, x, as_int64(ctx, vector(ctx, k)), axis=-1)
    return values, cast(ctx, indices, ctx.element_type("index_type", 3))


def top_k_old(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`TopK`: k is an attribute."""
    values, indices = ctx.builder.op_n("TopK", 2, ctx.inputs[0], ctx.int64([ctx.integer("k")]), axis=-1)
    return values, cast(ctx, indices, ir.DataType.INT32)


def nth_element(ctx: NodeContext) -> ir.Value:
    """`NthElement`: the element along the last axis that n others are not above, or with `reverse` not below."""
    x, n = ctx.inputs[0], as_int64(ctx, ctx.inputs[1])
    count = vector(ctx, ctx.op("Add", n, ctx.int64(1)))
    values, _ = ctx.builder.op_n("TopK", 2, x, count, axis=-1, largest=int(ctx.flag("reverse", False)))
    return ctx.op("Gather", values, scalar(ctx, n), axis=ctx.rank(x) - 1)


def cumulative_sum(ctx: NodeContext) -> ir.Value:
    """`Cumsum`; of 8 and 16 bits in int32, whose last bits are those of the sum that has wrapped around."""
    x, axis = ctx.inputs
    exclusive, reverse = int(ctx.flag("exclusive", False)), int(ctx.flag("reverse", False))
    kind = ctx.dtype(x)
    wide = kind in (ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16)
    x = cast(ctx, x, ir.DataType.INT32) if wide else x
    summed = ctx.op("CumSum", x, axis, exclusive=exclusive, reverse=reverse)
    return cast(ctx, summed, kind) if wide else summed


def cumulative_product(ctx: NodeContext) -> ir.Value:
    """`Cumprod`: y[i] is the product over j of x[j] where j <= i, of 1 elsewhere; of integers as `Cumsum`."""

    def product(table: ir.Value) -> ir.Value:
        kind = ctx.dtype(table)
        wide = cast(ctx, table, _WIDE.get(kind, kind))
        return cast(ctx, ctx.op("ReduceProd", wide, ctx.int64([-1]), keepdims=0), kind)

    return _cumulative(ctx, 1, product)


def _cumulative(ctx: NodeContext, neutral: float, function: Callable[[ir.Value], ir.Value]) -> ir.Value:
    """A function of [..., n, n], where row i has x[j] for the j up to i and the neutral number elsewhere."""
    x = ctx.inputs[0]
    if ctx.ints(1) is None:
        return along(ctx, x, ctx.inputs[1], lambda front: _accumulated(ctx, front, 0, neutral, function))
    return _accumulated(ctx, x, ctx.fixed_int(1, "its axis") % ctx.rank(x), neutral, function)


def _accumulated(
    ctx: NodeContext, x: ir.Value, axis: int, neutral: float, function: Callable[[ir.Value], ir.Value]
) -> ir.Value:
    rank = ctx.rank(x)
    last = ctx.op("Transpose", x, perm=[i for i in range(rank) if i != axis] + [axis])
    row = ctx.op("Unsqueeze", last, ctx.int64([-2]))
    kept = _triangle(ctx, last, reverse=ctx.flag("reverse", False), exclusive=ctx.flag("exclusive", False))
    y = function(ctx.op("Where", kept, row, ctx.scalar(neutral, x)))
    order = list(range(rank - 1))
    return ctx.op("Transpose", y, perm=[*order[:axis], rank - 1, *order[axis:]])


def cumulative_logsumexp(ctx: NodeContext) -> ir.Value:
    """`CumulativeLogsumexp`: y[i] is the logarithm of the sum of exp(x[j]); that of nothing is -infinity."""

    def summed(table: ir.Value) -> ir.Value:
        highest = ctx.op("ReduceMax", table, ctx.int64([-1]), keepdims=1)
        nothing = ctx.op("Equal", highest, ctx.scalar(-np.inf, highest))
        highest = ctx.op("Where", nothing, ctx.scalar(0, highest), highest)
        parts = ctx.op("Exp", ctx.op("Sub", table, highest))
        total = ctx.op("Log", ctx.op("ReduceSum", parts, ctx.int64([-1]), keepdims=1))
        return ctx.op("Squeeze", ctx.op("Add", total, highest), ctx.int64([-1]))

    return _cumulative(ctx, -np.inf, summed)


def _triangle(ctx: NodeContext, x: ir.Value, *, reverse: bool, exclusive: bool) -> ir.Value:
    """Which j count for which i, [n, n]: j <= i, or i <= j in reverse; without i itself if exclusive."""
    size = ctx.op("Gather", ctx.op("Shape", x), ctx.int64(-1), axis=0)
    places = ctx.op("Range", ctx.int64(0), size, ctx.int64(1))
    i, j = (ctx.op("Unsqueeze", places, ctx.int64([axis])) for axis in (1, 0))
    first, second = (i, j) if reverse else (j, i)
    return ctx.op("Less" if exclusive else "LessOrEqual", first, second)


OPS: dict[str, OpFunction] = {
    "All": _truth("ReduceMin"),
    "Any": _truth("ReduceMax"),
    "ArgMax": _position("ArgMax"),
    "ArgMin": _position("ArgMin"),
    "Cumprod": cumulative_product,
    "Cumsum": cumulative_sum,
    "CumulativeLogsumexp": cumulative_logsumexp,
    "EuclideanNorm": _reduction("ReduceL2"),
    "Max": _reduction("ReduceMax"),
    "Mean": _reduction("ReduceMean"),
    "Min": _reduction("ReduceMin"),
    "NthElement": nth_element,
    "Prod": _reduction("ReduceProd"),
    "Sum": _reduction("ReduceSum"),
    "TopK": top_k_old,
    "TopKV2": top_k,
}
