"""Which convolutions go by Winograd's F(4 x 4, 3 x 3), and their weights.

It takes a quarter of the multiplications and four times the weights, and so pays where images and channels are large.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.c_program.specialise import Fixed, Op
from exporter.targets.c_program.weights import PANEL, packed
from runtime.kernels.window import Window

__all__ = ["is_winograd", "scratch_floats", "spread_kernels", "tiles_of"]

_Array = npt.NDArray[Any]

_LEAST_MACS = 20_000_000
_LEAST_CHANNELS = 48
_LEAST_SIZE = 12
_BLOCK = 28
_SKEW = 16
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24


def is_winograd(op: Op, win: Window, fixed: Fixed) -> bool:
    """Whether it is such a convolution, and large enough; weights in float16 stay as few as they are."""
    *kernel, c, m = fixed.shapes[op.inputs[1]]
    plain = kernel == [3, 3] and set(win.strides) == set(win.dilations) == {1} and op.attributes.get("group", 1) == 1
    even = c % PANEL == m % PANEL == 0 and min(c, m) >= _LEAST_CHANNELS
    small = op.inputs[1] in fixed.halves
    return plain and even and not small and min(win.out) >= _LEAST_SIZE and prod(win.out) * 9 * c * m >= _LEAST_MACS


def tiles_of(out: tuple[int, ...]) -> tuple[int, int, int]:
    """How many tiles there are across and in all, and how many are done at a time."""
    down, across = (-(-size // 4) for size in out)
    return across, down * across, min(down * across, _BLOCK)


def scratch_floats(op: Op, win: Window, fixed: Fixed) -> int:
    """The working memory of such a convolution."""
    *_, c, m = fixed.shapes[op.inputs[1]]
    return 36 * tiles_of(win.out)[2] * (c + m + 2 * _SKEW)


def spread_kernels(w: _Array) -> _Array:
    """G w G^T of each pair of channels, 36 matrices [C, M] in panels."""
    u = np.einsum("au,uvcm,bv->abcm", _G, w.astype(np.float64), _G).astype(np.float32)
    return np.concatenate([packed(matrix) for matrix in u.reshape(36, *w.shape[2:])])
