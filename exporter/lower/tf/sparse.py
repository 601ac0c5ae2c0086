"""Sparse tensors: the indices [n, rank] of elements, their values [n], and a shape."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.scattering import scattered
from exporter.lower.tf.vectors import as_int64, cast, dim_value, element, join, scalar

__all__ = ["OPS", "steps_of"]


def to_dense(ctx: NodeContext) -> ir.Value:
    """`SparseToDense`: the values at their places, the default elsewhere."""
    indices, shape, values, default = ctx.inputs
    indices = as_int64(ctx, indices)
    if ctx.rank(indices) < 2:
        indices = ctx.op("Reshape", indices, ctx.int64([-1, 1]))
    if ctx.rank(values) == 0:
        values = ctx.op("Expand", values, ctx.op("Shape", indices, start=0, end=1))
    empty = ctx.op("Expand", default, as_int64(ctx, shape))
    return ctx.op("ScatterND", empty, indices, values)


def steps_of(ctx: NodeContext, shape: ir.Value) -> ir.Value:
    """How far apart elements are that are neighbours along each axis of a shape [rank]."""
    sizes = ctx.sizes(shape)
    if sizes is None:
        raise RefusalError("the rank of its tensor is not known")
    step, steps = ctx.int64([1]), []
    for axis in reversed(range(sizes[0])):
        steps.append(step)
        step = ctx.op("Mul", step, join(ctx, [element(ctx, shape, axis)]))
    return ctx.op("Concat", *reversed(steps), axis=0)


def reshape(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseReshape`: indices and shape of the same elements in another shape, where -1 is what is left."""
    indices, shape, wanted = (as_int64(ctx, value) for value in ctx.inputs)
    total = ctx.op("ReduceProd", shape, ctx.int64([0]), keepdims=1)
    open_ = ctx.op("Equal", wanted, ctx.int64(-1))
    given = ctx.op("ReduceProd", ctx.op("Where", open_, ctx.int64(1), wanted), ctx.int64([0]), keepdims=1)
    full = ctx.op("Where", open_, ctx.op("Div", total, given), wanted)
    flat = ctx.op("ReduceSum", ctx.op("Mul", indices, steps_of(ctx, shape)), ctx.int64([1]), keepdims=1)
    return ctx.op("Mod", ctx.op("Div", flat, steps_of(ctx, full)), full), full


