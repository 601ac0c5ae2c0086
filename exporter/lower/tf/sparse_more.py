"""Arithmetic of sparse tensors, which have their elements in order; parts of them, and several as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.scattering import scattered
from exporter.lower.tf.sparse import steps_of
from exporter.lower.tf.vectors import FAR, as_int64, cast, dim_value

__all__ = ["OPS"]


class _Sparse(NamedTuple):
    """Places [n, rank] int64, values [n], and the shape [rank] int64."""

    indices: ir.Value
    values: ir.Value
    shape: ir.Value


def _sparse(ctx: NodeContext, first: int = 0) -> _Sparse:
    """The one of three inputs in a row."""
    indices, values, shape = ctx.inputs[first : first + 3]
    return _Sparse(as_int64(ctx, indices), values, as_int64(ctx, shape))


def _keys(ctx: NodeContext, indices: ir.Value, shape: ir.Value) -> ir.Value:
    """The place of each element in the row of all, [n]."""
    return ctx.op("ReduceSum", ctx.op("Mul", indices, steps_of(ctx, shape)), ctx.int64([1]), keepdims=0)


def _ordered(ctx: NodeContext, x: _Sparse) -> tuple[ir.Value, ir.Value]:
    """Places and values in their order."""
    keys = _keys(ctx, x.indices, x.shape)
    _, order = ctx.builder.op_n("TopK", 2, keys, ctx.op("Shape", keys), axis=0, largest=0)
    return ctx.op("Gather", x.indices, order, axis=0), ctx.op("Gather", x.values, order, axis=0)


def reorder(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseReorder`."""
    return _ordered(ctx, _sparse(ctx))


def add_dense(ctx: NodeContext) -> ir.Value:
    """`SparseTensorDenseAdd`: a dense tensor to which the elements are added."""
    x = _sparse(ctx)
    return scattered(ctx, ctx.inputs[3], x.indices, x.values, "add")


def _with_dense(op_type: str) -> OpFunction:
    """`SparseDenseCwise*`: the values with those of a dense tensor, that may be broadcast, at their places."""

    def lower(ctx: NodeContext) -> ir.Value:
        x = _sparse(ctx)
        dense = ctx.op("Expand", ctx.inputs[3], x.shape)
        return ctx.op(op_type, x.values, ctx.op("GatherND", dense, x.indices))

    return lower


def softmax(ctx: NodeContext) -> ir.Value:
    """`SparseSoftmax`: along the last axis over the elements that are there."""
    x = _sparse(ctx)
    empty = ctx.op("Expand", ctx.scalar(-np.inf, x.values), x.shape)
    dense = scattered(ctx, empty, x.indices, x.values, "none")
    return ctx.op("GatherND", ctx.op("Softmax", dense, axis=-1), x.indices)


def _joined(ctx: NodeContext, parts: Sequence[ir.Value]) -> ir.Value:
    return parts[0] if len(parts) == 1 else ctx.op("Concat", *parts, axis=0)


