"""Activation functions, in forms that neither overflow nor lose small values."""

from __future__ import annotations

import numpy as np

from runtime.kernels.base import Array, Function, number
from runtime.kernels.elementwise import unary
from runtime.kernels.erf import erf

__all__ = ["OPS", "hard_sigmoid", "sigmoid", "softmax", "softplus"]


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, number(x, 0))


def leaky_relu(x: Array, *, alpha: float = 0.01) -> Array:
    """x where x >= 0, else alpha * x."""
    return np.where(x < 0, x * number(x, alpha), x)


def prelu(x: Array, slope: Array) -> Array:
    """x where x >= 0, else slope * x; slope broadcasts to x."""
    return np.where(x < 0, x * slope, x)


def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return np.where(x > 0, x, number(x, alpha) * np.expm1(np.minimum(x, number(x, 0))))


def selu(x: Array, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Array:
    """gamma * elu(x, alpha)."""
    return np.asarray(number(x, gamma) * elu(x, alpha=alpha))


def celu(x: Array, *, alpha: float = 1.0) -> Array:
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))."""
    return np.asarray(elu(x / number(x, alpha)) * number(x, alpha))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), accurate to the last digits on both sides."""
    shrinking = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, shrinking, number(x, 1)) / (1 + shrinking))


def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    """min(max(alpha * x + beta, 0), 1)."""
    one = number(x, 1)
    return np.asarray(np.minimum(np.maximum(number(x, alpha) * x + number(x, beta), number(x, 0)), one))


def hard_swish(x: Array) -> Array:
    """x * min(max(x / 6 + 1/2, 0), 1)."""
    return x * hard_sigmoid(x, alpha=1 / 6)


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return np.maximum(x, number(x, 0)) + np.log1p(np.exp(-np.abs(x)))


def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return np.asarray(x / (1 + np.abs(x)))


def thresholded_relu(x: Array, *, alpha: float = 1.0) -> Array:
    """x where x > alpha, else 0."""
    return np.where(x > alpha, x, number(x, 0))


def shrink(x: Array, *, bias: float = 0.0, lambd: float = 0.5) -> Array:
    """x + bias where x < -lambd, x - bias where x > lambd, else 0."""
    outside = np.where(x > number(x, lambd), x - number(x, bias), number(x, 0))
    return np.where(x < number(x, -lambd), x + number(x, bias), outside)


def gelu(x: Array, *, approximate: str = "none") -> Array:
    """x * P(normal < x), or with approximate="tanh" its approximation by a tanh of a cubic."""
    half = number(x, 0.5)
    if approximate == "none":
        return np.asarray(half * x * (1 + erf(x * number(x, np.sqrt(0.5)))), dtype=x.dtype)
    if approximate == "tanh":
        cubic = x + number(x, 0.044715) * x * x * x
        return np.asarray(half * x * (1 + np.tanh(number(x, np.sqrt(2 / np.pi)) * cubic)), dtype=x.dtype)
    raise ValueError(f"approximate is {approximate!r}, expected 'none' or 'tanh'")


def mish(x: Array) -> Array:
    """x * tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along an axis."""
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return np.asarray(powers / np.sum(powers, axis=axis, keepdims=True), dtype=x.dtype)


def hardmax(x: Array, *, axis: int = -1) -> Array:
    """1 in the place of the first largest x along an axis, else 0."""
    found = np.zeros_like(x)
    if x.size:
        np.put_along_axis(found, np.expand_dims(np.argmax(x, axis=axis), axis), number(x, 1), axis=axis)
    return found


def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """x - log(sum(exp(x))) along an axis."""
    shifted = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)), dtype=x.dtype)


OPS: dict[str, Function] = {
    "Celu": celu,
    "Elu": elu,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": unary(hard_swish),
    "Hardmax": hardmax,
    "LeakyRelu": leaky_relu,
    "LogSoftmax": log_softmax,
    "Mish": unary(mish),
    "PRelu": prelu,
    "Relu": relu,
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": unary(sigmoid),
    "Softmax": softmax,
    "Softplus": unary(softplus),
    "Softsign": unary(softsign),
    "ThresholdedRelu": thresholded_relu,
}
