"""Places of numbers in sorted ones, by counting, and cross products of vectors of three."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.vectors import cast

__all__ = ["OPS"]


def bucketize(ctx: NodeContext) -> ir.Value:
    """`Bucketize`: how many boundaries, which are float32, are not above an element."""
    x = ctx.inputs[0]
    kind = ir.DataType.DOUBLE if ctx.dtype(x) == ir.DataType.DOUBLE else ir.DataType.FLOAT
    column = ctx.op("Unsqueeze", cast(ctx, x, kind), ctx.int64([-1]))
    boundaries = np.array(ctx.attribute("boundaries"), np.float32).astype(kind.numpy())
    reached = ctx.op("GreaterOrEqual", column, ctx.const(boundaries))
    return ctx.op("ReduceSum", cast(ctx, reached, ir.DataType.INT32), ctx.int64([-1]), keepdims=0)


def _bound(comparison: str, ctx: NodeContext) -> ir.Value:
    """`LowerBound`, `UpperBound`: for rows [B, N] in order and values [B, M] how many are below, or not above, each."""
    rows, values = ctx.inputs
    row, column = ctx.op("Unsqueeze", rows, ctx.int64([1])), ctx.op("Unsqueeze", values, ctx.int64([2]))
    passed = ctx.op(comparison, row, column)
    kind = ctx.element_type("out_type", 3)
    return ctx.op("ReduceSum", cast(ctx, passed, kind), ctx.int64([2]), keepdims=0)


def cross(ctx: NodeContext) -> ir.Value:
    """`Cross`, along the last axis: a[1, 2, 0] b[2, 0, 1] - a[2, 0, 1] b[1, 2, 0]."""

    def turned(value: ir.Value, order: list[int]) -> ir.Value:
        return ctx.op("Gather", value, ctx.int64(order), axis=-1)

    a, b = ctx.inputs
    ahead, back = [1, 2, 0], [2, 0, 1]
    left = ctx.op("Mul", turned(a, ahead), turned(b, back))
    return ctx.op("Sub", left, ctx.op("Mul", turned(a, back), turned(b, ahead)))


OPS: dict[str, OpFunction] = {
    "Bucketize": bucketize,
    "Cross": cross,
    "LowerBound": partial(_bound, "Less"),
    "UpperBound": partial(_bound, "LessOrEqual"),
}
