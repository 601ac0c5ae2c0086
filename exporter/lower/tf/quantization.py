"""Quantisation that training has put into a float model: rounding to a grid of numbers, as arithmetic."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError

__all__ = ["OPS"]


def _checked(bits: int) -> int:
    if not 2 <= bits <= 63:
        raise RefusalError(f"num_bits is {bits}, expected 2 to 63")
    return bits


def _rounded_up(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """floor(x + 1/2)."""
    return ctx.op("Floor", ctx.op("Add", x, ctx.scalar(0.5, x)))


def _fake_quantized(ctx: NodeContext, x: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    """x rounded to 2^bits numbers from low to high, which are moved so that 0 is one of them."""
    least = 1 if ctx.flag("narrow_range", False) else 0
    most = 2 ** _checked(ctx.integer("num_bits", 8)) - 1
    first, last = ctx.scalar(least, x), ctx.scalar(most, x)
    step = ctx.op("Div", ctx.op("Sub", high, low), ctx.scalar(most - least, x))
    zero = ctx.op("Sub", first, ctx.op("Div", low, step))
    zero = ctx.op("Min", ctx.op("Max", _rounded_up(ctx, zero), first), last)
    low, high = (ctx.op("Mul", ctx.op("Sub", end, zero), step) for end in (first, last))
    above = ctx.op("Sub", ctx.op("Max", ctx.op("Min", x, high), low), low)
    return ctx.op("Add", ctx.op("Mul", _rounded_up(ctx, ctx.op("Div", above, step)), step), low)


def fake_quant_args(ctx: NodeContext) -> ir.Value:
    """`FakeQuantWithMinMaxArgs`: the range is an attribute."""
    (x,) = ctx.inputs
    return _fake_quantized(ctx, x, ctx.scalar(ctx.number("min", -6.0), x), ctx.scalar(ctx.number("max", 6.0), x))


def fake_quant_vars(ctx: NodeContext) -> ir.Value:
    """`FakeQuantWithMinMaxVars` and `...PerChannel`: the range is a variable, or one for each channel."""
    x, low, high = ctx.inputs
    return _fake_quantized(ctx, x, low, high)


def quantize_and_dequantize(ctx: NodeContext) -> ir.Value:
    """`QuantizeAndDequantizeV2`, `V3` and `V4`: x rounded to multiples of a step for which the range just fits."""
    x, low, high = ctx.inputs[:3]
    if ctx.integer("axis", -1) != -1:
        raise RefusalError(f"axis is {ctx.integer('axis')}")
    bits = ctx.integer("num_bits", 8) if len(ctx.inputs) == 3 else ctx.fixed_int(3, "num_bits")
    given = ctx.flag("range_given", False)
    if not given:
        low, high = ctx.op("ReduceMin", x, keepdims=0), ctx.op("ReduceMax", x, keepdims=0)
    signed, narrow = ctx.flag("signed_input", True), ctx.flag("narrow_range", False)
    least, most = _integers(_checked(bits), signed=signed, narrow=narrow)
    step = _step(ctx, low, high, least, most)
    if given:
        first, last = (ctx.op("Mul", ctx.scalar(end, x), step) for end in (least, most))
        x = ctx.op("Max", ctx.op("Min", x, last), first)
    return ctx.op("Mul", _rounded(ctx, ctx.op("Div", x, step)), step)


def _integers(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + int(narrow), 2 ** (bits - 1) - 1


def _step(ctx: NodeContext, low: ir.Value, high: ir.Value, least: int, most: int) -> ir.Value:
    """The larger of low / least and high / most, of which one that isn't positive doesn't count."""
    upper = ctx.op("Div", high, ctx.scalar(most, high))
    if least == 0:
        return upper
    return ctx.op("Max", ctx.op("Div", low, ctx.scalar(least, low)), upper)


def _rounded(ctx: NodeContext, x: ir.Value) -> ir.Value:
    mode = ctx.text("round_mode", "HALF_TO_EVEN")
    if mode == "HALF_TO_EVEN":
        return ctx.op("Round", x)
    if mode != "HALF_UP":
        raise RefusalError(f"round_mode is {mode!r}")
    return _rounded_up(ctx, x)


OPS: dict[str, OpFunction] = {
    "FakeQuantWithMinMaxArgs": fake_quant_args,
    "FakeQuantWithMinMaxVars": fake_quant_vars,
    "FakeQuantWithMinMaxVarsPerChannel": fake_quant_vars,
    "QuantizeAndDequantizeV2": quantize_and_dequantize,
    "QuantizeAndDequantizeV3": quantize_and_dequantize,
    "QuantizeAndDequantizeV4": quantize_and_dequantize,
}
