"""Memory for many arrays, in blocks that the system maps with few large pages where it has such.

Touching 100 MB for the first time takes 55 ms if they come as arrays of 1 MB, and 12 ms in blocks: measured on Linux,
where NumPy asks for large pages for what it allocates in one piece of 4 MB or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from runtime.kernels.base import Array

__all__ = ["Pool", "aligned"]

_ALIGNMENT = 64
_FIRST, _BLOCK = 1 << 18, 1 << 24
"""Bytes of the first block, and of one once that much was handed out; they grow in between."""
_OWN = 1 << 22
"""Bytes of an array that has memory of its own."""


class Pool:
    """Hands out arrays; a block goes when the last array in it does, so they should be of about the same age."""

    def __init__(self) -> None:
        self._block = np.empty(0, np.uint8)
        self._size = _FIRST

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """An array whose elements may be anything, and which begins with a cache line."""
        size = prod(shape) * dtype.itemsize
        if size >= _OWN:
            return _cut(_block(size), shape, dtype)
        if len(self._block) < size:
            self._block = _block(max(self._size, size))
            self._size = min(2 * self._size, _BLOCK)
        array = _cut(self._block, shape, dtype)
        self._block = self._block[-(-size // _ALIGNMENT) * _ALIGNMENT :]
        return array


def aligned(size: int) -> Array:
    """So many bytes, all zero, that begin with a cache line."""
    return _from_line(np.zeros(size + _ALIGNMENT, np.uint8))[:size]


def _block(size: int) -> Array:
    return _from_line(np.empty(size + _ALIGNMENT, np.uint8))


def _from_line(memory: Array) -> Array:
    return memory[-memory.__array_interface__["data"][0] % _ALIGNMENT :]


def _cut(block: Array, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    return block[: prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
