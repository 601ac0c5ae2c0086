"""Comparisons, truth values, bits and choices."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.simple import same
from exporter.lower.tf.text import is_text, same_text

__all__ = ["OPS", "choose"]


def select(ctx: NodeContext) -> ir.Value:
    """`Select`: nothing broadcasts but a condition that is a vector, of which each element decides a whole row."""
    condition, yes, no = ctx.inputs
    dims = ctx.shape(condition)
    if dims is not None and len(dims) == 1 and (rank := ctx.rank(yes)) > 1:
        shape = ctx.int64([-1] + [1] * (rank - 1))
        condition = ctx.op("Reshape", condition, shape)
    return choose(ctx, condition, yes, no)


def select_v2(ctx: NodeContext) -> ir.Value:
    """`SelectV2`: everything broadcasts."""
    condition, yes, no = ctx.inputs
    return choose(ctx, condition, yes, no)


def choose(ctx: NodeContext, condition: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
    """`Where`, which runtimes don't have for truth values."""
    if yes.dtype != ir.DataType.BOOL:
        return ctx.op("Where", condition, yes, no)
    return ctx.op("Or", ctx.op("And", condition, yes), ctx.op("And", ctx.op("Not", condition), no))


def approximate_equal(ctx: NodeContext) -> ir.Value:
    """|x - y| < tolerance."""
    difference = ctx.op("Abs", ctx.op("Sub", *ctx.inputs))
    return ctx.op("Less", difference, ctx.scalar(ctx.number("tolerance", 1e-5), difference))


def equal(ctx: NodeContext) -> ir.Value:
    """`Equal`, of numbers or strings."""
    return same_text(ctx) if is_text(ctx.inputs[0]) else ctx.op("Equal", *ctx.inputs)


def not_equal(ctx: NodeContext) -> ir.Value:
    """`NotEqual`."""
    return ctx.op("Not", equal(ctx))


OPS: dict[str, OpFunction] = {
    "ApproximateEqual": approximate_equal,
    "Equal": equal,
    "Greater": same("Greater"),
    "GreaterEqual": same("GreaterOrEqual"),
    "Less": same("Less"),
    "LessEqual": same("LessOrEqual"),
    "LogicalAnd": same("And"),
    "LogicalNot": same("Not"),
    "LogicalOr": same("Or"),
    "NotEqual": not_equal,
    "Select": select,
    "SelectV2": select_v2,
}
