"""Special functions, calculated in float64 so that float32 keeps its digits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.vectors import cast

__all__ = ["OPS"]

_Array = npt.NDArray[Any]
_Function = Callable[[NodeContext, ir.Value], ir.Value]


def _in_double(function: _Function) -> OpFunction:
    def lower(ctx: NodeContext) -> ir.Value:
        x = ctx.inputs[0]
        return cast(ctx, function(ctx, cast(ctx, x, ir.DataType.DOUBLE)), ctx.dtype(x))

    return lower


def _number(ctx: NodeContext, value: float) -> ir.Value:
    return ctx.const(np.float64(value))


def _polynomial(ctx: NodeContext, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """By Horner, the highest power first."""
    first, *others = (_number(ctx, value) for value in coefficients)
    return reduce(lambda total, value: ctx.op("Add", ctx.op("Mul", total, x), value), others, first)


_LANCZOS_G = 7
_LANCZOS = (
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)
"""Lanczos' series for the gamma function with g = 7 and nine terms, good to 15 digits."""


def _lgamma(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """ln |gamma(x)|; left of 1/2 by gamma(x) gamma(1 - x) = pi / sin(pi x)."""
    half, one = _number(ctx, 0.5), _number(ctx, 1)
    reflected = ctx.op("Less", x, half)
    z = ctx.op("Sub", ctx.op("Where", reflected, ctx.op("Sub", one, x), x), one)
    total = _number(ctx, _LANCZOS[0])
    for i, coefficient in enumerate(_LANCZOS[1:], start=1):
        total = ctx.op("Add", total, ctx.op("Div", _number(ctx, coefficient), ctx.op("Add", z, _number(ctx, i))))
    t = ctx.op("Add", z, _number(ctx, _LANCZOS_G + 0.5))
    power = ctx.op("Sub", ctx.op("Mul", ctx.op("Add", z, half), ctx.op("Log", t)), t)
    right = ctx.op("Add", _number(ctx, math.log(2 * math.pi) / 2), ctx.op("Add", power, ctx.op("Log", total)))
    sine = ctx.op("Sin", ctx.op("Mul", _number(ctx, math.pi), ctx.op("Sub", x, ctx.op("Floor", x))))
    left = ctx.op("Sub", ctx.op("Log", ctx.op("Div", _number(ctx, math.pi), ctx.op("Abs", sine))), right)
    infinite = ctx.op("Equal", ctx.op("Abs", x), _number(ctx, math.inf))
    return ctx.op("Where", infinite, _number(ctx, math.inf), ctx.op("Where", reflected, left, right))


_STEPS = 10
_BERNOULLI = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
"""Bernoulli's numbers B_2n / 2n."""


def _digamma(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """The derivative of lgamma: an asymptotic series ten steps further on; left of 0 by reflection, NaN at poles."""
    zero, one = _number(ctx, 0), _number(ctx, 1)
    reflected = ctx.op("LessOrEqual", x, zero)
    z = ctx.op("Where", reflected, ctx.op("Sub", one, x), x)
    shift = zero
    for i in range(_STEPS):
        shift = ctx.op("Add", shift, ctx.op("Reciprocal", ctx.op("Add", z, _number(ctx, i))))
    far = ctx.op("Reciprocal", ctx.op("Add", z, _number(ctx, _STEPS)))
    square = ctx.op("Mul", far, far)
    series = ctx.op("Mul", _polynomial(ctx, square, _BERNOULLI[::-1]), square)
    tail = ctx.op("Add", ctx.op("Mul", far, _number(ctx, 0.5)), ctx.op("Add", series, shift))
    right = ctx.op("Sub", ctx.op("Neg", ctx.op("Log", far)), tail)
    part = ctx.op("Sub", x, ctx.op("Floor", x))
    angle = ctx.op("Mul", _number(ctx, math.pi), part)
    turned = ctx.op("Div", ctx.op("Mul", _number(ctx, math.pi), ctx.op("Cos", angle)), ctx.op("Sin", angle))
    left = ctx.op("Sub", right, ctx.op("Where", ctx.op("Equal", part, zero), _number(ctx, math.nan), turned))
    return ctx.op("Where", reflected, left, right)


_MIDDLE = (
    (
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.3577518672690,
        -30.66479806614716,
        2.506628277459239,
    ),
    (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0),
)
_TAIL = (
    (
        -7.784894002430293e-03,
        -3.223964580411365e-01,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ),
    (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996, 3.754408661907416, 1.0),
)
_TAIL_STARTS = 0.02425
"""Acklam's quotients of polynomials for the normal quantile, within 1.2e-9 of it: middle and tails."""


def _quantile(ctx: NodeContext, centred: ir.Value) -> ir.Value:
    """The x below which a normal number is with the probability 1/2 + centred; NaN outside of -1/2 to 1/2."""
    size = ctx.op("Abs", centred)
    rest = ctx.op("Sub", _number(ctx, 0.5), size)
    square = ctx.op("Mul", centred, centred)
    middle = ctx.op("Mul", centred, ctx.op("Div", *(_polynomial(ctx, square, part) for part in _MIDDLE)))
    q = ctx.op("Sqrt", ctx.op("Mul", _number(ctx, -2), ctx.op("Log", rest)))
    tail = ctx.op("Neg", ctx.op("Div", *(_polynomial(ctx, q, part) for part in _TAIL)))
    tail = ctx.op("Where", ctx.op("Equal", rest, _number(ctx, 0)), _number(ctx, math.inf), tail)
    tail = ctx.op("Mul", tail, ctx.op("Sign", centred))
    return ctx.op("Where", ctx.op("Less", rest, _number(ctx, _TAIL_STARTS)), tail, middle)


def _ndtri(ctx: NodeContext, p: ir.Value) -> ir.Value:
    """The normal quantile; from p itself where 1/2 - (1/2 - p) would lose its digits."""
    low = ctx.op("Less", p, _number(ctx, _TAIL_STARTS))
    q = ctx.op("Sqrt", ctx.op("Mul", _number(ctx, -2), ctx.op("Log", p)))
    tail = ctx.op("Div", *(_polynomial(ctx, q, part) for part in _TAIL))
    tail = ctx.op("Where", ctx.op("Equal", p, _number(ctx, 0)), _number(ctx, -math.inf), tail)
    return ctx.op("Where", low, tail, _quantile(ctx, ctx.op("Sub", p, _number(ctx, 0.5))))


def _erfinv(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """quantile((1 + x) / 2) / sqrt(2)."""
    quantile = _quantile(ctx, ctx.op("Mul", x, _number(ctx, 0.5)))
    return ctx.op("Mul", quantile, _number(ctx, math.sqrt(0.5)))


_ERFC = (
    0.17087277,
    -0.82215223,
    1.48851587,
    -1.13520398,
    0.27886807,
    -0.18628806,
    0.09678418,
    0.37409196,
    1.00002368,
    -1.26551223,
)
"""A polynomial p with erfc(x) = t exp(p(t) - x^2), t = 1 / (1 + x / 2), within 1.2e-7 of it for every x > 0."""


def erfc(ctx: NodeContext) -> ir.Value:
    """1 - erf(x); from 1/2 on, where that loses its digits, by a polynomial."""
    (x,) = ctx.inputs
    near = ctx.op("Sub", ctx.scalar(1, x), ctx.op("Erf", x))
    wide = cast(ctx, x, ir.DataType.DOUBLE)
    t = ctx.op("Reciprocal", ctx.op("Add", _number(ctx, 1), ctx.op("Mul", wide, _number(ctx, 0.5))))
    exponent = ctx.op("Sub", _polynomial(ctx, t, _ERFC), ctx.op("Mul", wide, wide))
    far = cast(ctx, ctx.op("Mul", t, ctx.op("Exp", exponent)), ctx.dtype(x))
    return ctx.op("Where", ctx.op("Greater", x, ctx.scalar(0.5, x)), far, near)


def xlog1py(ctx: NodeContext) -> ir.Value:
    """x log(1 + y), and 0 where x is 0."""
    x, y = ctx.inputs
    zero = ctx.scalar(0, x)
    product = ctx.op("Mul", x, ctx.op("Log", ctx.op("Add", y, ctx.scalar(1, y))))
    return ctx.op("Where", ctx.op("Equal", x, zero), zero, product)


_SWITCH = 8.0


def _bessel(order: int, *, scaled: bool) -> OpFunction:
    """The modified Bessel function of the first kind; by Chebyshev series below 8, and in 8 / x above."""

    def function(ctx: NodeContext, x: ir.Value) -> ir.Value:
        size = ctx.op("Abs", x)
        eight = _number(ctx, _SWITCH)
        low = ctx.op("Sub", ctx.op("Div", ctx.op("Min", size, eight), _number(ctx, _SWITCH / 2)), _number(ctx, 1))
        high = ctx.op("Sub", ctx.op("Div", _number(ctx, 2 * _SWITCH), ctx.op("Max", size, eight)), _number(ctx, 1))
        inner = _chebyshev(ctx, low, lambda t: _scaled_bessel(order, (t + 1) * (_SWITCH / 2)), 32)
        outer = _chebyshev(ctx, high, lambda t: _far_bessel(order, t), 28)
        outer = ctx.op("Div", outer, ctx.op("Sqrt", ctx.op("Max", size, eight)))
        y = ctx.op("Where", ctx.op("LessOrEqual", size, eight), inner, outer)
        if order:
            y = ctx.op("Mul", y, ctx.op("Sign", x))
        return y if scaled else ctx.op("Mul", y, ctx.op("Exp", size))

    return _in_double(function)


def _scaled_bessel(order: int, x: _Array) -> _Array:
    """exp(-x) I(x) = the mean over half a turn of exp(x (cos a - 1)) cos(order a)."""
    a = (np.arange(2000) + 0.5) * (np.pi / 2000)
    return np.asarray(np.mean(np.exp(np.multiply.outer(x, np.cos(a) - 1)) * np.cos(order * a), axis=-1))


def _far_bessel(order: int, t: _Array) -> _Array:
    """sqrt(x) exp(-x) I(x) for x = 16 / (t + 1), whose limit is 1 / sqrt(2 pi)."""
    x = 2 * _SWITCH / np.maximum(t + 1, 1e-3)
    return np.asarray(np.sqrt(x) * _scaled_bessel(order, x))


def _chebyshev(ctx: NodeContext, t: ir.Value, function: Callable[[_Array], _Array], terms: int) -> ir.Value:
    """A function on -1 to 1 by its Chebyshev series, as Clenshaw sums it."""
    coefficients = _interpolated(function, terms)
    twice = ctx.op("Add", t, t)
    before, current = _number(ctx, 0), _number(ctx, 0)
    for coefficient in coefficients[:0:-1]:
        following = ctx.op("Add", ctx.op("Sub", ctx.op("Mul", twice, current), before), _number(ctx, coefficient))
        before, current = current, following
    return ctx.op("Add", ctx.op("Sub", ctx.op("Mul", t, current), before), _number(ctx, coefficients[0]))


def _interpolated(function: Callable[[_Array], _Array], terms: int) -> _Array:
    """The first terms of the Chebyshev series that has the function's values at as many nodes."""
    angles = np.pi * (np.arange(terms) + 0.5) / terms
    values = function(np.cos(angles))
    series = np.cos(np.outer(np.arange(terms), angles)) @ values * (2 / terms)
    return np.asarray(series * np.where(np.arange(terms) == 0, 0.5, 1))


OPS: dict[str, OpFunction] = {
    "BesselI0": _bessel(0, scaled=False),
    "BesselI0e": _bessel(0, scaled=True),
    "BesselI1": _bessel(1, scaled=False),
    "BesselI1e": _bessel(1, scaled=True),
    "Digamma": _in_double(_digamma),
    "Erfc": erfc,
    "Erfinv": _in_double(_erfinv),
    "Lgamma": _in_double(_lgamma),
    "Ndtri": _in_double(_ndtri),
    "Xlog1py": xlog1py,
}
