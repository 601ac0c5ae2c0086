"""Arithmetic and functions of single elements, with NumPy's broadcasting, which is ONNX's.

The result has the element type of the first input, whatever NumPy's version makes of scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from runtime.kernels.base import Array, Function, number
from runtime.kernels.erf import erf

__all__ = ["OPS", "clip", "div", "mean", "mod", "power", "unary"]


def unary(function: Callable[..., Any]) -> Function:
    """A kernel function `y = function(x)` that keeps the element type."""

    def kernel(x: Array) -> Array:
        return np.asarray(function(x), dtype=x.dtype)

    return kernel


def _binary(function: Callable[..., Any]) -> Function:
    def kernel(a: Array, b: Array) -> Array:
        return np.asarray(function(a, b), dtype=a.dtype)

    return kernel


def _variadic(function: Callable[..., Any]) -> Function:
    def kernel(first: Array, *others: Array) -> Array:
        return np.asarray(reduce(function, others, first), dtype=first.dtype)

    return kernel


def div(a: Array, b: Array) -> Array:
    """a / b; integers truncate towards zero."""
    if a.dtype.kind == "f":
        return np.asarray(a / b, dtype=a.dtype)
    quotient = a // b
    rounded_down = (quotient * b != a) & ((a < 0) != (b < 0))
    return np.asarray(quotient + rounded_down, dtype=a.dtype)


def mod(a: Array, b: Array, *, fmod: int = 0) -> Array:
    """The remainder with the sign of b, or with fmod=1 that of a."""
    return np.asarray(np.fmod(a, b) if fmod else np.mod(a, b), dtype=a.dtype)


def power(x: Array, exponent: Array) -> Array:
    """x ** exponent in the type of x; integers go through float64 unless both are integers and the exponent natural."""
    whole = x.dtype.kind in "iu" and exponent.dtype.kind in "iu" and not np.any(exponent < 0)
    if whole or x.dtype.kind == "f":
        return np.asarray(np.power(x, exponent.astype(x.dtype)), dtype=x.dtype)
    return np.asarray(np.power(x.astype(np.float64), exponent)).astype(x.dtype)


def mean(first: Array, *others: Array) -> Array:
    """The mean of any number of tensors."""
    total = reduce(np.add, others, first)
    return np.asarray(total / (1 + len(others)), dtype=first.dtype)


def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """min(max(x, low), high); NaN stays NaN."""
    y = x if low is None else np.maximum(x, low.astype(x.dtype))
    y = y if high is None else np.minimum(y, high.astype(x.dtype))
    return np.asarray(y, dtype=x.dtype)


def _reciprocal(x: Array) -> Any:
    return number(x, 1) / x


OPS: dict[str, Function] = {
    "Abs": unary(np.abs),
    "Acos": unary(np.arccos),
    "Acosh": unary(np.arccosh),
    "Add": _binary(np.add),
    "Asin": unary(np.arcsin),
    "Asinh": unary(np.arcsinh),
    "Atan": unary(np.arctan),
    "Atanh": unary(np.arctanh),
    "Ceil": unary(np.ceil),
    "Clip": clip,
    "Cos": unary(np.cos),
    "Cosh": unary(np.cosh),
    "Div": div,
    "Erf": unary(erf),
    "Exp": unary(np.exp),
    "Floor": unary(np.floor),
    "Log": unary(np.log),
    "Max": _variadic(np.maximum),
    "Mean": mean,
    "Min": _variadic(np.minimum),
    "Mod": mod,
    "Mul": _binary(np.multiply),
    "Neg": unary(np.negative),
    "Pow": power,
    "Reciprocal": unary(_reciprocal),
    "Round": unary(np.rint),
    "Sign": unary(np.sign),
    "Sin": unary(np.sin),
    "Sinh": unary(np.sinh),
    "Sqrt": unary(np.sqrt),
    "Sub": _binary(np.subtract),
    "Sum": _variadic(np.add),
    "Tan": unary(np.tan),
    "Tanh": unary(np.tanh),
}
