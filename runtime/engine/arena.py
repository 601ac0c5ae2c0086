"""One block of memory for all values of a program; two that don't live at the same time may share bytes."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from runtime.engine.memory import aligned
from runtime.kernels.base import Array

__all__ = ["Buffer", "allocate"]

_ALIGNMENT = 64
_LITTLE = 1 << 18
"""Bytes that all buffers together may take without sharing any."""

_MANY = 4096
"""Buffers of which not every one is compared with every other."""


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
    """Gives every buffer its array at a place that is free for all its life; returns bytes.

    Args:
        buffers: All of them.
        shared: Whether processes that are forked afterwards write to the same memory.
    """
    alone = sum(buffer.nbytes for buffer in buffers) <= _LITTLE
    if alone:
        placed = _side_by_side(buffers)
    elif len(buffers) > _MANY:
        placed = _one_after_the_other(buffers)
    else:
        placed = _largest_first(buffers)
    total = max((start + buffer.nbytes for start, buffer in placed), default=0)
    memory = _shared(total) if shared else aligned(total)
    for begin, buffer in placed:
        size = prod(buffer.shape) * buffer.dtype.itemsize
        buffer.array = memory[begin : begin + size].view(buffer.dtype).reshape(buffer.shape)
        buffer.alone = alone
    return total


def _largest_first(buffers: Sequence[Buffer]) -> list[tuple[int, Buffer]]:
    """Places for all buffers, for each the lowest one; as many comparisons as there are pairs of them."""
    placed: list[tuple[int, int, int, Buffer]] = []
    for number, buffer in enumerate(sorted(buffers, key=lambda b: -b.nbytes)):
        start, size = 0, buffer.nbytes
        for begin, end, _, other in placed:
            if begin < start + size and start < end and other.first <= buffer.last and buffer.first <= other.last:
                start = end
        insort(placed, (start, start + size, number, buffer))
    return [(start, buffer) for start, _, _, buffer in placed]


def _side_by_side(buffers: Sequence[Buffer]) -> list[tuple[int, Buffer]]:
    """Places that nothing shares."""
    ordered = sorted(buffers, key=lambda b: -b.nbytes)
    ends = accumulate((buffer.nbytes for buffer in ordered), initial=0)
    return list(zip(ends, ordered))


def _one_after_the_other(buffers: Sequence[Buffer]) -> list[tuple[int, Buffer]]:
    """Places for very many buffers, in little time: each takes that of one of its size whose life is over."""
    placed: list[tuple[int, Buffer]] = []
    living: list[tuple[int, int]] = []
    free: dict[int, list[int]] = {}
    top = 0
    for buffer in sorted(buffers, key=lambda b: b.first):
        while living and living[0][0] < buffer.first:
            start, ended = placed[heappop(living)[1]]
            free.setdefault(ended.nbytes, []).append(start)
        size = buffer.nbytes
        places = free.get(size)
        start = places.pop() if places else top
        top = max(top, start + size)
        heappush(living, (buffer.last, len(placed)))
        placed.append((start, buffer))
    return placed


def _shared(size: int) -> Array:
    import mmap

    return np.frombuffer(mmap.mmap(-1, max(1, size)), np.uint8)
