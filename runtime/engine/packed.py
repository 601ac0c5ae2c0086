"""Matrix products with weights that lie in memory the way that they are multiplied.

Y[rows, M] = X[rows, K] W[K, M], the error being that of a sum of K products in the order that BLAS takes them.

BLAS copies both factors into an order of its own first, which takes as long as the product where there are few rows.
Some have kernels that do without for small products (`Machine.small`), and reach with them what they otherwise reach
for large matrices alone. So W is kept in blocks of columns, and X taken in stretches of rows, such that each pair is
small; one call of `np.matmul` goes through all of them. Elsewhere there is one block, and one stretch.

Where a long sum has few rows, some are faster with parts of it: Y = sum over p of X[:, p] W[p], p a range of K.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from runtime.engine.epilogue import Step
from runtime.engine.machine import Machine
from runtime.engine.memory import Pool
from runtime.engine.tiling import cuts
from runtime.kernels.base import Array

__all__ = ["Packed", "empty", "multiply", "pack", "pieces", "width_for"]

_ROWS, _FEW = 12, 64
"""Rows that a stretch should have at least, and rows that are better taken in one stretch, of narrower blocks."""
_LONG = 1024
"""How many numbers a long sum adds up at least."""
_PILE = 1 << 20
"""Numbers in all parts of the results together."""


class Packed(NamedTuple):
    """Weights [..., K, M] as arrays [..., blocks, K, width], which together have all the columns.

    Attributes:
        parts: The arrays, each with its first column.
        small: Multiply-adds up to which BLAS multiplies without copies of its factors.
    """

    parts: tuple[tuple[int, Array], ...]
    small: int = 0

    def shares(self, count: int) -> list[Packed]:
        """The blocks, dealt out to at most so many, to each those of neighbouring columns."""
        total = sum(blocks.shape[-3] for _, blocks in self.parts)
        return [Packed(tuple(self._between(cut.start, cut.stop)), self.small) for cut in cuts(total, count)]

    def _between(self, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        """The parts of what has the blocks of these numbers alone."""
        before = 0
        for first, blocks in self.parts:
            begin, end = max(0, start - before), min(blocks.shape[-3], stop - before)
            if begin < end:
                yield first + begin * blocks.shape[-1], blocks[..., begin:end, :, :]
            before += blocks.shape[-3]

    @property
    def columns(self) -> slice:
        """The columns from the first to the last, which have no gaps."""
        first, (last, blocks) = self.parts[0][0], self.parts[-1]
        return slice(first, last + blocks.shape[-3] * blocks.shape[-1])

    @property
    def whole(self) -> bool:
        """Whether BLAS copies them before it multiplies."""
        _, blocks = self.parts[0]
        return bool(blocks.shape[-2] * blocks.shape[-1] > self.small)

    def points(self, which: slice) -> Packed:
        """Those of some of the products, along the first axis."""
        return Packed(tuple((first, blocks[which]) for first, blocks in self.parts), self.small)


def empty(
    shape: Sequence[int], dtype: np.dtype[Any], width: int, pool: Pool, small: int = 0, *, upright: bool = False
) -> Packed:
    """Room for weights [..., K, M] in blocks of that many columns; or in one with its columns first in memory."""
    *lead, depth, columns = shape
    if upright:
        return Packed(((0, pool.empty((*lead, 1, columns, depth), dtype).swapaxes(-1, -2)),), small)
    count, rest = divmod(columns, width)
    parts = [(0, pool.empty((*lead, count, depth, width), dtype))]
    if rest:
        parts.append((count * width, pool.empty((*lead, 1, depth, rest), dtype)))
    return Packed(tuple(parts), small)


def pack(matrix: Array, packed: Packed) -> None:
    """Stores weights [K, M] in the blocks."""
    for first, blocks in packed.parts:
        for number, block in enumerate(blocks):
            begin = first + number * block.shape[-1]
            np.copyto(block, matrix[:, begin : begin + block.shape[-1]])


def width_for(depth: int, columns: int, rows: int, dtype: np.dtype[Any], machine: Machine, threads: int = 1) -> int:
    """How many columns a block has, for products of that many rows, and threads that share columns if several."""
    limit = 0 if rows == 1 else machine.small_product(dtype) // depth
    fitting = [width for width in machine.widths if width * min(rows, _ROWS) <= limit]
    if rows <= _FEW:
        fitting = [width for width in fitting if width * rows <= limit and width >= 32] or fitting
    if not fitting:
        return columns // threads if columns % threads == 0 else columns
    if columns <= max(fitting):
        return columns
    return next((width for width in fitting if columns % width == 0), fitting[0])


def pieces(depth: int, rows: int, columns: int, machine: Machine) -> int:
    """How many parts a sum of that many products should have, for a result of so many rows and columns."""
    if not (1 < rows <= _FEW and depth >= _LONG and machine.depth > 0 and depth % machine.depth == 0):
        return 1
    most = min(depth // machine.depth, _PILE // (rows * columns))
    return next((count for count in range(most, 1, -1) if depth // machine.depth % count == 0), 1)


def multiply(x: Array, weights: Packed, out: Array, room: Array | None = None) -> list[Step]:
    """Steps that make out[..., rows, M] of x [..., rows, K]; `out` begins with the first column of the weights.

    Args:
        x, weights, out: The factors and the product.
        room: For matrices, memory [pieces, rows, M] for parts of the sum, if it is to be made of such.
    """
    if room is not None:
        return _in_pieces(x, weights, out, room)
    steps: list[Step] = []
    start, rows = weights.parts[0][0], x.shape[-2]
    if x.ndim == 2 and weights.parts[0][1].shape[0] == len(weights.parts) == 1 and out.flags.c_contiguous:
        whole = weights.parts[0][1][0]
        if rows == 1:
            return [partial(np.dot, x[0], whole, out[0])]
        if len(_stretches(rows, whole.size, weights.small)) == 1:
            return [partial(np.dot, x, whole, out)]
    for first, blocks in weights.parts:
        count, depth, width = blocks.shape[-3:]
        columns = out[..., first - start : first - start + count * width]
        for part, size in _stretches(rows, depth * width, weights.small):
            source, goal = x[..., part, :], columns[..., part, :]
            source = source.reshape(*source.shape[:-2], 1, -1, size, depth)
            goal = goal.reshape(*goal.shape[:-2], -1, size, count, width)
            goal = np.moveaxis(goal, -2, -4)
            steps.append(partial(np.matmul, source, blocks[..., None, :, :], goal))
    return steps


def _in_pieces(x: Array, weights: Packed, out: Array, room: Array) -> list[Step]:
    steps: list[Step] = []
    start, (count, rows, _) = weights.parts[0][0], room.shape
    source = x.reshape(rows, count, 1, -1).transpose(1, 2, 0, 3)
    for first, blocks in weights.parts:
        number, depth, width = blocks.shape
        goal = room[..., first - start : first - start + number * width].reshape(count, rows, number, width)
        some = blocks.reshape(number, count, depth // count, width).swapaxes(0, 1)
        steps.append(partial(np.matmul, source, some, goal.swapaxes(1, 2)))
    return [*steps, partial(np.add.reduce, room, 0, None, out)]


def _stretches(rows: int, each: int, limit: int) -> Sequence[tuple[slice, int]]:
    """Rows in stretches of one size, and what is left over: each as a slice and the size within it."""
    most = limit // each
    if rows * each <= limit or most < 1:
        return [(slice(0, rows), rows)]
    size = -(-rows // -(-rows // most))
    size = size if size <= 4 or rows % size == 0 else min(most, -(-size // 4) * 4)
    whole = rows // size * size
    return [(slice(0, whole), size), *([(slice(whole, rows), rows - whole)] if whole < rows else [])]
