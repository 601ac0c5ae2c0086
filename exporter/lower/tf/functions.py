"""Functions of single elements."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.simple import chain, same
from exporter.lower.tf.vectors import cast

__all__ = ["OPS"]


def square(ctx: NodeContext) -> ir.Value:
    """x * x."""
    return ctx.op("Mul", ctx.inputs[0], ctx.inputs[0])


def log1p(ctx: NodeContext) -> ir.Value:
    """log(1 + x); near 0, where 1 + x loses the digits of x, 2 atanh(x / (2 + x))."""
    (x,) = ctx.inputs
    near = ctx.op("Less", ctx.op("Abs", x), ctx.scalar(0.5, x))
    half = ctx.op("Atanh", ctx.op("Div", x, ctx.op("Add", x, ctx.scalar(2, x))))
    far = ctx.op("Log", ctx.op("Add", x, ctx.scalar(1, x)))
    return ctx.op("Where", near, ctx.op("Add", half, half), far)


def expm1(ctx: NodeContext) -> ir.Value:
    """exp(x) - 1 as tanh(x / 2) (exp(x) + 1), which keeps the digits of a small x."""
    (x,) = ctx.inputs
    half = ctx.op("Tanh", ctx.op("Mul", x, ctx.scalar(0.5, x)))
    return ctx.op("Mul", half, ctx.op("Add", ctx.op("Exp", x), ctx.scalar(1, x)))


def is_finite(ctx: NodeContext) -> ir.Value:
    """Neither infinite nor NaN."""
    (x,) = ctx.inputs
    return ctx.op("Not", ctx.op("Or", is_infinite(ctx), ctx.op("IsNaN", x)))


def is_infinite(ctx: NodeContext) -> ir.Value:
    """Infinite, also of half precision, which has no such op before ONNX's opset 20."""
    (x,) = ctx.inputs
    half = x.dtype in (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    return ctx.op("IsInf", cast(ctx, x, ir.DataType.FLOAT) if half else x)


OPS: dict[str, OpFunction] = {
    "Abs": same("Abs"),
    "Acos": same("Acos"),
    "Acosh": same("Acosh"),
    "Asin": same("Asin"),
    "Asinh": same("Asinh"),
    "Atan": same("Atan"),
    "Atanh": same("Atanh"),
    "Ceil": same("Ceil"),
    "Cos": same("Cos"),
    "Cosh": same("Cosh"),
    "Erf": same("Erf"),
    "Exp": same("Exp"),
    "Expm1": expm1,
    "Floor": same("Floor"),
    "Inv": same("Reciprocal"),
    "IsFinite": is_finite,
    "IsInf": is_infinite,
    "IsNan": same("IsNaN"),
    "Log": same("Log"),
    "Log1p": log1p,
    "Neg": same("Neg"),
    "Reciprocal": same("Reciprocal"),
    "Rint": same("Round"),
    "Round": same("Round"),
    "Rsqrt": chain("Sqrt", "Reciprocal"),
    "Sign": same("Sign"),
    "Sin": same("Sin"),
    "Sinh": same("Sinh"),
    "Sqrt": same("Sqrt"),
    "Square": square,
    "Tan": same("Tan"),
}
