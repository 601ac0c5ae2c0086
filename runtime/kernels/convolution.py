"""Convolutions of any spatial rank, channels last: X[N, *spatial, C], W[*kernel, C / group, M].

The error is that of a sum of K = taps * C / group products in the type given, in BLAS's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from runtime.kernels.base import Array, Function
from runtime.kernels.window import Window, window

__all__ = ["OPS", "conv", "conv_transpose"]

_BLOCK = 1 << 20
"""Elements of the patch matrix that are laid out at a time."""


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    group: int = 1,
) -> Array:
    """Y[n, o, m] = b[m] + sum of X[n, o * stride + t * dilation - pad, c] W[t, c, m].

    The sum goes over the taps t and the channels c of m's group.
    """
    if x.shape[-1] != w.shape[-2] * group or w.shape[-1] % group:
        raise ValueError(f"{x.shape[-1]} channels in {group} groups for a kernel of shape {list(w.shape)}")
    win = window(x.shape[1:-1], w.shape[:-2], strides, dilations, pads, auto_pad)
    padded = win.pad(x)
    if group == x.shape[-1] and group > 1:
        y = _depthwise(padded, w, win)
    elif group == 1:
        y = _dense(padded, w, win)
    else:
        parts = zip(np.split(padded, group, axis=-1), np.split(w, group, axis=-1))
        y = np.concatenate([_dense(part, kernel, win) for part, kernel in parts], axis=-1)
    if b is not None:
        y += b
    return y


def _dense(x: Array, w: Array, win: Window) -> Array:
    """One group: patches [rows, taps * C] times the kernel [taps * C, M], a block of rows at a time."""
    matrix = w.reshape(-1, w.shape[-1])
    y = np.empty((x.shape[0], *win.out, w.shape[-1]), x.dtype)
    patches = x[win.tap_slices([0] * len(win.kernel))] if win.pointwise else win.view(x)
    if win.pointwise and patches.flags.c_contiguous:
        np.matmul(patches.reshape(-1, x.shape[-1]), matrix, out=y.reshape(-1, w.shape[-1]))
        return y
    rows = max(1, _BLOCK // max(1, matrix.shape[0] * prod(win.out[1:])))
    for image, result in zip(patches, y):
        for first in range(0, win.out[0], rows):
            block = image[first : first + rows].reshape(-1, matrix.shape[0])
            np.matmul(block, matrix, out=result[first : first + rows].reshape(-1, w.shape[-1]))
    return y


def _depthwise(x: Array, w: Array, win: Window) -> Array:
    """One input channel per group: M / C results from each."""
    multiplier = w.shape[-1] // x.shape[-1]
    w = w.reshape(*win.kernel, x.shape[-1], multiplier)
    y = np.zeros((x.shape[0], *win.out, x.shape[-1], multiplier), x.dtype)
    product = np.empty_like(y)
    for tap, part in win.taps(x):
        y += np.multiply(part[..., None], w[tap], out=product)
    return y.reshape(*y.shape[:-2], -1)


def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    group: int = 1,
) -> Array:
    """Y[n, i * stride + t * dilation - pad, m] = b[m] + sum over i, t, c of X[n, i, c] W[t, m, c].

    The kernel is W[*kernel, M / group, C]; channel group g of the output sees the g-th block of C.

    The size is stride * (in - 1) + output_padding + dilation * (k - 1) + 1 - pads.
    """
    rank = x.ndim - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    pads, extra = pads or [0] * (2 * rank), output_padding or [0] * rank
    kernel, sizes = w.shape[:-2], x.shape[1:-1]
    full = [s * (n - 1) + d * (k - 1) + 1 for s, n, d, k in zip(strides, sizes, dilations, kernel)]
    out = [f + e - a - z for f, e, a, z in zip(full, extra, pads[:rank], pads[rank:])]
    room = [max(f, a + o) for f, a, o in zip(full, pads, out)]
    y = np.zeros((x.shape[0], *room, w.shape[-2] * group), x.dtype)
    win = Window(tuple(kernel), tuple(strides), tuple(dilations), ((0, 0),) * rank, tuple(sizes))
    pieces = zip(np.split(x, group, -1), np.split(w, group, -1), np.split(y, group, -1))
    for part, weights, target in pieces:
        rows = part.reshape(-1, part.shape[-1])
        for tap, place in win.taps(target):
            place += (rows @ weights[tap].T).reshape(place.shape)
    y = y[(slice(None), *(slice(a, a + o) for a, o in zip(pads, out)))]
    return y if b is None else y + b


OPS: dict[str, Function] = {"Conv": conv, "ConvTranspose": conv_transpose}
