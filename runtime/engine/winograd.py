"""Convolutions with stride 1 by Winograd's minimal filtering: tiles of m outputs per axis from n = m + r - 1 inputs.

With d a tile of the input [n, n] and g the kernel [r, r], for each pair of channels, Y = A^T [(G g G^T) * (B^T d B)] A:
n * n products instead of m * m * r * r. The transforms take one axis after the other, as matrix products with all tiles
and channels; the sums over input channels are n * n matrix products. The error grows with the tile. With 64 to 512
channels it is, in units of the direct convolution's, 1 to 2 for 3 x 3 taps with m = 2, 4 to 14 with m = 4, and 20 to
50 with m = 6; for 1 x 3 taps with m = 4 it is 3 to 4; for 1 x 7 with m = 2, 3 to 6, and with m = 4, 9 to 18; for 5 x 5
with m = 2, 3 to 12, and with m = 4, 9 to 31.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache, partial
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from runtime.engine.context import Bind, Context
from runtime.engine.epilogue import Step, collapse, finish
from runtime.engine.packed import Packed, multiply, width_for
from runtime.engine.selection import Tiles
from runtime.engine.tiling import cuts, shares
from runtime.engine.work_items import shared
from runtime.kernels.base import Array

__all__ = ["convolution", "transforms"]

_STRETCH = 1 << 10

_MANY = 128
"""Tiles that a product should have where BLAS copies the weights, which takes as long as it."""

_POINTS = (0.0, 1.0, -1.0, 2.0, -0.5, -2.0, 0.5, -1.5, 0.75)
"""In this order: 2 and -1/2 together have a third of the error of 2 and -2, or of 1/2 and -1/2."""


@cache
def transforms(m: int, r: int) -> tuple[Array, Array, Array]:
    """A^T [m, n], G [n, r] and B^T [n, n] in float64, from polynomials at n - 1 points and infinity.

    The factors that B^T and G may share out are powers of two, so that B^T has no more rounding than need be.
    """
    n = m + r - 1
    if r == 1:
        return np.eye(m), np.ones((1, 1)), np.eye(m)
    whole = _powers(n, n)
    b, g = np.linalg.inv(whole).T, _powers(n, r)
    scale = 2.0 ** np.round(np.log2(np.sqrt(np.abs(b).max(axis=1, keepdims=True))))
    return _powers(n, m).T, g * scale, b / scale


def _powers(n: int, columns: int) -> Array:
    """The value of each power at each point; at infinity that of the highest alone."""
    table = np.array([[point**power for power in range(columns)] for point in _POINTS[: n - 1]])
    return np.vstack([table, np.eye(columns)[-1]])


def convolution(ctx: Context, tiles: Tiles) -> Bind:
    """A task of a 2-D convolution with one group and stride 1.

    Threads share the tiles. Where those are few, they share the products by points, and only the rest by tiles.
    """
    channels, filters = ctx.specs[ctx.task.node.inputs[1]].shape[2:]
    span, n, (h, w) = prod(tiles.spans), ctx.out.shape[0], tiles.counts
    threads = ctx.workers(span * n * h * w * channels * filters, span * channels * filters)
    by_points = threads > 1 and n * h * w < _MANY * threads
    weights = _packed(ctx, tiles, (channels, filters))
    machine = ctx.policy.machine
    least = _MANY if weights.whole else machine.tiles
    elements, alone = span * (2 * channels + filters), 1 if by_points else threads
    jobs = shares(n, h, w, elements, machine.block, threads=alone, least=least)
    largest = max((i.stop - i.start) * (r.stop - r.start) for job in jobs for i, r in job) * w
    source, fill = ctx.padded(ctx.task.node.inputs[0], tiles.pads)
    memory = ctx.temporary(len(jobs), 2, span * largest * max(channels, filters))
    spare = ctx.spare(len(jobs), largest * filters)

    def bind() -> list[Step]:
        view, steps = _view(source(), tiles), fill()
        lists: list[list[Step]] = [[] for _ in jobs]
        for made, job, both, more in zip(lists, jobs, memory.array, spare):
            for part in job:
                block = _Block(ctx, tiles, weights, view, part, both, more)
                if by_points:
                    steps += block.shared(threads)
                else:
                    made += block.steps()
        return steps if by_points else [*steps, *shared(lists)]

    return bind


class _Block:
    """The steps for the tiles of some images and rows.

    They go back and forth between two pieces of memory: from the gathered inputs of the tiles [n, n, tiles, C] to those
    transformed along each axis, to products [n, n, tiles, M], to the outputs [m, m, tiles, M].
    """

    def __init__(
        self,
        ctx: Context,
        tiles: Tiles,
        weights: Packed,
        view: Array,
        part: tuple[slice, slice],
        memory: Array,
        spare: Array | None,
    ) -> None:
        self._ctx, self._tiles, self._weights, self._view, self._part = ctx, tiles, weights, view, part
        self._spare, (self._bias, filters) = spare, (ctx.known(2), ctx.out.shape[-1])
        self._axes = [axis for axis, taps in enumerate(tiles.taps) if taps > 1]
        seen = view[:, :, part[0], part[1]].shape
        count, channels, spans = prod(seen[2:5]), seen[5], tiles.spans
        shapes = [(*spans, count, channels)] * (len(self._axes) + 1) + [(*spans, count, filters)]
        sizes = [(tiles.sizes[0], spans[1]), tiles.sizes] if len(self._axes) == 2 else [tiles.sizes]
        shapes += [(*size, count, filters) for size in sizes]
        self._stages = [piece[: prod(s)].reshape(s) for piece, s in zip(itertools.cycle(memory), shapes)]

    def steps(self) -> list[Step]:
        """All of them."""
        points = slice(0, prod(self._tiles.spans))
        return [*self._forward(self._part), *self._multiply(points), *self._back(self._part)]

    def shared(self, threads: int) -> list[Step]:
        """All of them, for threads that wait for each other before and after the products."""
        images, rows = self._part
        if images.stop - images.start > 1:
            pieces = [(piece, rows) for piece in cuts(images.stop, threads, images.start)]
        else:
            pieces = [(images, piece) for piece in cuts(rows.stop, threads, rows.start)]
        products = cuts(prod(self._tiles.spans), threads)
        return [
            *shared(list(map(self._forward, pieces))),
            *shared(list(map(self._multiply, products))),
            *shared(list(map(self._back, pieces))),
        ]

    def _range(self, piece: tuple[slice, slice]) -> slice:
        """The tiles of some of the images, or some of the rows of the only one."""
        (images, rows), (h, w) = self._part, (self._part[1].stop - self._part[1].start, self._tiles.counts[1])
        first = ((piece[0].start - images.start) * h + piece[1].start - rows.start) * w
        return slice(first, first + (piece[0].stop - piece[0].start) * (piece[1].stop - piece[1].start) * w)

    def _forward(self, piece: tuple[slice, slice]) -> list[Step]:
        seen, where = self._view[:, :, piece[0], piece[1]], self._range(piece)
        stages = [stage[:, :, where] for stage in self._stages[: len(self._axes) + 1]]
        copies = collapse(stages[0], *seen.shape)
        assert copies is not None
        return [partial(np.copyto, copies, seen), *self._transformed(stages, inwards=True)]

    def _transformed(self, stages: Sequence[Array], *, inwards: bool) -> list[Step]:
        """From each stage to the next by the matrix of the next axis."""
        steps: list[Step] = []
        for axis, source, goal in zip(self._axes, stages, stages[1:]):
            after, _, before = transforms(self._tiles.sizes[axis], self._tiles.taps[axis])
            matrix = (before if inwards else after).astype(source.dtype)
            pair = [stage.reshape(*stage.shape[:2], -1) for stage in (source, goal)]
            pair = [stage.swapaxes(0, 1) for stage in pair] if axis == 0 else pair
            steps.append(partial(np.matmul, matrix, pair[0], pair[1]))
        return steps

    def _multiply(self, points: slice) -> list[Step]:
        spread, products = (
            stage.reshape(-1, *stage.shape[2:]) for stage in self._stages[len(self._axes) : len(self._axes) + 2]
        )
        steps, at_one = multiply(spread[points], self._weights.points(points), products[points]), _one(self._tiles)
        if self._bias is not None and points.start <= at_one < points.stop:
            steps.append(partial(np.add, products[at_one], self._bias, products[at_one]))
        return steps

    def _back(self, piece: tuple[slice, slice]) -> list[Step]:
        where, y = self._range(piece), self._ctx.array(self._ctx.task.outputs[0])
        stages = [stage[:, :, where] for stage in self._stages[len(self._axes) + 1 :]]
        filters = y.shape[-1]
        results = collapse(stages[-1], *self._tiles.sizes, *self._view[:, :, piece[0], piece[1]].shape[2:5], filters)
        assert results is not None
        spare = None if self._spare is None else self._spare[where.start * filters : where.stop * filters]
        return [
            *self._transformed(stages, inwards=False),
            *_scatter(self._ctx, results, y, piece, self._tiles, spare),
        ]


def _one(tiles: Tiles) -> int:
    """The product at the point 1 of both axes: A^T adds it to every output, so the bias may be added to it alone."""
    row, column = (0 if taps == 1 else 1 for taps in tiles.taps)
    return row * tiles.spans[1] + column


def _view(x: Array, tiles: Tiles) -> Array:
    """The tiles [n, n, N, rows, columns, C] of a padded input, without copying."""
    image, row, column, channel = x.strides
    shape = (*tiles.spans, x.shape[0], *tiles.counts, x.shape[-1])
    strides = (row, column, image, row * tiles.sizes[0], column * tiles.sizes[1], channel)
    return as_strided(x, shape, strides, writeable=False)


def _packed(ctx: Context, tiles: Tiles, shape: tuple[int, int]) -> Packed:
    """The kernel transformed, [n * n, C, M]."""
    width = width_for(*shape, ctx.out.shape[0] * prod(tiles.counts), ctx.out.dtype, ctx.policy.machine)
    key = (ctx.task.node.name, "winograd", tiles.sizes, width)
    (_, g, _), (_, g2, _) = (transforms(m, r) for m, r in zip(tiles.sizes, tiles.taps))
    matrix = np.kron(g, g2)
    return ctx.packed_once(key, (len(matrix), *shape), width, partial(_transform, matrix))


def _transform(matrix: Array, kernel: Array, packed: Packed) -> None:
    """A float64 matrix [n * n, r * r] times the kernel's taps, rounded once; a stretch of channels at a time."""
    channels = kernel.shape[2]
    for first, blocks in packed.parts:
        size = blocks.shape[-1]
        some = max(1, _STRETCH // size)
        for number, start in itertools.product(range(blocks.shape[1]), range(0, channels, some)):
            rows, begin = slice(start, start + some), first + number * size
            taps = kernel[:, :, rows, begin : begin + size].astype(np.float64)
            goal = blocks[:, number, rows]
            goal[...] = (matrix @ taps.reshape(matrix.shape[1], -1)).reshape(goal.shape)


def _scatter(
    ctx: Context, results: Array, y: Array, part: tuple[slice, slice], tiles: Tiles, spare: Array | None
) -> list[Step]:
    """Outputs [mh, mw, N, rows, columns, M] of tiles go where they belong; what lies past the end is left out.

    All whole tiles are stored at once, those that are cut off at the end of an axis on their own.
    """
    images, rows = part
    steps: list[Step] = []
    for down, right in itertools.product(
        _whole_and_cut(rows, tiles.sizes[0], y.shape[1]),
        _whole_and_cut(slice(0, tiles.counts[1]), tiles.sizes[1], y.shape[2]),
    ):
        place = partial(_tiled, images=images, down=down, right=right, sizes=tiles.sizes)
        inner = slice(down[0].start - rows.start, down[0].stop - rows.start)
        block = results[: down[1], : right[1], :, inner, right[0]]
        steps += finish(block, place(y), ctx.finishes(None, place), spare)
    return steps


def _whole_and_cut(tiles: slice, size: int, end: int) -> list[tuple[slice, int]]:
    """The tiles whose outputs all lie before the end, and the one that the end cuts: which, and how much is left."""
    whole = max(tiles.start, min(tiles.stop, end // size))
    found = [(slice(tiles.start, whole), size), (slice(whole, tiles.stop), end - whole * size)]
    return [(which, left) for which, left in found if which.stop > which.start and left > 0]


def _tiled(
    y: Array, *, images: slice, down: tuple[slice, int], right: tuple[slice, int], sizes: tuple[int, int]
) -> Array:
    """Those tiles of an array [N, h, w, M] as [mh, mw, N, rows, columns, M], without copying."""
    (rows, mh), (columns, mw) = down, right
    first = y[images, rows.start * sizes[0] :, columns.start * sizes[1] :]
    image, row, column, channel = first.strides
    shape = (mh, mw, first.shape[0], rows.stop - rows.start, columns.stop - columns.start, y.shape[3])
    return as_strided(first, shape, (row, column, image, row * sizes[0], column * sizes[1], channel))
