"""Normalisations with given or computed statistics."""

from __future__ import annotations

import numpy as np

from runtime.kernels.base import Array, Function, mean_over, number

__all__ = ["OPS", "batch_normalization", "layer_normalization", "lrn"]


def batch_normalization(
    x: Array, scale: Array, b: Array, mean: Array, variance: Array, *, epsilon: float = 1e-5
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * scale + b, one number per channel, which is the last axis."""
    factor = scale / np.sqrt(variance + number(variance, epsilon))
    return np.asarray((x - mean) * factor + b, dtype=x.dtype)


def lrn(x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Array:
    """x / (bias + alpha / size * s)^beta; s is the sum of squares over `size` (odd) channels around."""
    reach = size // 2
    channels = x.shape[-1]
    squares = x * x
    total = squares.copy()
    for step in range(1, min(reach, channels - 1) + 1):
        total[..., step:] += squares[..., :-step]
        total[..., :-step] += squares[..., step:]
    base = number(x, bias) + number(x, alpha / size) * total
    return np.asarray(x / base ** number(x, beta), dtype=x.dtype)


def layer_normalization(
    x: Array, scale: Array, b: Array | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Array, Array, Array]:
    """(x - m) / sqrt(v + epsilon) * scale + b, with m and v over the axes from `axis` on.

    Returns that, m and 1 / sqrt(v + epsilon).
    """
    axes = tuple(range(axis % x.ndim, x.ndim))
    middle = mean_over(x, axis=axes, keepdims=True)
    centred = x - middle
    variance = mean_over(centred * centred, axis=axes, keepdims=True)
    inverse = np.asarray(1 / np.sqrt(variance + number(x, epsilon)), dtype=x.dtype)
    y = centred * inverse * scale
    return np.asarray(y if b is None else y + b, dtype=x.dtype), middle, inverse


OPS: dict[str, Function] = {
    "BatchNormalization": batch_normalization,
    "LRN": lrn,
    "LayerNormalization": layer_normalization,
}
