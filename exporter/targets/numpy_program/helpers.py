"""Functions that are written out in a program which uses them, in the form in which they read best.

They do the common cases; what they don't do is taken from `runtime.kernels`. Tensors are [N, H, W, C].
"""

from __future__ import annotations

import numpy as np

from runtime.kernels.base import Array

__all__ = ["average_pool2d", "conv2d", "depthwise_conv2d", "max_pool2d", "narrow", "wide", "window_parts"]


def conv2d(
    x: Array, kernel: Array, strides: tuple[int, int] = (1, 1), pads: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> Array:
    """x[N, H, W, C] with kernel[KH, KW, C, M]: one matrix product [N*OH*OW, C] @ [C, M] for each tap, all added up."""
    kh, kw, c, m = kernel.shape
    parts = window_parts(x, (kh, kw), strides, pads)
    n, oh, ow, _ = parts[0].shape
    y = np.zeros((n * oh * ow, m), x.dtype)
    for part, matrix in zip(parts, kernel.reshape(kh * kw, c, m)):
        y += part.reshape(n * oh * ow, c) @ matrix
    return y.reshape(n, oh, ow, m)


def depthwise_conv2d(
    x: Array, kernel: Array, strides: tuple[int, int] = (1, 1), pads: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> Array:
    """x[N, H, W, C] with kernel[KH, KW, 1, C]: each channel by itself."""
    kh, kw, _, c = kernel.shape
    parts = window_parts(x, (kh, kw), strides, pads)
    y = np.zeros(parts[0].shape, x.dtype)
    for part, weights in zip(parts, kernel.reshape(kh * kw, c)):
        y += part * weights
    return y


def max_pool2d(
    x: Array, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> Array:
    """The largest value of each window of x[N, H, W, C]; padding never wins."""
    parts = window_parts(x, size, strides, pads, -np.inf)
    y = parts[0].copy()
    for part in parts[1:]:
        np.maximum(y, part, out=y)
    return y


def average_pool2d(
    x: Array, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> Array:
    """The mean of each window of x[N, H, W, C], of what isn't padding."""
    parts = window_parts(x, size, strides, pads)
    y = parts[0].copy()
    for part in parts[1:]:
        y += part
    counts = window_parts(np.ones_like(x[:1, :, :, :1]), size, strides, pads)
    return np.asarray(y / sum(counts))


def window_parts(
    x: Array, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int, int, int], fill: float = 0
) -> list[Array]:
    """For each position in a window, row by row, what all windows see there: [N, OH, OW, C] each.

    The pads (top, left, bottom, right) around x[N, H, W, C] are filled with one number.
    """
    (kh, kw), (sh, sw), (top, left, bottom, right) = size, strides, pads
    if any(pads):
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    h, w = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    return [x[:, i : i + h : sh, j : j + w : sw] for i in range(kh) for j in range(kw)]


def wide(x: Array) -> Array:
    """Half precision as float32, in which it is calculated."""
    return x.astype(np.float32)


def narrow(results: tuple[Array, ...]) -> tuple[Array, ...]:
    """The float32 ones among several results as half precision."""
    return tuple(y.astype(np.float16) if y.dtype == np.float32 else y for y in results)
