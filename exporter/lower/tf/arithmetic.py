"""Arithmetic of two tensors or more, with NumPy's broadcasting."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.layout import Layout
from exporter.lower.tf.simple import same

__all__ = ["OPS"]

_MOST_AT_ONCE = 32
"""Tensors that one `Sum` adds up."""


def bias_add(ctx: NodeContext) -> ir.Value:
    """`BiasAdd`: one number per channel; the channels are last, or axis 1 for NCHW."""
    x, bias = ctx.inputs
    name = ctx.text("data_format", "NHWC")
    if name not in ("NHWC", "NCHW"):
        raise RefusalError(f"data_format is {name!r}")
    if name == "NHWC":
        return ctx.op("Add", x, bias)
    layout = Layout(ctx.rank(x), channels_first=True)
    return layout.restore(ctx, ctx.op("Add", layout.channels_last(ctx, x), bias))


def add_n(ctx: NodeContext) -> ir.Value:
    """`AddN`: the sum of any number of tensors of one shape; many are added up in groups."""
    parts = list(ctx.inputs)
    while _is_float(ctx) and len(parts) > _MOST_AT_ONCE:
        groups = (parts[first : first + _MOST_AT_ONCE] for first in range(0, len(parts), _MOST_AT_ONCE))
        parts = [group[0] if len(group) == 1 else ctx.op("Sum", *group) for group in groups]
    return reduce(lambda total, value: ctx.op("Add", total, value), parts)


def squared_difference(ctx: NodeContext) -> ir.Value:
    """(x - y)^2."""
    difference = ctx.op("Sub", *ctx.inputs)
    return ctx.op("Mul", difference, difference)


def _is_float(ctx: NodeContext) -> bool:
    return ctx.dtype(ctx.inputs[0]).is_floating_point()


def floor_div(ctx: NodeContext) -> ir.Value:
    """floor(x / y): of integers (x - mod(x, y)) / y, as ONNX's `Div` cuts off towards zero."""
    x, y = ctx.inputs
    if _is_float(ctx):
        return ctx.op("Floor", ctx.op("Div", x, y))
    if _are_sizes(ctx):
        return ctx.op("Div", x, y)
    return ctx.op("Div", ctx.op("Sub", x, ctx.op("Mod", x, y)), y)


def _are_sizes(ctx: NodeContext) -> bool:
    """Whether it is arithmetic of tensor sizes, none of which is negative, by known positive numbers."""
    known, divisor = (ctx.builder.elements(value) for value in ctx.inputs)
    if known is None or divisor is None or divisor.dtype == object or np.any(divisor <= 0):
        return False
    return all(isinstance(size, ir.SymbolicDim) or size >= 0 for size in known.reshape(-1))


def floor_mod(ctx: NodeContext) -> ir.Value:
    """The remainder with the sign of y; of floats ONNX only has the one with the sign of x, which y is added to."""
    x, y = ctx.inputs
    if not _is_float(ctx):
        return ctx.op("Mod", x, y)
    rest = ctx.op("Mod", x, y, fmod=1)
    zero = ctx.scalar(0, rest)
    apart = ctx.op("Xor", ctx.op("Less", rest, zero), ctx.op("Less", y, zero))
    wrong = ctx.op("And", apart, ctx.op("Not", ctx.op("Equal", rest, zero)))
    return ctx.op("Where", wrong, ctx.op("Add", rest, y), rest)


def div_no_nan(ctx: NodeContext) -> ir.Value:
    """x / y, and 0 where y is 0."""
    x, y = ctx.inputs
    zero = ctx.scalar(0, y)
    return ctx.op("Where", ctx.op("Equal", y, zero), zero, ctx.op("Div", x, y))


def _unless_zero(ctx: NodeContext, decides: ir.Value, value: ir.Value) -> ir.Value:
    zero = ctx.scalar(0, decides)
    return ctx.op("Where", ctx.op("Equal", decides, zero), zero, value)


