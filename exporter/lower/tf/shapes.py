"""Shapes: asking for them, making tensors of them, changing them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.axes import permuted
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.line import narrowed
from exporter.lower.tf.vectors import as_int64, cast, element, join, scalar, shape_of, vector

__all__ = ["OPS"]


def shape(ctx: NodeContext) -> ir.Value:
    """`Shape`, in the element type that the node says."""
    return cast(ctx, shape_of(ctx, ctx.inputs[0]), ctx.element_type("out_type", 3))


def shape_n(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`ShapeN`: the shape of each input."""
    return tuple(cast(ctx, shape_of(ctx, x), ctx.element_type("out_type", 3)) for x in ctx.inputs)


def size(ctx: NodeContext) -> ir.Value:
    """`Size`: the product of the shape."""
    total = ctx.op("ReduceProd", shape_of(ctx, ctx.inputs[0]), ctx.int64([0]), keepdims=0)
    return cast(ctx, total, ctx.element_type("out_type", 3))


def rank(ctx: NodeContext) -> ir.Value:
    """`Rank`: an int32 scalar."""
    dims = ctx.shape(ctx.inputs[0])
    if dims is not None:
        return ctx.const(np.int32(len(dims)))
    count = ctx.op("Shape", shape_of(ctx, ctx.inputs[0]))
    return cast(ctx, scalar(ctx, count), ir.DataType.INT32)


def reshape(ctx: NodeContext) -> ir.Value:
    """`Reshape`: -1 is what is left; a 0 means no elements, not ONNX's "as in the input"."""
    x, wanted = ctx.inputs
    known = ctx.builder.elements(wanted)
    if known is not None and known.ndim != 1:
        raise RefusalError(f"its shape has rank {known.ndim}, expected 1")
    if known is not None and any(item == 0 for item in known.reshape(-1)):
        return ctx.op("Reshape", x, as_int64(ctx, wanted), allowzero=1)
    batch = ctx.memory.batch
    if batch is None or known is None or known.dtype == object:
        return ctx.op("Reshape", x, as_int64(ctx, wanted))
    sizes = [int(item) for item in known]
    opened = batch.opened(ctx.node.name, ctx.shape(x), sizes, batch.outer_of(ctx.builder, x))
    result = ctx.op("Reshape", x, as_int64(ctx, wanted) if opened is None else ctx.int64(opened))
    batch.note(ctx.builder, x, sizes, result)
    return result


def squeeze(ctx: NodeContext) -> ir.Value:
    """`Squeeze`: the axes given, or all whose size is 1."""
    axes = ctx.integers("squeeze_dims", ())
    if axes:
        shape = ctx.shape(ctx.inputs[0])
        line = narrowed(ctx, ctx.inputs[0], axes[0] % len(shape)) if len(axes) == 1 and shape else None
        return line or ctx.op("Squeeze", ctx.inputs[0], ctx.int64(axes))
    sizes = ctx.sizes(ctx.inputs[0])
    if sizes is None:
        return ctx.op("Squeeze", ctx.inputs[0])
    ones = [axis for axis, size in enumerate(sizes) if size == 1]
    return ctx.op("Squeeze", ctx.inputs[0], ctx.int64(ones)) if ones else ctx.inputs[0]


def expand_dims(ctx: NodeContext) -> ir.Value:
    """`ExpandDims`."""
    x, axis = ctx.inputs
    return ctx.op("Unsqueeze", x, as_int64(ctx, vector(ctx, axis)))


def transpose(ctx: NodeContext) -> ir.Value:
    """`Transpose`."""
    if ctx.ints(1) is None:
        return permuted(ctx, ctx.inputs[0], ctx.inputs[1])
    return ctx.op("Transpose", ctx.inputs[0], perm=ctx.fixed_ints(1, "its permutation"))


def invert_permutation(ctx: NodeContext) -> ir.Value:
    """`InvertPermutation`: y[x[i]] = i."""
    (x,) = ctx.inputs
    known = ctx.ints(0)
    if known is not None:
        return ctx.const(np.argsort(np.array(known, np.int64), kind="stable").astype(ctx.numpy_dtype(x)))
    size = shape_of(ctx, x)
    numbers = ctx.op("Range", ctx.int64(0), scalar(ctx, size), ctx.int64(1))
    zeros = ctx.op("ConstantOfShape", size, value=np.zeros(1, np.int64))
    places = ctx.op("Unsqueeze", as_int64(ctx, x), ctx.int64([1]))
    return cast(ctx, ctx.op("ScatterND", zeros, places, numbers), ctx.dtype(x))


