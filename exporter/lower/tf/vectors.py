"""Small integer tensors: shapes, axes and sizes, as constants where they are known and as arithmetic where not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext

__all__ = ["FAR", "as_int64", "cast", "dim_value", "element", "join", "scalar", "shape_of", "vector"]

FAR = np.iinfo(np.int64).max
"""An end that `Slice` cuts down to the size of the axis."""


def cast(ctx: NodeContext, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    """The value in another element type."""
    return value if value.dtype == dtype else ctx.op("Cast", value, to=dtype.value)


def as_int64(ctx: NodeContext, value: ir.Value) -> ir.Value:
    """The value as int64, which ONNX's shapes and axes are; a cast of an int64 to int32 before it is left out."""
    producer = value.producer()
    if producer is not None and producer.op_type == "Cast" and value.dtype == ir.DataType.INT32:
        before = producer.inputs[0]
        if before is not None and before.dtype == ir.DataType.INT64:
            return before
    return cast(ctx, value, ir.DataType.INT64)


def vector(ctx: NodeContext, value: ir.Value) -> ir.Value:
    """A scalar as a vector of one element; a vector as it is."""
    return ctx.op("Reshape", value, ctx.int64([1])) if ctx.shape(value) == () else value


def scalar(ctx: NodeContext, value: ir.Value) -> ir.Value:
    """A tensor of one element as a scalar."""
    return value if ctx.shape(value) == () else ctx.op("Reshape", value, ctx.const(np.zeros(0, np.int64)))


def shape_of(ctx: NodeContext, value: ir.Value) -> ir.Value:
    """The shape of a value as an int64 vector."""
    return ctx.op("Shape", value)


def dim_value(ctx: NodeContext, value: ir.Value, axis: int) -> int | ir.Value:
    """The size of an axis: a number, or a vector of one element."""
    dims = ctx.shape(value)
    size = None if dims is None else dims[axis]
    if isinstance(size, int):
        return size
    end = {} if axis == -1 else {"end": axis + 1}
    return ctx.op("Shape", value, start=axis, **end)


def element(ctx: NodeContext, value: ir.Value, index: int) -> int | ir.Value:
    """One element of an integer vector: a number, or an int64 vector of one element."""
    known = ctx.builder.elements(value)
    if known is not None and isinstance(known.reshape(-1)[index], int | np.integer):
        return int(known.reshape(-1)[index])
    return ctx.op("Gather", as_int64(ctx, vector(ctx, value)), ctx.int64([index]), axis=0)


def join(ctx: NodeContext, items: Sequence[int | ir.Value]) -> ir.Value:
    """An int64 vector of numbers and vectors of one element."""
    pieces: list[ir.Value] = []
    numbers: list[int] = []
    for item in items:
        if isinstance(item, ir.Value):
            if numbers:
                pieces.append(ctx.int64(numbers))
                numbers = []
            pieces.append(item)
        else:
            numbers.append(int(item))
    if numbers or not pieces:
        pieces.append(ctx.const(np.array(numbers, np.int64)))
    return pieces[0] if len(pieces) == 1 else ctx.op("Concat", *pieces, axis=0)
