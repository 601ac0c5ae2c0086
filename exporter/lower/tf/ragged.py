"""Ragged tensors: values [n, ...] of all rows one after the other, and where rows begin and end, `splits` [rows + 1].

splits [0, 2, 2, 5]   rows of elements 0 1, of none, and of 2 3 4;  row of each element  [0, 0, 2, 2, 2]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.scattering import scattered
from exporter.lower.tf.vectors import as_int64, cast, dim_value, element, join, scalar, vector

__all__ = ["OPS"]


def _numbers(ctx: NodeContext, count: ir.Value) -> ir.Value:
    """0, 1, ... up to a count, given as a vector of one element."""
    return ctx.op("Range", ctx.int64(0), scalar(ctx, count), ctx.int64(1))


def _column(ctx: NodeContext, value: ir.Value) -> ir.Value:
    return ctx.op("Unsqueeze", value, ctx.int64([1]))


def _count_true(ctx: NodeContext, condition: ir.Value) -> ir.Value:
    """How many are true in each row [n, m], as int64 [n]."""
    return ctx.op("ReduceSum", cast(ctx, condition, ir.DataType.INT64), ctx.int64([1]), keepdims=0)


def _splits_of_lengths(ctx: NodeContext, lengths: ir.Value) -> ir.Value:
    """Where rows of these lengths [rows] begin, and the end."""
    ends = ctx.op("CumSum", lengths, ctx.int64(0))
    return ctx.op("Concat", ctx.int64([0]), ends, axis=0)


def _lengths(ctx: NodeContext, splits: ir.Value) -> ir.Value:
    return ctx.op("Sub", _ends(ctx, splits), _starts(ctx, splits))


def _starts(ctx: NodeContext, splits: ir.Value) -> ir.Value:
    return ctx.op("Slice", splits, ctx.int64([0]), ctx.int64([-1]), ctx.int64([0]))


def _ends(ctx: NodeContext, splits: ir.Value) -> ir.Value:
    return ctx.op("Slice", splits, ctx.int64([1]), ctx.int64([np.iinfo(np.int64).max]), ctx.int64([0]))


def _rows(ctx: NodeContext, splits: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The row of each element, and its place in the row."""
    numbers = _numbers(ctx, ctx.op("Gather", splits, ctx.int64([-1]), axis=0))
    ended = ctx.op("LessOrEqual", ctx.op("Unsqueeze", _ends(ctx, splits), ctx.int64([0])), _column(ctx, numbers))
    rows = _count_true(ctx, ended)
    return rows, ctx.op("Sub", numbers, ctx.op("Gather", splits, rows, axis=0))


def _splits_of_rows(ctx: NodeContext, rows: ir.Value, count: ir.Value) -> ir.Value:
    """Where each row begins, and the end, from the row of each element; `count` rows, a vector of one element."""
    numbers = _numbers(ctx, ctx.op("Add", count, ctx.int64([1])))
    before = ctx.op("Less", ctx.op("Unsqueeze", rows, ctx.int64([0])), _column(ctx, numbers))
    return _count_true(ctx, before)


def _longest(ctx: NodeContext, splits: ir.Value) -> ir.Value:
    """The length of the longest row as a vector of one element, 0 of none."""
    lengths = ctx.op("Concat", ctx.int64([0]), _lengths(ctx, splits), axis=0)
    return ctx.op("ReduceMax", lengths, ctx.int64([0]), keepdims=1)


def _row_count(ctx: NodeContext, splits: ir.Value) -> ir.Value:
    return ctx.op("Sub", ctx.op("Shape", splits, start=0, end=1), ctx.int64([1]))


def _places(ctx: NodeContext, nested: Sequence[ir.Value]) -> ir.Value:
    """For each element of the innermost rows its place [n, depth + 1]: the row, and the place on each level."""
    columns: list[ir.Value] = []
    parents: ir.Value | None = None
    for splits in reversed(nested):
        rows, places = _rows(ctx, splits)
        if parents is not None:
            rows, places = (ctx.op("Gather", each, parents, axis=0) for each in (rows, places))
        columns.append(places)
        parents = rows
    if parents is None:
        raise RefusalError("it has no rows")
    return ctx.op("Concat", *(_column(ctx, each) for each in (parents, *reversed(columns))), axis=1)


def _sizes(ctx: NodeContext, nested: Sequence[ir.Value]) -> list[ir.Value]:
    """The number of rows, and the longest row on each level, each a vector of one element."""
    return [_row_count(ctx, nested[0]), *(_longest(ctx, splits) for splits in nested)]