def mul_no_nan(ctx: NodeContext) -> ir.Value:
    """x * y, and 0 where y is 0 even if x is not finite."""
    return _unless_zero(ctx, ctx.inputs[1], ctx.op("Mul", *ctx.inputs))


def xdivy(ctx: NodeContext) -> ir.Value:
    """x / y, and 0 where x is 0."""
    return _unless_zero(ctx, ctx.inputs[0], ctx.op("Div", *ctx.inputs))


def xlogy(ctx: NodeContext) -> ir.Value:
    """x log(y), and 0 where x is 0."""
    x, y = ctx.inputs
    return _unless_zero(ctx, x, ctx.op("Mul", x, ctx.op("Log", y)))


def clip_by_value(ctx: NodeContext) -> ir.Value:
    """min(max(x, low), high); low and high broadcast."""
    x, low, high = ctx.inputs
    if ctx.shape(low) == () and ctx.shape(high) == ():
        return ctx.op("Clip", x, low, high)
    return ctx.op("Max", ctx.op("Min", x, high), low)


def l2_loss(ctx: NodeContext) -> ir.Value:
    """Half the sum of all squares."""
    (x,) = ctx.inputs
    total = ctx.op("ReduceSum", ctx.op("Mul", x, x), keepdims=0)
    return ctx.op("Mul", total, ctx.scalar(0.5, x))


def atan2(ctx: NodeContext) -> ir.Value:
    """The angle of the point (x, y), from -pi to pi: atan(|y| / |x|), turned into the quadrant that the signs say.

    Those of zeros count: half a turn behind x = -0. The angle of two zeros is 0, of two infinities pi / 4.
    """
    y, x = ctx.inputs
    up, along = ctx.op("Abs", y), ctx.op("Abs", x)
    same_size = ctx.op("Equal", up, along)
    nowhere = ctx.op("Equal", ctx.op("Max", up, along), ctx.scalar(0, x))
    diagonal = ctx.op("Where", nowhere, ctx.scalar(0, x), ctx.scalar(1, x))
    angle = ctx.op("Atan", ctx.op("Where", same_size, diagonal, ctx.op("Div", up, along)))
    turned = ctx.op("Where", _is_negative(ctx, x), ctx.op("Sub", ctx.scalar(math.pi, x), angle), angle)
    return ctx.op("Where", _is_negative(ctx, y), ctx.op("Neg", turned), turned)


def _is_negative(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """Whether the sign is minus, also that of -0, whose reciprocal is negative."""
    zero = ctx.scalar(0, x)
    return ctx.op("Or", ctx.op("Less", x, zero), ctx.op("Less", ctx.op("Reciprocal", x), zero))


def power(ctx: NodeContext) -> ir.Value:
    """`Pow`; not of 8 and 16 bits, whose powers wrap around in TensorFlow, where onnxruntime computes in doubles."""
    if ctx.dtype(ctx.inputs[0]) in (ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16):
        raise RefusalError("it takes powers of integers of 8 or 16 bits, which wrap around")
    return ctx.op("Pow", *ctx.inputs)


OPS: dict[str, OpFunction] = {
    "AccumulateNV2": add_n,
    "Add": same("Add"),
    "AddN": add_n,
    "AddV2": same("Add"),
    "Atan2": atan2,
    "BiasAdd": bias_add,
    "BiasAddV1": same("Add"),
    "ClipByValue": clip_by_value,
    "Div": same("Div"),
    "DivNoNan": div_no_nan,
    "FloorDiv": floor_div,
    "FloorMod": floor_mod,
    "L2Loss": l2_loss,
    "Maximum": same("Max"),
    "Minimum": same("Min"),
    "Mul": same("Mul"),
    "MulNoNan": mul_no_nan,
    "Pow": power,
    "RealDiv": same("Div"),
    "SquaredDifference": squared_difference,
    "Sub": same("Sub"),
    "TruncateDiv": same("Div"),
    "TruncateMod": same("Mod", fmod=1),
    "Xdivy": xdivy,
    "Xlogy": xlogy,
}
