"""Taking tensors together and apart."""

from __future__ import annotations

import onnx_ir as ir

from exporter.ir.dims import UNKNOWN, to_shape
from exporter.lower.tf.axes import along, apart
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import as_int64, dim_value, join

__all__ = ["OPS"]


def _concat(ctx: NodeContext, values: tuple[ir.Value, ...], axis: int) -> ir.Value:
    return values[0] if len(values) == 1 else ctx.op("Concat", *values, axis=axis)


def concat_v2(ctx: NodeContext) -> ir.Value:
    """`ConcatV2`: the axis is the last input."""
    return _concat_along(ctx, ctx.inputs[:-1], len(ctx.inputs) - 1)


def concat(ctx: NodeContext) -> ir.Value:
    """`Concat`: the axis is the first input."""
    return _concat_along(ctx, ctx.inputs[1:], 0)


def _concat_along(ctx: NodeContext, values: tuple[ir.Value, ...], place: int) -> ir.Value:
    """The tensors along the axis that an input gives."""
    if ctx.ints(place) is None and len(values) > 1:
        return along(ctx, values, ctx.inputs[place], lambda *parts: ctx.op("Concat", *parts, axis=0))
    return _concat(ctx, values, ctx.fixed_int(place, "its axis"))


def pack(ctx: NodeContext) -> ir.Value:
    """`Pack`: the tensors along a new axis."""
    axis = ctx.integer("axis", 0)
    place = ctx.int64([axis])
    return _concat(ctx, tuple(ctx.op("Unsqueeze", value, place) for value in ctx.inputs), axis)


def unpack(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`Unpack`: the slices along an axis, without it."""
    axis, count = ctx.integer("axis", 0), ctx.count("num")
    place = ctx.int64([axis])
    parts = _split(ctx, ctx.inputs[0], axis, [1] * count)
    return tuple(ctx.op("Squeeze", part, place) for part in parts)


def _split(ctx: NodeContext, x: ir.Value, axis: int, sizes: list[int]) -> tuple[ir.Value, ...]:
    if len(sizes) == 1:
        return (x,)
    return ctx.builder.op_n("Split", len(sizes), x, ctx.int64(sizes), axis=axis)


def split(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`Split`: equal parts; the axis is the first input."""
    x, count = ctx.inputs[1], ctx.count("num_split")
    if ctx.ints(0) is None:
        return apart(ctx, x, ctx.inputs[0], lambda front: _equal_parts(ctx, front, 0, count))
    return _equal_parts(ctx, x, ctx.fixed_int(0, "its axis"), count)


def _equal_parts(ctx: NodeContext, x: ir.Value, axis: int, count: int) -> tuple[ir.Value, ...]:
    dims = ctx.shape(x)
    size = dims[axis] if dims is not None else None
    if isinstance(size, int):
        if size % count:
            raise RefusalError(f"it makes {count} equal parts of {size}")
        return _split(ctx, x, axis, [size // count] * count)
    if count == 1 or dims is None:
        return (x,) if count == 1 else ctx.builder.op_n("Split", count, x, axis=axis, num_outputs=count)
    part = ctx.op("Div", join(ctx, [dim_value(ctx, x, axis % len(dims))]), ctx.int64([count]))
    return ctx.builder.op_n("Split", count, x, join(ctx, [part] * count), axis=axis)


def _split_computed(ctx: NodeContext, x: ir.Value, sizes: ir.Value, axis: int) -> tuple[ir.Value, ...]:
    """Parts of sizes that the model computes: how many there are the node says; one may be -1."""
    total = ctx.op("Gather", ctx.op("Shape", x), ctx.int64([axis % ctx.rank(x)]), axis=0)
    taken = ctx.op("ReduceSum", sizes, ctx.int64([0]), keepdims=1)
    rest = ctx.op("Sub", total, ctx.op("Add", taken, ctx.int64([1])))
    parts = ctx.op("Where", ctx.op("Less", sizes, ctx.int64([0])), rest, sizes)
    count, dims = ctx.count("num_split"), ctx.shape(x)
    if count == 1:
        return (x,)
    results = ctx.builder.op_n("Split", count, x, parts, axis=axis)
    for result in results:
        if dims is not None:
            result.shape = to_shape([UNKNOWN if i == axis % len(dims) else dim for i, dim in enumerate(dims)])
    return tuple(results)


def split_v(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SplitV`: parts of given sizes, of which one may be -1, for what is left."""
    x = ctx.inputs[0]
    if ctx.ints(2) is None:
        return apart(ctx, x, ctx.inputs[2], lambda front: _parts(ctx, front, 0))
    return _parts(ctx, x, ctx.fixed_int(2, "its axis"))


def _parts(ctx: NodeContext, x: ir.Value, axis: int) -> tuple[ir.Value, ...]:
    if ctx.ints_of(ctx.inputs[1]) is None:
        return _split_computed(ctx, x, as_int64(ctx, ctx.inputs[1]), axis)
    sizes = ctx.fixed_ints(1, "the size of its parts")
    if len(sizes) == 1:
        return (x,)
    if -1 not in sizes:
        return _split(ctx, x, axis, sizes)
    total = dim_value(ctx, x, axis % ctx.rank(x))
    taken = sum(sizes) + 1
    if isinstance(total, int):
        return _split(ctx, x, axis, [total - taken if size == -1 else size for size in sizes])
    rest = ctx.op("Sub", total, ctx.int64([taken]))
    parts = join(ctx, [rest if size == -1 else size for size in sizes])
    return ctx.builder.op_n("Split", len(sizes), x, parts, axis=axis)


def parallel_concat(ctx: NodeContext) -> ir.Value:
    """`ParallelConcat`: along the first axis."""
    return _concat(ctx, ctx.inputs, 0)


OPS: dict[str, OpFunction] = {
    "Concat": concat,
    "ConcatV2": concat_v2,
    "Pack": pack,
    "ParallelConcat": parallel_concat,
    "Split": split,
    "SplitV": split_v,
    "Unpack": unpack,
}
