"""Places of numbers in sorted ones, by counting, and cross products of vectors of three."""

from __future__ import annotations

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
    boundaries = ctx.const(np.array(ctx.attribute("boundaries"), np.float32).astype(kind.numpy()))
    return _count(ctx, _not_above(ctx, boundaries, column), ir.DataType.INT32)


def lower_bound(ctx: NodeContext) -> ir.Value:
    """`LowerBound`: of rows [B, N] in order how many numbers are below each value [B, M]."""
    row, column = _row_and_column(ctx)
    return _count(ctx, ctx.op("Less", row, column), ctx.element_type("out_type", 3))


def upper_bound(ctx: NodeContext) -> ir.Value:
    """`UpperBound`: how many are not above it."""
    row, column = _row_and_column(ctx)
    return _count(ctx, _not_above(ctx, row, column), ctx.element_type("out_type", 3))


def _row_and_column(ctx: NodeContext) -> tuple[ir.Value, ir.Value]:
    rows, values = ctx.inputs
    return ctx.op("Unsqueeze", rows, ctx.int64([1])), ctx.op("Unsqueeze", values, ctx.int64([2]))


def _not_above(ctx: NodeContext, numbers: ir.Value, value: ir.Value) -> ir.Value:
    """As a binary search has it: nothing is above NaN."""
    return ctx.op("Not", ctx.op("Less", value, numbers))


def _count(ctx: NodeContext, true: ir.Value, kind: ir.DataType) -> ir.Value:
    return ctx.op("ReduceSum", cast(ctx, true, kind), ctx.int64([-1]), keepdims=0)


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
    "LowerBound": lower_bound,
    "UpperBound": upper_bound,
}
