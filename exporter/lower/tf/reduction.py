"""Reductions over axes, positions of extremes, running sums and products."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.vectors import as_int64, cast, vector

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
        return reduce(ctx, op_type, ctx.inputs[0])

    return reduction


def _truth(op_type: str) -> OpFunction:
    """`All` and `Any`, as the minimum and maximum of 0 and 1."""

    def reduction(ctx: NodeContext) -> ir.Value:
        if ctx.ints(1) == []:
            return ctx.inputs[0]
        numbers = cast(ctx, ctx.inputs[0], ir.DataType.INT32)
        return cast(ctx, reduce(ctx, op_type, numbers), ir.DataType.BOOL)

    return reduction


def _position(op_type: str) -> OpFunction:
    """`ArgMax` and `ArgMin`: the first one of equal elements."""

    def position(ctx: NodeContext) -> ir.Value:
        axis = ctx.fixed_int(1, "its axis")
        found = ctx.op(op_type, ctx.inputs[0], axis=axis, keepdims=0)
        return cast(ctx, found, ctx.element_type("output_type", 9))

    return position


def top_k(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`TopKV2`: the k largest along the last axis, of equal ones the first, in falling order."""
    x, k = ctx.inputs
    values, indices = ctx.builder.op_n("TopK", 2, x, as_int64(ctx, vector(ctx, k)), axis=-1)
    return values, cast(ctx, indices, ctx.element_type("index_type", 3))


def top_k_old(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`TopK`: k is an attribute."""
    values, indices = ctx.builder.op_n("TopK", 2, ctx.inputs[0], ctx.int64([ctx.integer("k")]), axis=-1)
    return values, cast(ctx, indices, ir.DataType.INT32)


def cumulative_sum(ctx: NodeContext) -> ir.Value:
    """`Cumsum`."""
    x, axis = ctx.inputs
    exclusive, reverse = int(ctx.flag("exclusive", False)), int(ctx.flag("reverse", False))
    return ctx.op("CumSum", x, axis, exclusive=exclusive, reverse=reverse)


def cumulative_product(ctx: NodeContext) -> ir.Value:
    """`Cumprod`: y[i] is the product over j of x[j] where j <= i, of 1 elsewhere."""
    x = ctx.inputs[0]
    rank = ctx.rank(x)
    axis = ctx.fixed_int(1, "its axis") % rank
    last = ctx.op("Transpose", x, perm=[i for i in range(rank) if i != axis] + [axis])
    row = ctx.op("Unsqueeze", last, ctx.int64([-2]))
    kept = _triangle(ctx, last, reverse=ctx.flag("reverse", False), exclusive=ctx.flag("exclusive", False))
    table = ctx.op("Where", kept, row, ctx.scalar(1, x))
    y = ctx.op("ReduceProd", table, ctx.int64([-1]), keepdims=0)
    order = list(range(rank - 1))
    return ctx.op("Transpose", y, perm=[*order[:axis], rank - 1, *order[axis:]])


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
    "EuclideanNorm": _reduction("ReduceL2"),
    "Max": _reduction("ReduceMax"),
    "Mean": _reduction("ReduceMean"),
    "Min": _reduction("ReduceMin"),
    "Prod": _reduction("ReduceProd"),
    "Sum": _reduction("ReduceSum"),
    "TopK": top_k_old,
    "TopKV2": top_k,
}