def ragged_range(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`RaggedRange`: in each row `start, start + delta, ...` before the limit; single numbers are those of all rows."""
    starts, limits, deltas = (vector(ctx, value) for value in ctx.inputs)
    kind = ctx.dtype(starts)
    if not kind.is_floating_point():
        starts, limits, deltas = (as_int64(ctx, value) for value in (starts, limits, deltas))
    reach = ctx.op("Mul", ctx.op("Sub", limits, starts), ctx.op("Sign", deltas))
    count = _steps(ctx, reach, ctx.op("Abs", deltas))
    lengths = ctx.op("Where", ctx.op("Greater", reach, ctx.scalar(0, reach)), count, ctx.int64(0))
    splits = _splits_of_lengths(ctx, lengths)
    rows, places = _rows(ctx, splits)
    everywhere = ctx.op("Shape", lengths)
    first, delta = (ctx.op("Gather", ctx.op("Expand", value, everywhere), rows, axis=0) for value in (starts, deltas))
    values = cast(ctx, ctx.op("Add", first, ctx.op("Mul", cast(ctx, places, ctx.dtype(delta)), delta)), kind)
    splits_kind = ir.DataType.INT32 if ctx.node.attribute("Tsplits") == 3 else ir.DataType.INT64
    return cast(ctx, splits, splits_kind), values


def _steps(ctx: NodeContext, reach: ir.Value, step: ir.Value) -> ir.Value:
    """How many steps it takes to get that far, or farther."""
    if ctx.dtype(reach).is_floating_point():
        return as_int64(ctx, ctx.op("Ceil", ctx.op("Div", reach, step)))
    return ctx.op("Div", ctx.op("Sub", ctx.op("Add", reach, step), ctx.int64(1)), step)


def to_tensor(ctx: NodeContext) -> ir.Value:
    """`RaggedTensorToTensor`: rows padded with the default to the longest, or cut and padded to a given shape."""
    shape, values, default, *partitions = ctx.inputs
    nested = _nested(ctx, [as_int64(ctx, value) for value in partitions])
    places, sizes = _places(ctx, nested), join(ctx, _sizes(ctx, nested))
    depth = len(nested) + 1
    given = ctx.builder.elements(shape)
    if given is None or any(not isinstance(n, int | np.integer) or n >= 0 for n in given.reshape(-1).tolist()):
        wanted = ctx.op("Slice", as_int64(ctx, shape), ctx.int64([0]), ctx.int64([depth]), ctx.int64([0]))
        sizes = ctx.op("Where", ctx.op("Less", wanted, ctx.int64(0)), sizes, wanted)
        inside = cast(ctx, ctx.op("Less", places, sizes), ir.DataType.INT64)
        kept = ctx.op("ReduceMin", inside, ctx.int64([1]), keepdims=0)
        chosen = ctx.op("Reshape", ctx.op("NonZero", kept), ctx.int64([-1]))
        places, values = (ctx.op("Gather", each, chosen, axis=0) for each in (places, values))
    inner = [dim_value(ctx, values, axis) for axis in range(1, ctx.rank(values))]
    whole = ctx.op("Concat", sizes, join(ctx, inner), axis=0) if inner else sizes
    result = ctx.op("ScatterND", ctx.op("Expand", default, whole), places, values)
    return ctx.ranked(result, depth + len(inner))


def _nested(ctx: NodeContext, partitions: Sequence[ir.Value]) -> list[ir.Value]:
    """The splits of each level, from the partitions in the forms that the node names."""
    kinds = ctx.texts("row_partition_types")
    if not kinds or len(kinds) != len(partitions):
        raise RefusalError("its partitions are not as many as their kinds")
    if kinds[0] == "FIRST_DIM_SIZE":
        count: ir.Value | None = vector(ctx, partitions[0])
        kinds, partitions = kinds[1:], partitions[1:]
    else:
        count = None
    found: list[ir.Value] = []
    for kind, partition in zip(kinds, partitions, strict=True):
        if kind == "ROW_SPLITS":
            splits = partition
        elif kind == "VALUE_ROWIDS" and count is not None:
            splits = _splits_of_rows(ctx, partition, count)
        else:
            raise RefusalError(f"its partition is {kind[:40]!r}")
        found.append(splits)
        count = ctx.op("Gather", splits, ctx.int64([-1]), axis=0)
    if not found:
        raise RefusalError("it has no ragged axis")
    return found


def to_sparse(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`RaggedTensorToSparse`: places, values and the shape that holds the longest rows."""
    *nested, values = ctx.inputs
    if ctx.rank(values) != 1:
        raise RefusalError("its values have more than one axis")
    splits = [as_int64(ctx, value) for value in nested]
    return _places(ctx, splits), values, join(ctx, _sizes(ctx, splits))


def gather(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`RaggedGather`: the rows of these numbers, one after the other."""
    *nested, values, indices = ctx.inputs
    if len(nested) != 1 or ctx.rank(indices) != 1:
        raise RefusalError("it gathers rows of rows")
    kind = ctx.dtype(nested[0])
    splits, indices = as_int64(ctx, nested[0]), as_int64(ctx, indices)
    lengths = ctx.op("Gather", _lengths(ctx, splits), indices, axis=0)
    found = _splits_of_lengths(ctx, lengths)
    rows, places = _rows(ctx, found)
    first = ctx.op("Gather", ctx.op("Gather", splits, indices, axis=0), rows, axis=0)
    return cast(ctx, found, kind), ctx.op("Gather", values, ctx.op("Add", first, places), axis=0)


def _reduced(reduction: str) -> OpFunction:
    def reduce(ctx: NodeContext) -> ir.Value:
        """Of a sparse tensor over axes; what is not there counts for nothing."""
        indices, values, shape, _ = ctx.inputs
        rank = dim_value(ctx, indices, 1)
        if not isinstance(rank, int):
            raise RefusalError("the rank of its tensor is not known")
        over = ctx.fixed_ints(3, "its axes")
        keep = ctx.flag("keep_dims", False)
        size = join(ctx, [element(ctx, shape, axis) for axis in range(rank)])
        kind = ctx.numpy_dtype(values)
        lowest = np.zeros(1, kind) if reduction == "Sum" else np.full(1, _lowest(kind), kind)
        dense = ctx.op("ConstantOfShape", size, value=lowest)
        how = "add" if reduction == "Sum" else "max"
        dense = scattered(ctx, dense, indices, values, how)
        result = ctx.op(f"Reduce{reduction}", dense, ctx.int64(over), keepdims=int(keep)) if over else dense
        if reduction == "Sum":
            return result
        nothing = ctx.op("Equal", result, ctx.scalar(float(lowest[0]), result))
        return ctx.op("Where", nothing, ctx.scalar(0, result), result)

    return reduce


def _lowest(kind: np.dtype[Any]) -> float:
    return -np.inf if kind.kind == "f" else float(np.iinfo(kind).min)


_OPERATIONS = ("a-b", "b-a", "intersection", "union")


def set_operation(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`DenseToDenseSetOperation`: of the sets in the rows of two matrices; sorted, as a sparse tensor."""
    a, b = ctx.inputs
    operation = ctx.text("set_operation", "")
    if ctx.rank(a) != 2 or operation not in _OPERATIONS or ctx.dtype(a) == ir.DataType.STRING:
        raise RefusalError(f"it is the operation {operation!r} on sets of {ctx.dtype(a).name.lower()}s of this rank")
    kind = ctx.dtype(a)
    a, b = as_int64(ctx, a), as_int64(ctx, b)
    if operation == "b-a":
        a, b = b, a
    candidates = ctx.op("Concat", a, b, axis=1) if operation == "union" else a
    width = ctx.op("Shape", candidates, start=1, end=2)
    ordered, _ = ctx.builder.op_n("TopK", 2, candidates, width, axis=1, largest=0)
    before = ctx.op("Slice", ordered, ctx.int64([0]), ctx.int64([-1]), ctx.int64([1]))
    rest = ctx.op("Slice", ordered, ctx.int64([1]), ctx.int64([np.iinfo(np.int64).max]), ctx.int64([1]))
    fresh = cast(ctx, ctx.op("Not", ctx.op("Equal", rest, before)), ir.DataType.INT64)
    first = ctx.op("Slice", ctx.op("Sign", ctx.op("Add", ctx.op("Abs", ordered), ctx.int64(1))), *_first_column(ctx))
    kept = ctx.op("Concat", first, fresh, axis=1)
    if operation != "union":
        pairs = ctx.op("Equal", ctx.op("Unsqueeze", ordered, ctx.int64([2])), ctx.op("Unsqueeze", b, ctx.int64([1])))
        met = ctx.op("ReduceMax", cast(ctx, pairs, ir.DataType.INT64), ctx.int64([2]), keepdims=0)
        kept = ctx.op("Mul", kept, met if operation == "intersection" else ctx.op("Sub", ctx.int64(1), met))
    found = ctx.op("Transpose", ctx.op("NonZero", kept), perm=[1, 0])
    row = ctx.op("Slice", found, *_first_column(ctx))
    numbers = ctx.op("Sub", ctx.op("CumSum", kept, ctx.int64(1)), ctx.int64(1))
    places = ctx.op("Concat", row, _column(ctx, ctx.op("GatherND", numbers, found)), axis=1)
    counts = ctx.op("ReduceSum", kept, ctx.int64([1]), keepdims=0)
    longest = ctx.op("ReduceMax", ctx.op("Concat", ctx.int64([0]), counts, axis=0), ctx.int64([0]), keepdims=1)
    shape = ctx.op("Concat", ctx.op("Shape", candidates, start=0, end=1), longest, axis=0)
    return places, cast(ctx, ctx.op("GatherND", ordered, found), kind), shape


def _first_column(ctx: NodeContext) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Start, end and axis of a Slice."""
    return ctx.int64([0]), ctx.int64([1]), ctx.int64([1])


OPS: dict[str, OpFunction] = {
    "DenseToDenseSetOperation": set_operation,
    "RaggedGather": gather,
    "RaggedRange": ragged_range,
    "RaggedTensorToSparse": to_sparse,
    "RaggedTensorToTensor": to_tensor,
    "SparseReduceMax": _reduced("Max"),
    "SparseReduceSum": _reduced("Sum"),
}
