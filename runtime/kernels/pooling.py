"""Pools over the spatial axes, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from runtime.kernels.base import Array, Function
from runtime.kernels.window import Window, window

__all__ = ["OPS", "average_pool", "counts", "max_pool"]


def max_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
) -> Array:
    """The largest value of each window; padding never wins."""
    win = window(x.shape[1:-1], kernel_shape, strides, dilations, pads, auto_pad)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    taps = win.taps(win.pad(x, lowest))
    y = next(taps)[1].copy()
    for _, part in taps:
        np.maximum(y, part, out=y)
    return y


def average_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    count_include_pad: int = 0,
) -> Array:
    """The mean of each window: of what isn't padding, or with count_include_pad=1 of all of it."""
    win = window(x.shape[1:-1], kernel_shape, strides, dilations, pads, auto_pad)
    taps = win.taps(win.pad(x))
    y = next(taps)[1].copy()
    for _, part in taps:
        y += part
    y /= prod(kernel_shape) if count_include_pad else counts(win, x.shape[1:-1]).astype(x.dtype)
    return y


def counts(win: Window, sizes: Sequence[int]) -> Array:
    """How many positions of each window aren't padding: [*out, 1]."""
    counts = np.ones((1,) * (len(sizes) + 1), np.int64)
    for axis, size in enumerate(sizes):
        first = np.arange(win.out[axis]) * win.strides[axis] - win.pads[axis][0]
        places = first[:, None] + np.arange(win.kernel[axis]) * win.dilations[axis]
        inside = np.sum((places >= 0) & (places < size), axis=1)
        counts = counts * inside.reshape([-1 if i == axis else 1 for i in range(counts.ndim)])
    return counts


OPS: dict[str, Function] = {"AveragePool": average_pool, "MaxPool": max_pool}