def unravel_index(ctx: NodeContext) -> ir.Value:
    """`UnravelIndex`: for each axis of a shape where the elements of these numbers are along it."""
    numbers, shape = (as_int64(ctx, value) for value in ctx.inputs)
    count = ctx.sizes(shape)
    if count is None:
        raise RefusalError("how many axes its shape has is not known")
    sizes = [join(ctx, [element(ctx, shape, axis)]) for axis in range(count[0])]
    step, rows = ctx.int64([1]), []
    for size in reversed(sizes):
        along = ctx.op("Mod", ctx.op("Div", numbers, step), size)
        rows.append(ctx.op("Reshape", along, ctx.int64([1, -1])))
        step = ctx.op("Mul", step, size)
    found = ctx.op("Concat", *reversed(rows), axis=0)
    found = ctx.op("Reshape", found, ctx.int64([-1])) if ctx.shape(numbers) == () else found
    return cast(ctx, found, ctx.dtype(ctx.inputs[0]))


def fill(ctx: NodeContext) -> ir.Value:
    """`Fill`: a scalar in every place."""
    dims, value = ctx.inputs
    return ctx.op("Expand", value, as_int64(ctx, dims))


def _filled(number: int) -> OpFunction:
    def like(ctx: NodeContext) -> ir.Value:
        (x,) = ctx.inputs
        if x.dtype == ir.DataType.STRING:
            return ctx.op("Expand", ctx.const(np.array("", object)), shape_of(ctx, x))
        element = np.full(1, number, ctx.numpy_dtype(x))
        return ctx.op("ConstantOfShape", shape_of(ctx, x), value=element)

    return like


def broadcast_to(ctx: NodeContext) -> ir.Value:
    """`BroadcastTo`."""
    x, dims = ctx.inputs
    return ctx.op("Expand", x, as_int64(ctx, dims))


def broadcast_args(ctx: NodeContext) -> ir.Value:
    """`BroadcastArgs`: the shape that two shapes broadcast to."""
    a, b = (as_int64(ctx, value) for value in ctx.inputs)
    lengths = [ctx.sizes(value) for value in (a, b)]
    if None in lengths:
        raise RefusalError("the rank of its result is not known")
    longest = max(length[0] for length in lengths if length)
    a, b = (_padded(ctx, value, longest) for value in (a, b))
    both = ctx.op("Where", ctx.op("Equal", a, ctx.int64(1)), b, a)
    return cast(ctx, both, ctx.dtype(ctx.inputs[0]))


def _padded(ctx: NodeContext, dims: ir.Value, length: int) -> ir.Value:
    """A shape with ones before it."""
    missing = length - (ctx.sizes(dims) or (length,))[0]
    return ctx.op("Concat", ctx.int64([1] * missing), dims, axis=0) if missing else dims


def tile(ctx: NodeContext) -> ir.Value:
    """`Tile`."""
    x, multiples = ctx.inputs
    return ctx.op("Tile", x, as_int64(ctx, multiples))


def range_(ctx: NodeContext) -> ir.Value:
    """`Range`: start + i delta, ceil(|(limit - start) / delta|) of them."""
    start, limit, delta = (scalar(ctx, value) for value in ctx.inputs)
    if not ctx.dtype(start).is_floating_point():
        return ctx.op("Range", start, limit, delta)
    with ctx.as_written():
        steps = ctx.op("Ceil", ctx.op("Abs", ctx.op("Div", ctx.op("Sub", limit, start), delta)))
        count = cast(ctx, steps, ir.DataType.INT64)
        places = cast(ctx, ctx.op("Range", ctx.int64(0), count, ctx.int64(1)), ctx.dtype(start))
        return ctx.op("Add", start, ctx.op("Mul", places, delta))


def lin_space(ctx: NodeContext) -> ir.Value:
    """`LinSpace`: start + i (stop - start) / (num - 1), of which the last is stop itself."""
    start, stop, number = (scalar(ctx, value) for value in ctx.inputs)
    before = ctx.op("Sub", as_int64(ctx, number), ctx.int64(1))
    with ctx.as_written():
        places = cast(ctx, ctx.op("Range", ctx.int64(0), before, ctx.int64(1)), ctx.dtype(start))
        step = ctx.op("Div", ctx.op("Sub", stop, start), cast(ctx, before, ctx.dtype(start)))
        numbers = ctx.op("Add", start, ctx.op("Mul", step, places))
        alone = ctx.op("Equal", before, ctx.int64(0))
        last = ctx.op("Where", alone, start, stop)
        return ctx.op("Concat", numbers, vector(ctx, last), axis=0)


OPS: dict[str, OpFunction] = {
    "BroadcastArgs": broadcast_args,
    "BroadcastTo": broadcast_to,
    "ExpandDims": expand_dims,
    "Fill": fill,
    "InvertPermutation": invert_permutation,
    "LinSpace": lin_space,
    "OnesLike": _filled(1),
    "Range": range_,
    "Rank": rank,
    "Reshape": reshape,
    "Shape": shape,
    "ShapeN": shape_n,
    "Size": size,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "UnravelIndex": unravel_index,
    "VariableShape": shape,
    "ZerosLike": _filled(0),
}
