"""One block of memory for all values of a program; two that don't live at the same time may share bytes."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from runtime.engine.memory import aligned
from runtime.kernels.base import Array

__all__ = ["Buffer", "allocate"]

_ALIGNMENT = 64
_LITTLE = 1 << 18
"""Bytes that all buffers together may take without sharing any."""


class Buffer:
    """A contiguous array that lives from the first to the last task that touches it.

    Attributes:
        shape, dtype: Of the whole, pads and neighbours in a concatenation included.
        first, last: Task numbers.
        array: The memory, once `allocate` has found it.
        alone: Whether nothing else ever uses it, so that zeros that nobody overwrites stay.
    """

    array: Array
    alone = False

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], first: int, last: int) -> None:
        self.shape = shape
        self.dtype = dtype
        self.first = first
        self.last = last

    @property
    def nbytes(self) -> int:
        """Bytes, rounded up to whole cache lines."""
        size = prod(self.shape) * self.dtype.itemsize
        return -(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT

    def live(self, task: int) -> None:
        """Makes it live at a task, too."""
        self.first, self.last = min(self.first, task), max(self.last, task)


def allocate(buffers: Sequence[Buffer], *, shared: bool = False) -> int:
    """Gives every buffer its array, largest first at the lowest place that is free for all its life; returns bytes.

    Args:
        buffers: All of them.
        shared: Whether processes that are forked afterwards write to the same memory.
    """
    alone = sum(buffer.nbytes for buffer in buffers) <= _LITTLE
    placed: list[tuple[int, int, int, Buffer]] = []
    for number, buffer in enumerate(sorted(buffers, key=lambda b: -b.nbytes)):
        start, size = 0, buffer.nbytes
        for begin, end, _, other in placed:
            if (
                begin < start + size
                and start < end
                and (alone or (other.first <= buffer.last and buffer.first <= other.last))
            ):
                start = end
        insort(placed, (start, start + size, number, buffer))
    total = max((end for _, end, _, _ in placed), default=0)
    memory = _shared(total) if shared else aligned(total)
    for begin, _, _, buffer in placed:
        size = prod(buffer.shape) * buffer.dtype.itemsize
        buffer.array = memory[begin : begin + size].view(buffer.dtype).reshape(buffer.shape)
        buffer.alone = alone
    return total


def _shared(size: int) -> Array:
    import mmap

    return np.frombuffer(mmap.mmap(-1, max(1, size)), np.uint8)
