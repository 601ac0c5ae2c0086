"""Quantisation that training has put into a float model: rounding to a grid of numbers, as arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import cast as cast_to

__all__ = ["OPS"]


def _checked(bits: int) -> int:
    if not 2 <= bits <= 63:
        raise RefusalError(f"num_bits is {bits}, expected 2 to 63")
    return bits


def _rounded_up(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """floor(x + 1/2)."""
    return ctx.op("Floor", ctx.op("Add", x, ctx.scalar(0.5, x)))


def _fake_quantized(ctx: NodeContext, x: ir.Value, low: ir.Value, high: ir.Value, *, divides: bool) -> ir.Value:
    """x rounded to 2^bits numbers from low to high, which are moved so that 0 is one of them; 0 for an empty range.

    floor((clip(x, first, last) - first) / step - zero + 1/2) * step, in this order: ties are decided by it, and by
    whether it divides by the step or multiplies by its inverse.
    """
    least = 1 if ctx.flag("narrow_range", False) else 0
    most = 2 ** _checked(ctx.integer("num_bits", 8)) - 1
    with ctx.as_written():
        grid = _Grid.of(ctx, low, high, least, most)
        inside = ctx.op("Max", ctx.op("Min", x, grid.last), grid.first)
        above = ctx.op("Sub", inside, grid.first)
        steps = ctx.op("Div", above, grid.step) if divides else ctx.op("Mul", above, grid.density)
        number = _rounded_up(ctx, ctx.op("Sub", steps, grid.zero))
    return _unless_empty(ctx, low, high, ctx.op("Mul", number, grid.step))


@dataclass(frozen=True, slots=True)
class _Grid:
    """The numbers that a fake quantisation rounds to: from first to last, `step` apart, `density` in one unit.

    `zero` is how many of them are below 0.
    """

    first: ir.Value
    last: ir.Value
    step: ir.Value
    density: ir.Value
    zero: ir.Value

    @classmethod
    def of(cls, ctx: NodeContext, low: ir.Value, high: ir.Value, least: int, most: int) -> _Grid:
        first, last, count = (ctx.scalar(number, low) for number in (least, most, most - least))
        width = ctx.op("Sub", high, low)
        step, density = ctx.op("Div", width, count), ctx.op("Div", count, width)
        zero = ctx.op("Sub", first, ctx.op("Div", low, step))
        zero = ctx.op("Min", ctx.op("Max", _rounded_up(ctx, zero), first), last)
        ends = [ctx.op("Mul", ctx.op("Sub", end, zero), step) for end in (first, last)]
        below = _rounded_up(ctx, ctx.op("Mul", ctx.op("Neg", ends[0]), density))
        return cls(ends[0], ends[1], step, density, below)


def _unless_empty(ctx: NodeContext, low: ir.Value, high: ir.Value, y: ir.Value) -> ir.Value:
    """y, or 0 where the range is from 0 to 0."""
    known = [constant_array(value) for value in (low, high)]
    if known[0] is not None and known[1] is not None and np.all((known[0] != 0) | (known[1] != 0)):
        return y
    zero = ctx.scalar(0, y)
    empty = ctx.op("And", *(ctx.op("Equal", end, zero) for end in (low, high)))
    return ctx.op("Where", empty, zero, y)


def fake_quant_args(ctx: NodeContext) -> ir.Value:
    """`FakeQuantWithMinMaxArgs`: the range is an attribute."""
    (x,) = ctx.inputs
    low, high = (ctx.scalar(ctx.number(name, default), x) for name, default in (("min", -6.0), ("max", 6.0)))
    return _fake_quantized(ctx, x, low, high, divides=False)


def fake_quant_vars(ctx: NodeContext) -> ir.Value:
    """`FakeQuantWithMinMaxVars`: the range is a variable."""
    x, low, high = ctx.inputs
    return _fake_quantized(ctx, x, low, high, divides=True)


def fake_quant_per_channel(ctx: NodeContext) -> ir.Value:
    """`FakeQuantWithMinMaxVarsPerChannel`: one range for each channel."""
    x, low, high = ctx.inputs
    return _fake_quantized(ctx, x, low, high, divides=False)


def quantize_and_dequantize(ctx: NodeContext) -> ir.Value:
    """`QuantizeAndDequantizeV2`, `V3` and `V4`: x rounded to multiples of a step for which the range just fits.

    round(x * (1 / step)) * step; the range is one for all, or one for each slice along an axis.
    """
    x, low, high = ctx.inputs[:3]
    axis = ctx.integer("axis", -1)
    bits = ctx.integer("num_bits", 8) if len(ctx.inputs) == 3 else ctx.fixed_int(3, "num_bits")
    given = ctx.flag("range_given", False)
    signed, narrow = ctx.flag("signed_input", True), ctx.flag("narrow_range", False)
    least, most = _integers(_checked(bits), signed=signed, narrow=narrow)
    if given:
        low, high = (_along(ctx, end, axis, ctx.rank(x)) for end in (low, high))
    else:
        low, high = (_extreme(ctx, op_type, x, axis) for op_type in ("ReduceMin", "ReduceMax"))
    with ctx.as_written():
        step, density = _step(ctx, low, high, least, most)
        if given:
            first, last = (ctx.op("Mul", ctx.scalar(end, x), step) for end in (least, most))
            x = ctx.op("Max", ctx.op("Min", x, last), first)
        number = _rounded(ctx, ctx.op("Mul", x, density))
    return ctx.op("Mul", number, step)


def _along(ctx: NodeContext, end: ir.Value, axis: int, rank: int) -> ir.Value:
    """One number for each place along an axis, as it broadcasts against a tensor of a rank."""
    return end if axis == -1 else ctx.op("Reshape", end, ctx.int64([-1] + [1] * (rank - 1 - axis)))


def _extreme(ctx: NodeContext, op_type: str, x: ir.Value, axis: int) -> ir.Value:
    if axis == -1:
        return ctx.op(op_type, x, keepdims=0)
    return ctx.op(op_type, x, ctx.int64([i for i in range(ctx.rank(x)) if i != axis]), keepdims=1)


def _integers(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + int(narrow), 2 ** (bits - 1) - 1


def _step(ctx: NodeContext, low: ir.Value, high: ir.Value, least: int, most: int) -> tuple[ir.Value, ir.Value]:
    """The larger of low / least and high / most, and one divided by it; a side with nothing on it does not count."""
    smallest, largest = ctx.scalar(least, low), ctx.scalar(most, high)
    above, dense = ctx.op("Div", high, largest), ctx.op("Div", largest, high)
    if least == 0:
        return above, dense
    far = ctx.scalar(float(np.finfo(ctx.numpy_dtype(low)).max), low)
    zero = ctx.scalar(0, low)
    dense = ctx.op("Where", ctx.op("Greater", high, zero), dense, far)
    below = ctx.op("Where", ctx.op("Less", low, zero), ctx.op("Div", smallest, low), far)
    lower = ctx.op("Less", below, dense)
    step = ctx.op("Where", lower, ctx.op("Div", low, smallest), above)
    return step, ctx.op("Where", lower, below, dense)


def dequantize(ctx: NodeContext) -> ir.Value:
    """`Dequantize`: the numbers that integers stand for, as what a tool has made of weights; a constant for a constant.

    MIN_COMBINED: (x + half) (max - min) / (most - least) + min, with half the range for signed integers
    MIN_FIRST:    (x - least) step + round(min / step) step, with step = (max - min) / (most - least)
    SCALED:       x step, with the larger of min / least and max / most
    """
    x, low, high = ctx.inputs
    kind = ctx.dtype(x)
    if not kind.is_integer() or ctx.element_type("dtype", ir.DataType.FLOAT) != ir.DataType.FLOAT:
        raise RefusalError(f"it makes other numbers than float32 of {kind.name.lower()}")
    limits = np.iinfo(kind.numpy())
    least, most = int(limits.min), int(limits.max)
    axis, mode = ctx.integer("axis", -1), ctx.text("mode", "MIN_COMBINED")
    low, high = (_along(ctx, end, axis, ctx.rank(x)) for end in (low, high))
    wide = cast_to(ctx, x, ir.DataType.FLOAT)
    if mode == "SCALED":
        step = ctx.op("Div", high, ctx.scalar(most, high))
        if least:
            below = ctx.op("Div", low, ctx.scalar(least + int(ctx.flag("narrow_range", False)), low))
            step = ctx.op("Max", step, below)
        return ctx.op("Mul", wide, step)
    step = ctx.op("Div", ctx.op("Sub", high, low), ctx.scalar(most - least, low))
    if mode == "MIN_COMBINED":
        half = (most - least + 1) / 2 if least else 0
        return ctx.op("Add", ctx.op("Mul", ctx.op("Add", wide, ctx.scalar(half, wide)), step), low)
    if mode != "MIN_FIRST":
        raise RefusalError(f"mode is {mode!r}")
    first = ctx.op("Mul", ctx.op("Round", ctx.op("Div", low, step)), step)
    return ctx.op("Add", ctx.op("Mul", ctx.op("Sub", wide, ctx.scalar(least, wide)), step), first)


def _rounded(ctx: NodeContext, x: ir.Value) -> ir.Value:
    mode = ctx.text("round_mode", "HALF_TO_EVEN")
    if mode == "HALF_TO_EVEN":
        return ctx.op("Round", x)
    if mode != "HALF_UP":
        raise RefusalError(f"round_mode is {mode!r}")
    return _rounded_up(ctx, x)


OPS: dict[str, OpFunction] = {
    "Dequantize": dequantize,
    "FakeQuantWithMinMaxArgs": fake_quant_args,
    "FakeQuantWithMinMaxVars": fake_quant_vars,
    "FakeQuantWithMinMaxVarsPerChannel": fake_quant_per_channel,
    "QuantizeAndDequantizeV2": quantize_and_dequantize,
    "QuantizeAndDequantizeV3": quantize_and_dequantize,
    "QuantizeAndDequantizeV4": quantize_and_dequantize,
}
