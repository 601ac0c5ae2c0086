"""Numbers counted, found again, and told apart."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import as_int64, cast, dim_value, join, scalar, vector

__all__ = ["OPS", "counted"]


def counted(
    ctx: NodeContext, numbers: ir.Value, size: ir.Value, weights: ir.Value | None, dtype: ir.DataType, *, once: bool
) -> ir.Value:
    """How often each number below `size`, or with which sum of weights, is in numbers [n] or in each row [b, n].

    Args:
        ctx: The node.
        numbers: None of them negative; those from `size` on are left out.
        size: An int64 vector of one element.
        weights: One for each number.
        dtype: Of the result.
        once: Whether a number that is there counts 1, however often it is.
    """
    wide = ir.DataType.FLOAT if dtype not in _COUNTABLE else dtype
    places = ctx.op("Min", as_int64(ctx, numbers), size)
    shape = ctx.op("Shape", places)
    if weights is None:
        weights = ctx.op("ConstantOfShape", shape, value=np.ones(1, wide.numpy()))
    room = ctx.op("Add", size, ctx.int64([1]))
    index = ctx.op("Unsqueeze", places, ctx.int64([-1]))
    rank = ctx.rank(numbers)
    if rank == 2:
        rows = ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [dim_value(ctx, numbers, 0)])), ctx.int64(1))
        rows = ctx.op("Expand", ctx.op("Unsqueeze", rows, ctx.int64([1, 2])), ctx.op("Shape", index))
        index = ctx.op("Concat", rows, index, axis=-1)
        room = join(ctx, [dim_value(ctx, numbers, 0), room])
    elif rank != 1:
        raise RefusalError(f"its numbers have rank {rank}")
    zeros = ctx.op("ConstantOfShape", room, value=np.zeros(1, wide.numpy()))
    reduction = {} if once else {"reduction": "add"}
    sums = ctx.op("ScatterND", zeros, index, cast(ctx, weights, wide), **reduction)
    return cast(ctx, ctx.op("Slice", sums, ctx.int64([0]), size, ctx.int64([-1])), dtype)


_COUNTABLE = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT32, ir.DataType.INT64})


def bincount(ctx: NodeContext) -> ir.Value:
    """`Bincount`, `DenseBincount`: numbers, how many there may be, weights or none."""
    numbers, size, weights = ctx.inputs
    dims = ctx.shape(weights)
    if dims is None:
        raise RefusalError("whether it has weights is not known")
    given = weights if 0 not in dims else None
    if ctx.node.op == "Bincount" and ctx.rank(numbers) != 1:
        numbers = ctx.op("Reshape", numbers, ctx.int64([-1]))
        given = None if given is None else ctx.op("Reshape", given, ctx.int64([-1]))
    once = ctx.flag("binary_output", False)
    wanted = as_int64(ctx, vector(ctx, size))
    return counted(ctx, numbers, wanted, None if once else given, ctx.dtype(weights), once=once)


def histogram(ctx: NodeContext) -> ir.Value:
    """`HistogramFixedWidth`: how many numbers are in each of so many equal parts of a range; others in the outer ones.

    The part is min(int((max(x, low) - low) / step), parts - 1), where the quotient is one of doubles.
    """
    x, bounds, size = ctx.inputs
    low, high = (ctx.op("Gather", bounds, ctx.int64(place), axis=0) for place in (0, 1))
    parts = as_int64(ctx, vector(ctx, size))
    span = cast(ctx, ctx.op("Sub", high, low), ir.DataType.DOUBLE)
    step = ctx.op("Div", span, cast(ctx, parts, ir.DataType.DOUBLE))
    above = ctx.op("Sub", ctx.op("Max", ctx.op("Reshape", x, ctx.int64([-1])), low), low)
    last = ctx.op("Sub", parts, ctx.int64([1]))
    far = ctx.op("Div", cast(ctx, above, ir.DataType.DOUBLE), step)
    near = ctx.op("Min", far, cast(ctx, last, ir.DataType.DOUBLE))
    return counted(ctx, as_int64(ctx, near), parts, None, ctx.element_type("dtype", 3), once=False)


def unique(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`Unique`, `UniqueWithCounts`: different elements as they come, for each element its number, how often each is."""
    x = ctx.inputs[0]
    axes = ctx.fixed_ints(1, "its axis") if len(ctx.inputs) > 1 else []
    if ctx.rank(x) != 1 and not axes:
        raise RefusalError(f"it looks at a tensor of rank {ctx.rank(x)}")
    kind = ctx.dtype(x)
    along = {"axis": axes[0]} if ctx.rank(x) > 1 else {}
    wide = x if kind in _SORTABLE else as_int64(ctx, x)
    values, _, inverse, counts = ctx.builder.op_n("Unique", 4, wide, sorted=0, **along)
    number = ctx.element_type("out_idx", 3)
    found = (cast(ctx, values, kind), cast(ctx, inverse, number), cast(ctx, counts, number))
    return found if "WithCounts" in ctx.node.op else found[:2]


_SORTABLE = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT64, ir.DataType.STRING})


def list_diff(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`ListDiff`: the numbers of x that y doesn't have, and where they are."""
    x, y = ctx.inputs
    known = [ctx.ints(index) for index in (0, 1)]
    number = ctx.element_type("out_idx", 3)
    if known[0] is not None and known[1] is not None:
        places = [i for i, item in enumerate(known[0]) if item not in known[1]]
        kept = np.array([known[0][i] for i in places]).astype(ctx.numpy_dtype(x))
        return ctx.const(kept), ctx.const(np.array(places).astype(number.numpy()))
    same = cast(ctx, ctx.op("Equal", ctx.op("Unsqueeze", x, ctx.int64([1])), y), ir.DataType.INT32)
    times = ctx.op("ReduceSum", same, ctx.int64([1]), keepdims=0)
    missing = ctx.op("NonZero", ctx.op("Equal", times, ctx.const(np.int32(0))))
    found = ctx.op("Squeeze", missing, ctx.int64([0]))
    return ctx.op("Gather", x, found, axis=0), cast(ctx, found, number)


def in_top_k(ctx: NodeContext) -> ir.Value:
    """`InTopK`: whether fewer than k predictions are above that of the target, all of them being finite."""
    predictions, targets = ctx.inputs[:2]
    k = as_int64(ctx, ctx.inputs[2]) if len(ctx.inputs) > 2 else ctx.int64(ctx.integer("k"))
    column = ctx.op("Unsqueeze", as_int64(ctx, targets), ctx.int64([1]))
    own = ctx.op("GatherElements", predictions, column, axis=1)
    above = cast(ctx, ctx.op("Greater", predictions, own), ir.DataType.INT64)
    few = ctx.op("Less", ctx.op("ReduceSum", above, ctx.int64([1]), keepdims=0), k)
    zero = ctx.op("Sub", predictions, predictions)
    finite = ctx.op("Equal", ctx.op("ReduceSum", zero, ctx.int64([1]), keepdims=0), ctx.scalar(0, predictions))
    return ctx.op("And", few, finite)


OPS: dict[str, OpFunction] = {
    "Bincount": bincount,
    "DenseBincount": bincount,
    "HistogramFixedWidth": histogram,
    "InTopK": in_top_k,
    "InTopKV2": in_top_k,
    "ListDiff": list_diff,
    "Unique": unique,
    "UniqueV2": unique,
    "UniqueWithCounts": unique,
    "UniqueWithCountsV2": unique,
}