def concat(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseConcat`: one after the other along an axis."""
    count = ctx.count("N")
    parts = []
    for number in range(count):
        indices, values, part_shape = ctx.inputs[number::count]
        parts.append(_Sparse(as_int64(ctx, indices), values, as_int64(ctx, part_shape)))
    sizes = ctx.sizes(parts[0].shape)
    if sizes is None:
        raise RefusalError("the rank of its tensors is not known")
    axis = ctx.integer("concat_dim") % sizes[0]
    along = ctx.int64([int(i == axis) for i in range(sizes[0])])
    far, moved = ctx.int64([0]), []
    for part in parts:
        moved.append(ctx.op("Add", part.indices, ctx.op("Mul", along, far)))
        far = ctx.op("Add", far, ctx.op("Gather", part.shape, ctx.int64([axis]), axis=0))
    shape = ctx.op("Where", ctx.op("Equal", along, ctx.int64([1])), far, parts[0].shape)
    joined = _Sparse(_joined(ctx, moved), _joined(ctx, [part.values for part in parts]), shape)
    return *_ordered(ctx, joined), shape


def _where(ctx: NodeContext, kept: ir.Value, *columns: ir.Value) -> tuple[ir.Value, ...]:
    """The rows of each for which a condition [n] holds."""
    rows = ctx.op("Reshape", ctx.op("NonZero", kept), ctx.int64([-1]))
    return tuple(ctx.op("Gather", column, rows, axis=0) for column in columns)


def _within(ctx: NodeContext, x: _Sparse, start: ir.Value, size: ir.Value) -> tuple[ir.Value, ...]:
    moved = ctx.op("Sub", x.indices, start)
    inside = ctx.op("And", ctx.op("GreaterOrEqual", moved, ctx.int64(0)), ctx.op("Less", moved, size))
    kept = ctx.op("ReduceMin", cast(ctx, inside, ir.DataType.INT64), ctx.int64([1]), keepdims=0)
    return *_where(ctx, kept, moved, x.values), size


def slice_(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseSlice`: what is in a box from `start` on, which ends where the tensor does."""
    x = _sparse(ctx)
    start, size = (as_int64(ctx, value) for value in ctx.inputs[3:])
    rest = ctx.op("Max", ctx.op("Sub", x.shape, start), ctx.int64(0))
    return _within(ctx, x, start, ctx.op("Min", size, rest))


def split(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseSplit`: parts along an axis, of which the first ones are longer by 1 where they can't be equal."""
    count, axis = ctx.count("num_split"), ctx.fixed_int(0, "its axis")
    x = _sparse(ctx, 1)
    sizes = ctx.sizes(x.shape)
    if sizes is None:
        raise RefusalError("the rank of its tensor is not known")
    along = ctx.op("Equal", ctx.int64(range(sizes[0])), ctx.int64([axis % sizes[0]]))
    total = ctx.op("Gather", x.shape, ctx.int64([axis]), axis=0)
    least, longer = ctx.op("Div", total, ctx.int64([count])), ctx.op("Mod", total, ctx.int64([count]))
    parts = []
    for number in range(count):
        place = ctx.int64([number])
        start = ctx.op("Add", ctx.op("Mul", least, place), ctx.op("Min", place, longer))
        size = ctx.op("Add", least, cast(ctx, ctx.op("Less", place, longer), ir.DataType.INT64))
        starts = ctx.op("Where", along, start, ctx.int64([0]))
        parts.append(_within(ctx, x, starts, ctx.op("Where", along, size, x.shape)))
    return tuple(part[i] for i in range(3) for part in parts)


def _together(ctx: NodeContext, first: int) -> tuple[ir.Value, ir.Value, list[ir.Value]]:
    """Of two tensors the places [m, rank] that either has, the shape, and the values of each there [m], 0 of none."""
    a, b = _sparse(ctx), _sparse(ctx, first)
    keys = [_keys(ctx, x.indices, a.shape) for x in (a, b)]
    places, _, number, _ = ctx.builder.op_n("Unique", 4, ctx.op("Concat", *keys, axis=0), sorted=1)
    count = ctx.op("Shape", keys[0])
    ends = ((ctx.int64([0]), count), (count, ctx.int64([FAR])))
    zeros = ctx.op("ConstantOfShape", ctx.op("Shape", places), value=np.zeros(1, ctx.numpy_dtype(a.values)))
    values = []
    for x, (start, end) in zip((a, b), ends, strict=True):
        own = ctx.op("Unsqueeze", ctx.op("Slice", number, start, end), ctx.int64([1]))
        values.append(scattered(ctx, zeros, own, x.values, "none"))
    column = ctx.op("Unsqueeze", places, ctx.int64([1]))
    return ctx.op("Mod", ctx.op("Div", column, steps_of(ctx, a.shape)), a.shape), a.shape, values


def add(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseAdd`: the sums that are not below a threshold."""
    indices, shape, values = _together(ctx, 3)
    total = ctx.op("Add", *values)
    kept = ctx.op("GreaterOrEqual", ctx.op("Abs", total), ctx.inputs[6])
    return *_where(ctx, kept, indices, total), shape


def _extreme(op_type: str) -> OpFunction:
    """`SparseSparseMaximum`, `SparseSparseMinimum`: where only one has an element, the other one's is 0."""

    def lower(ctx: NodeContext) -> tuple[ir.Value, ...]:
        indices, _, values = _together(ctx, 3)
        return indices, ctx.op(op_type, *values)

    return lower


def set_size(ctx: NodeContext) -> ir.Value:
    """`SetSize`: how many elements each row of a sparse tensor has, all of them being different."""
    x = _sparse(ctx)
    rank = dim_value(ctx, x.indices, 1)
    if not isinstance(rank, int):
        raise RefusalError("the rank of its tensor is not known")
    rows = ctx.op("Slice", x.shape, ctx.int64([0]), ctx.int64([-1]))
    places = ctx.op("Slice", x.indices, ctx.int64([0]), ctx.int64([-1]), ctx.int64([1]))
    ones = ctx.op("ConstantOfShape", ctx.op("Shape", x.indices, start=0, end=1), value=np.ones(1, np.int32))
    return scattered(ctx, ctx.op("ConstantOfShape", rows, value=np.zeros(1, np.int32)), places, ones, "add")


OPS: dict[str, OpFunction] = {
    "SetSize": set_size,
    "SparseAdd": add,
    "SparseConcat": concat,
    "SparseDenseCwiseAdd": _with_dense("Add"),
    "SparseDenseCwiseDiv": _with_dense("Div"),
    "SparseDenseCwiseMul": _with_dense("Mul"),
    "SparseReorder": reorder,
    "SparseSlice": slice_,
    "SparseSoftmax": softmax,
    "SparseSparseMaximum": _extreme("Max"),
    "SparseSparseMinimum": _extreme("Min"),
    "SparseSplit": split,
    "SparseTensorDenseAdd": add_dense,
}
