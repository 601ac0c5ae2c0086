"""Sums and the like over rows with the same number; rows sorted into parts and put together again."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import Lowered, NodeContext, OpFunction
from exporter.lower.tf.scattering import scattered
from exporter.lower.tf.vectors import as_int64, vector

__all__ = ["OPS"]


def _tail(ctx: NodeContext, data: ir.Value, ids: ir.Value) -> ir.Value:
    """The sizes of the axes of data that ids doesn't have."""
    return ctx.op("Shape", data, start=ctx.rank(ids))


def _filled(ctx: NodeContext, count: ir.Value, tail: ir.Value, number: Any, dtype: np.dtype[Any]) -> ir.Value:
    shape = ctx.op("Concat", count, tail, axis=0)
    return ctx.op("ConstantOfShape", shape, value=np.full(1, number, dtype))


def _combined(ctx: NodeContext, data: ir.Value, ids: ir.Value, count: ir.Value, reduction: str, start: Any) -> ir.Value:
    """What the rows of each number come to, from `start` on; rows with a negative number don't count."""
    numbers = as_int64(ctx, ids)
    numbers = ctx.op("Where", ctx.op("Less", numbers, ctx.int64(0)), count, numbers)
    more = ctx.op("Add", count, ctx.int64([1]))
    empty = _filled(ctx, more, _tail(ctx, data, ids), start, ctx.numpy_dtype(data))
    places = ctx.op("Unsqueeze", numbers, ctx.int64([-1]))
    y = scattered(ctx, empty, places, data, reduction)
    return ctx.op("Slice", y, ctx.int64([0]), count, ctx.int64([0]))


def _ones(ctx: NodeContext, ids: ir.Value, like: ir.Value) -> ir.Value:
    return ctx.op("ConstantOfShape", ctx.op("Shape", ids), value=np.ones(1, ctx.numpy_dtype(like)))


def _counts(ctx: NodeContext, data: ir.Value, ids: ir.Value, count: ir.Value) -> ir.Value:
    """How many rows each number has, shaped to divide the sums by; at least 1."""
    rows = _combined(ctx, _ones(ctx, ids, data), ids, count, "add", 0)
    axes = list(range(1, ctx.rank(data) - ctx.rank(ids) + 1))
    rows = ctx.op("Max", rows, ctx.scalar(1, rows))
    return ctx.op("Unsqueeze", rows, ctx.int64(axes)) if axes else rows


def _lowest(ctx: NodeContext, data: ir.Value, sign: int) -> Any:
    dtype = ctx.numpy_dtype(data)
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return limits.min if sign < 0 else limits.max


def _reduced(ctx: NodeContext, kind: str, data: ir.Value, ids: ir.Value, count: ir.Value, *, gaps: bool) -> ir.Value:
    """One kind of combination; with `gaps` a maximum or minimum of nothing is 0 instead of the type's limit."""
    if kind in ("Max", "Min"):
        limit = _lowest(ctx, data, -1 if kind == "Max" else 1)
        y = _combined(ctx, data, ids, count, kind.lower(), limit)
        return ctx.op("Where", ctx.op("Equal", y, ctx.scalar(limit, y)), ctx.scalar(0, y), y) if gaps else y
    if kind == "Prod":
        return _combined(ctx, data, ids, count, "mul", 1)
    total = _combined(ctx, data, ids, count, "add", 0)
    if kind == "Sum":
        return total
    rows = _counts(ctx, data, ids, count)
    return ctx.op("Div", total, ctx.op("Sqrt", rows) if kind == "SqrtN" else rows)


def _unsorted(kind: str, ctx: NodeContext) -> Lowered:
    data, ids, count = ctx.inputs
    return _reduced(ctx, kind, data, ids, as_int64(ctx, vector(ctx, count)), gaps=False)


def _sorted(kind: str, ctx: NodeContext) -> Lowered:
    data, ids = ctx.inputs
    last = ctx.op("Gather", as_int64(ctx, ids), ctx.int64([-1]), axis=0)
    return _reduced(ctx, kind, data, ids, ctx.op("Add", last, ctx.int64([1])), gaps=True)


def _sparse(kind: str, ctx: NodeContext) -> Lowered:
    """`SparseSegment*`: of the rows that a list of indices names."""
    data, indices, ids, *count = ctx.inputs
    rows = ctx.op("Gather", data, indices, axis=0)
    if count:
        return _reduced(ctx, kind, rows, ids, as_int64(ctx, vector(ctx, count[0])), gaps=False)
    last = ctx.op("Gather", as_int64(ctx, ids), ctx.int64([-1]), axis=0)
    return _reduced(ctx, kind, rows, ids, ctx.op("Add", last, ctx.int64([1])), gaps=False)


def dynamic_partition(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`DynamicPartition`: the rows of each number."""
    data, numbers = ctx.inputs
    tail = _tail(ctx, data, numbers)
    rows = ctx.op("Reshape", data, ctx.op("Concat", ctx.int64([-1]), tail, axis=0)) if ctx.rank(numbers) != 1 else data
    flat = ctx.op("Reshape", numbers, ctx.int64([-1])) if ctx.rank(numbers) != 1 else numbers
    parts = range(ctx.count("num_partitions"))
    return tuple(_rows_of(ctx, rows, flat, number) for number in parts)


def _rows_of(ctx: NodeContext, rows: ir.Value, numbers: ir.Value, number: int) -> ir.Value:
    found = ctx.op("NonZero", ctx.op("Equal", numbers, ctx.scalar(number, numbers)))
    return ctx.op("Gather", rows, ctx.op("Squeeze", found, ctx.int64([0])), axis=0)


def dynamic_stitch(ctx: NodeContext) -> ir.Value:
    """`DynamicStitch`: rows to the places that lists of numbers say."""
    half = len(ctx.inputs) // 2
    numbers, parts = ctx.inputs[:half], ctx.inputs[half:]
    tail = _tail(ctx, parts[0], numbers[0])
    shape = ctx.op("Concat", ctx.int64([-1]), tail, axis=0)
    flat = [ctx.op("Reshape", as_int64(ctx, part), ctx.int64([-1])) for part in numbers]
    rows = [ctx.op("Reshape", part, shape) for part in parts]
    places = flat[0] if half == 1 else ctx.op("Concat", *flat, axis=0)
    count = ctx.op("Add", ctx.op("ReduceMax", places, ctx.int64([0]), keepdims=1), ctx.int64([1]))
    empty = _filled(ctx, count, tail, 0, ctx.numpy_dtype(parts[0]))
    together = rows[0] if half == 1 else ctx.op("Concat", *rows, axis=0)
    return ctx.op("ScatterND", empty, ctx.op("Unsqueeze", places, ctx.int64([-1])), together)


OPS: dict[str, OpFunction] = {
    "DynamicPartition": dynamic_partition,
    "DynamicStitch": dynamic_stitch,
    "ParallelDynamicStitch": dynamic_stitch,
    **{f"Segment{kind}": partial(_sorted, kind) for kind in ("Max", "Mean", "Min", "Prod", "Sum")},
    **{f"UnsortedSegment{kind}": partial(_unsorted, kind) for kind in ("Max", "Min", "Prod", "Sum")},
    **{f"SparseSegment{kind}": partial(_sparse, kind) for kind in ("Mean", "SqrtN", "Sum")},
    **{f"SparseSegment{kind}WithNumSegments": partial(_sparse, kind) for kind in ("Mean", "SqrtN", "Sum")},
}
