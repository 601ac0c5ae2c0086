"""Elements by index, and tensors written by index."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.axes import along
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.scattering import scattered
from exporter.lower.tf.vectors import FAR, as_int64, cast, scalar, vector

__all__ = ["OPS"]


def gather(ctx: NodeContext) -> ir.Value:
    """`Gather` and `ResourceGather`: rows by number."""
    return _gather(ctx, 0)


def gather_v2(ctx: NodeContext) -> ir.Value:
    """`GatherV2`: slices along an axis by number."""
    if ctx.ints(2) is None and ctx.integer("batch_dims", 0) == 0:
        x, indices, axis = ctx.inputs
        return _gather_along(ctx, x, indices, axis)
    return _gather(ctx, ctx.fixed_int(2, "its axis"))


def _gather_along(ctx: NodeContext, x: ir.Value, indices: ir.Value, axis: ir.Value) -> ir.Value:
    """Slices along a computed axis, in whose place come those of the indices."""
    flat, rank = ctx.op("Reshape", _index(ctx, indices), ctx.int64([-1])), ctx.rank(x)
    y = along(ctx, x, axis, lambda front: ctx.op("Gather", front, flat, axis=0))
    if ctx.rank(indices) == 1:
        return y
    shape, place = ctx.op("Shape", x), ctx.op("Mod", as_int64(ctx, vector(ctx, axis)), ctx.int64([rank]))
    before = ctx.op("Slice", shape, ctx.int64([0]), place)
    after = ctx.op("Slice", shape, ctx.op("Add", place, ctx.int64([1])), ctx.int64([FAR]))
    whole = ctx.op("Concat", before, ctx.op("Shape", indices), after, axis=0)
    return ctx.ranked(ctx.op("Reshape", y, whole), rank - 1 + ctx.rank(indices))


def _index(ctx: NodeContext, indices: ir.Value) -> ir.Value:
    """Indices in a type that ONNX takes."""
    return indices if indices.dtype == ir.DataType.INT32 else as_int64(ctx, indices)


def _gather(ctx: NodeContext, axis: int) -> ir.Value:
    x, indices = ctx.inputs[:2]
    batch = ctx.integer("batch_dims", 0)
    if batch == 0:
        return ctx.op("Gather", x, _index(ctx, indices), axis=axis)
    rank, count = ctx.rank(x), ctx.rank(indices)
    batch = batch + count if batch < 0 else batch
    if not 0 < batch <= min(axis % rank, count):
        raise RefusalError(f"batch_dims is {batch} for indices of rank {count} and axis {axis}")
    return _batched(ctx, x, indices, axis % rank, batch)


def _batched(ctx: NodeContext, x: ir.Value, indices: ir.Value, axis: int, batch: int) -> ir.Value:
    """Each of the first `batch` axes has indices of its own: `GatherND`, for which the axis is moved up to them."""
    rank, count = ctx.rank(x), ctx.rank(indices)
    order = [*range(batch), axis, *(i for i in range(batch, rank) if i != axis)]
    moved = ctx.op("Transpose", x, perm=order) if order != sorted(order) else x
    column = ctx.op("Unsqueeze", as_int64(ctx, indices), ctx.int64([-1]))
    y = ctx.op("GatherND", moved, column, batch_dims=batch)
    if axis == batch:
        return y
    between = range(count, count + axis - batch)
    after = range(count + axis - batch, count + rank - batch - 1)
    return ctx.op("Transpose", y, perm=[*range(batch), *between, *range(batch, count), *after])


def gather_nd(ctx: NodeContext) -> ir.Value:
    """`GatherNd`: slices by tuples of numbers."""
    x, indices = ctx.inputs
    dims = ctx.shape(indices)
    if dims and dims[-1] == 0:
        count = ctx.op("Slice", ctx.op("Shape", indices), ctx.int64([0]), ctx.int64([-1]))
        return ctx.op("Expand", x, ctx.op("Concat", count, ctx.op("Shape", x), axis=0))
    return ctx.op("GatherND", x, as_int64(ctx, indices))


def one_hot(ctx: NodeContext) -> ir.Value:
    """`OneHot` by comparison, for which an index outside, also a negative one, is nowhere: ONNX's counts it back."""
    indices, depth, on, off = ctx.inputs
    zero, one = (ctx.const(np.array(number, ctx.numpy_dtype(depth))) for number in (0, 1))
    places = cast(ctx, ctx.op("Range", zero, scalar(ctx, depth), one), ctx.dtype(indices))
    axis = ctx.integer("axis", -1)
    row = ctx.op("Unsqueeze", indices, ctx.int64([axis]))
    if axis != -1:
        count = ctx.rank(indices)
        places = ctx.op("Reshape", places, ctx.int64([-1] + [1] * (count - axis)))
    return ctx.op("Where", ctx.op("Equal", row, places), on, off)


def scatter_nd(ctx: NodeContext) -> ir.Value:
    """`ScatterNd`: zeros to which the updates are added."""
    indices, updates, shape = ctx.inputs
    zeros = ctx.op("ConstantOfShape", as_int64(ctx, shape), value=np.zeros(1, ctx.numpy_dtype(updates)))
    return scattered(ctx, zeros, indices, updates, "add")


def _update(reduction: str, *, negative: bool = False) -> OpFunction:
    def update(ctx: NodeContext) -> ir.Value:
        x, indices, updates = ctx.inputs
        updates = ctx.op("Neg", updates) if negative else updates
        return scattered(ctx, x, indices, updates, reduction)

    return update


def where(ctx: NodeContext) -> ir.Value:
    """`Where`: the indices of what isn't 0, one row each."""
    return ctx.op("Transpose", ctx.op("NonZero", ctx.inputs[0]), perm=[1, 0])


def reverse_sequence(ctx: NodeContext) -> ir.Value:
    """`ReverseSequence`: the first steps of each sequence backwards; ONNX's has batch and time as its first axes."""
    x, lengths = ctx.inputs[0], as_int64(ctx, ctx.inputs[1])
    rank = ctx.rank(x)
    batch, time = ctx.integer("batch_dim", 0) % rank, ctx.integer("seq_dim") % rank
    if {batch, time} == {0, 1}:
        return ctx.op("ReverseSequence", x, lengths, batch_axis=batch, time_axis=time)
    order = [batch, time, *(axis for axis in range(rank) if axis not in (batch, time))]
    y = ctx.op("ReverseSequence", ctx.op("Transpose", x, perm=order), lengths, batch_axis=0, time_axis=1)
    return ctx.op("Transpose", y, perm=[order.index(axis) for axis in range(rank)])


OPS: dict[str, OpFunction] = {
    "Gather": gather,
    "GatherNd": gather_nd,
    "GatherV2": gather_v2,
    "OneHot": one_hot,
    "ResourceGather": gather,
    "ResourceGatherNd": gather_nd,
    "ReverseSequence": reverse_sequence,
    "ScatterNd": scatter_nd,
    "ScatterNdNonAliasingAdd": _update("add"),
    "TensorScatterAdd": _update("add"),
    "TensorScatterMax": _update("max"),
    "TensorScatterMin": _update("min"),
    "TensorScatterSub": _update("add", negative=True),
    "TensorScatterUpdate": _update("none"),
    "Where": where,
}