def fill_empty_rows(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseFillEmptyRows`: every row has an element, in an empty one the default at its beginning.

    Gives indices, values, which rows were empty, and where each element has gone.
    """
    indices, values, shape, default = ctx.inputs
    rank = dim_value(ctx, indices, 1)
    if not isinstance(rank, int):
        raise RefusalError("the rank of its tensor is not known")
    rows = join(ctx, [element(ctx, shape, 0)])
    row = ctx.op("Slice", indices, ctx.int64([0]), ctx.int64([1]), ctx.int64([1]))
    count = ctx.op("Shape", row, start=0, end=1)
    there = ctx.op("ConstantOfShape", rows, value=np.zeros(1, np.int64))
    there = ctx.op("ScatterND", there, row, ctx.op("ConstantOfShape", count, value=np.ones(1, np.int64)))
    empty = ctx.op("Equal", there, ctx.int64(0))
    added = ctx.op("Transpose", ctx.op("NonZero", empty), perm=[1, 0])
    more = ctx.op("Pad", added, ctx.int64([0, 0, 0, rank - 1]), ctx.int64(0)) if rank > 1 else added
    every = ctx.op("Concat", indices, more, axis=0)
    fill = ctx.op("Expand", default, ctx.op("Shape", added, start=0, end=1))
    lines = ctx.op("Squeeze", ctx.op("Concat", row, added, axis=0), ctx.int64([1]))
    size = ctx.op("Shape", lines)
    numbers = ctx.op("Range", ctx.int64(0), scalar(ctx, size), ctx.int64(1))
    keys = ctx.op("Add", ctx.op("Mul", lines, size), numbers)
    _, order = ctx.builder.op_n("TopK", 2, keys, size, axis=0, largest=0)
    places = ctx.op("ScatterND", numbers, ctx.op("Unsqueeze", order, ctx.int64([1])), numbers)
    return (
        ctx.op("Gather", every, order, axis=0),
        ctx.op("Gather", ctx.op("Concat", values, fill, axis=0), order, axis=0),
        empty,
        ctx.op("Slice", places, ctx.int64([0]), count, ctx.int64([0])),
    )


def times_dense(ctx: NodeContext) -> ir.Value:
    """`SparseTensorDenseMatMul`: a sparse matrix times a matrix."""
    indices, values, shape, b = ctx.inputs
    if ctx.flag("adjoint_b", False):
        b = ctx.op("Transpose", b, perm=[1, 0])
    turned = ctx.flag("adjoint_a", False)
    row, column = (
        ctx.op("Slice", as_int64(ctx, indices), ctx.int64([i]), ctx.int64([i + 1]), ctx.int64([1]))
        for i in ((1, 0) if turned else (0, 1))
    )
    lines = ctx.op("Gather", b, ctx.op("Squeeze", column, ctx.int64([1])), axis=0)
    products = ctx.op("Mul", lines, ctx.op("Unsqueeze", values, ctx.int64([1])))
    size = join(ctx, [element(ctx, shape, 1 if turned else 0), dim_value(ctx, b, 1)])
    zeros = ctx.op("ConstantOfShape", size, value=np.zeros(1, ctx.numpy_dtype(values)))
    return scattered(ctx, zeros, row, products, "add")


def ctc_greedy(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`CTCGreedyDecoder`: the best class of each step [time, batch, classes], without blanks and, if asked, repeats.

    Gives a sparse tensor [batch, longest] as indices, values and shape, and -sum of the best logits [batch, 1].
    """
    logits, lengths = ctx.inputs
    blank = ctx.integer("blank_index", -1)
    classes = join(ctx, [dim_value(ctx, logits, 2)])
    last = ctx.op("Add", classes, ctx.int64([blank])) if blank < 0 else ctx.int64([blank])
    by_row = ctx.op("Transpose", logits, perm=[1, 0, 2])
    best = ctx.op("ArgMax", by_row, axis=2, keepdims=0)
    steps = ctx.op("Range", ctx.int64(0), scalar(ctx, ctx.op("Shape", best, start=1, end=2)), ctx.int64(1))
    there = ctx.op("Less", steps, ctx.op("Unsqueeze", as_int64(ctx, lengths), ctx.int64([1])))
    kept = ctx.op("And", there, ctx.op("Not", ctx.op("Equal", best, last)))
    if ctx.flag("merge_repeated", False):
        shifted = ctx.op("Pad", best, ctx.int64([0, 1, 0, -1]), ctx.int64(-1))
        kept = ctx.op("And", kept, ctx.op("Not", ctx.op("Equal", best, shifted)))
    counts = cast(ctx, kept, ir.DataType.INT64)
    places = ctx.op("Sub", ctx.op("CumSum", counts, ctx.int64(1)), ctx.int64(1))
    found = ctx.op("Transpose", ctx.op("NonZero", kept), perm=[1, 0])
    row = ctx.op("Slice", found, ctx.int64([0]), ctx.int64([1]), ctx.int64([1]))
    column = ctx.op("Unsqueeze", ctx.op("GatherND", places, found), ctx.int64([1]))
    longest = ctx.op("ReduceMax", ctx.op("ReduceSum", counts, ctx.int64([1]), keepdims=0), ctx.int64([0]), keepdims=1)
    highest = ctx.op("ReduceMax", by_row, ctx.int64([2]), keepdims=0)
    counted = ctx.op("Where", there, highest, ctx.scalar(0, highest))
    return (
        ctx.op("Concat", row, column, axis=1),
        ctx.op("GatherND", best, found),
        ctx.op("Concat", ctx.op("Shape", best, start=0, end=1), longest, axis=0),
        ctx.op("Neg", ctx.op("ReduceSum", counted, ctx.int64([1]), keepdims=1)),
    )


OPS: dict[str, OpFunction] = {
    "CTCGreedyDecoder": ctc_greedy,
    "SparseFillEmptyRows": fill_empty_rows,
    "SparseReshape": reshape,
    "SparseTensorDenseMatMul": times_dense,
    "SparseToDense": to_dense,
}
