"""Comparisons, truth values and bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from runtime.kernels.base import Array, Function

__all__ = ["OPS", "bit_shift", "is_inf"]


def _comparison(function: Callable[..., Any]) -> Function:
    def kernel(*inputs: Array) -> Array:
        return np.asarray(function(*inputs), dtype=np.bool_)

    return kernel


def _bits(function: Callable[..., Any]) -> Function:
    def kernel(first: Array, *others: Array) -> Array:
        return np.asarray(function(first, *others), dtype=first.dtype)

    return kernel


def is_inf(x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    """Where x is one of the chosen infinities."""
    return np.asarray((bool(detect_positive) & np.isposinf(x)) | (bool(detect_negative) & np.isneginf(x)))


def bit_shift(x: Array, count: Array, *, direction: str) -> Array:
    """x shifted by count bits, `LEFT` or `RIGHT`."""
    if direction not in ("LEFT", "RIGHT"):
        raise ValueError(f"direction is {direction!r}, expected 'LEFT' or 'RIGHT'")
    shift = np.left_shift if direction == "LEFT" else np.right_shift
    return np.asarray(shift(x, count), dtype=x.dtype)


OPS: dict[str, Function] = {
    "And": _comparison(np.logical_and),
    "BitShift": bit_shift,
    "BitwiseAnd": _bits(np.bitwise_and),
    "BitwiseNot": _bits(np.invert),
    "BitwiseOr": _bits(np.bitwise_or),
    "BitwiseXor": _bits(np.bitwise_xor),
    "Equal": _comparison(np.equal),
    "Greater": _comparison(np.greater),
    "GreaterOrEqual": _comparison(np.greater_equal),
    "IsInf": is_inf,
    "IsNaN": _comparison(np.isnan),
    "Less": _comparison(np.less),
    "LessOrEqual": _comparison(np.less_equal),
    "Not": _comparison(np.logical_not),
    "Or": _comparison(np.logical_or),
    "Xor": _comparison(np.logical_xor),
}
