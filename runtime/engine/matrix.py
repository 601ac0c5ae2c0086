"""Convolutions and dense layers as matrix products over blocks of output rows.

Y[rows, M] = P[rows, K] W[K, M], K = taps * C. A kernel of one tap needs no patches P: they are the input itself. Where
a row of taps is but a few numbers long, it is P^T [K + 1, rows] that is made, by long runs, with ones for the bias. The
error is that of a sum of K products in the order that BLAS takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

import numpy as np

from runtime.engine.context import Bind, Context
from runtime.engine.epilogue import Step, collapse, finish
from runtime.engine.packed import Packed, multiply, pack, pieces, width_for
from runtime.engine.selection import conv_window
from runtime.engine.tiling import blocks, shares
from runtime.engine.work_items import shared
from runtime.kernels.base import Array

__all__ = ["convolution", "dense", "product"]

_SMALL = 1 << 20
"""Elements of a matrix that isn't used as it was loaded, where it is multiplied as a whole."""
_SHORT = 12
"""Numbers in a row of taps that are too few to be copied as one run."""
_MANY, _FEW = 1024, 48
"""Rows that a block should have: where BLAS copies the weights for each block, and where it doesn't."""


def convolution(ctx: Context) -> Bind:
    """A task of a 2-D convolution with one group."""
    x, win = ctx.task.node.inputs[0], conv_window(ctx.task, ctx.specs)
    source, fill = ctx.padded(x, win.pads)
    if prod(win.kernel) == 1:
        work = product(ctx, lambda: source()[win.tap_slices((0, 0))])
    else:
        short = win.kernel[-1] * ctx.specs[x].shape[-1] <= _SHORT
        work = product(ctx, lambda: win.view(source()), upright=short)
    return lambda: [*fill(), *work()]


def dense(ctx: Context) -> Bind:
    """A task of a product over the last axis: what isn't an image is one row of pixels."""
    x = ctx.task.node.inputs[0]
    shape = ctx.specs[x].shape
    return product(ctx, lambda: ctx.array(x) if len(shape) == 4 else ctx.array(x).reshape(1, 1, -1, shape[-1]))


def product(ctx: Context, patches: Callable[[], Array], *, upright: bool = False) -> Bind:
    """A task whose result is patches [n, h, w, ..., C] times the kernel as a matrix, block by block.

    Threads share the longer side of the result: rows, or columns where there are fewer rows than those.

    Args:
        ctx: The task.
        patches: Gives the patches; what of them isn't a matrix is copied.
        upright: Whether the copy is P^T.
    """
    bias, last = ctx.known(2), None
    if upright and bias is not None:
        bias, last = None, bias
    lines_of = _columns if upright else _lines
    *taps, filters = ctx.specs[ctx.task.node.inputs[1]].shape
    depth = prod(taps) + (last is not None)
    shape = ctx.out.shape if len(ctx.out.shape) == 4 else (1, 1, prod(ctx.out.shape[:-1]), filters)
    rows = prod(shape[:-1])
    threads = ctx.workers(rows * depth * filters, depth * filters)
    by_columns = threads > 1 and rows < filters
    weights = _packed(ctx, (depth, filters), last, rows, threads if by_columns else 1)
    jobs = _jobs(ctx, shape, depth, weights, threads, by_columns=by_columns)
    largest = max((_rows(shape, part) for job, _ in jobs for part in job), default=0)
    scratch, room = ctx.temporary(len(jobs), largest * depth), ctx.temporary(len(jobs), largest * filters)
    spare = ctx.spare(len(jobs), largest * filters)
    count = pieces(depth, rows, filters, ctx.policy.machine) if weights.small else 1
    sums = ctx.temporary(len(jobs), count if count > 1 else 0, rows * filters)

    def bind() -> list[Step]:
        source, target = patches(), ctx.array(ctx.task.outputs[0]).reshape(shape)
        lists: list[list[Step]] = [[] for _ in jobs]
        for steps, (job, mine), copy, space, pile, more in zip(
            lists, jobs, scratch.array, room.array, sums.array, spare
        ):
            for part in job:
                rows, goal = _rows(shape, part), target[part][..., mine.columns]
                lines, copying = lines_of(source[part], rows, depth, copy)
                width = goal.shape[-1]
                flat = collapse(goal, rows, width)
                block = goal if flat is not None else space[: goal.size].reshape(goal.shape)
                flat = block.reshape(rows, width) if flat is None else flat
                some = pile.reshape(-1)[: count * rows * width].reshape(count, rows, width) if count > 1 else None
                steps += [*copying, *multiply(lines, mine, flat, some)]
                finishes = ctx.finishes(bias, partial(_cut, shape, part, mine.columns), mine.columns)
                steps += finish(block, goal, finishes, more)
        return shared(lists)

    return bind


def _packed(ctx: Context, shape: tuple[int, int], last: Array | None, rows: int, threads: int) -> Packed:
    """The weights as a matrix of that shape, with its last row if that is the bias.

    Those of a single row lie by columns, each of which makes a number of the product, unless they are many.
    """
    width = width_for(*shape, rows, ctx.out.dtype, ctx.policy.machine, threads)
    key = (ctx.task.node.name, "direct", width, rows == 1)

    def matrix(kernel: Array) -> Array:
        plain = kernel.reshape(-1, shape[1])
        return plain if last is None else np.concatenate([plain, last.reshape(1, -1)])

    if width < shape[1] or prod(shape) <= _SMALL:
        upright = rows == 1 and width == shape[1]
        return ctx.packed_once(key, shape, width, lambda kernel, to: pack(matrix(kernel), to), upright=upright)
    kernel = ctx.known(1)
    assert kernel is not None
    small = ctx.policy.machine.small_product(ctx.out.dtype)
    return ctx.forms.once(key, lambda: Packed(((0, matrix(kernel)[None]),), small))


def _jobs(
    ctx: Context, shape: tuple[int, ...], depth: int, weights: Packed, threads: int, *, by_columns: bool
) -> list[tuple[list[tuple[slice, slice]], Packed]]:
    """Images and rows of the product for each thread, and its weights."""
    n, h, w, filters = shape
    block = ctx.policy.machine.block
    least = _MANY if weights.whole else _FEW
    if by_columns:
        every = list(blocks(slice(0, n), slice(0, h), w, depth + filters, block, least=least))
        return [(every, mine) for mine in weights.shares(threads)]
    parts = shares(n, h, w, depth + filters, block, threads=threads, least=least)
    return [(job, weights) for job in parts]


def _rows(shape: tuple[int, ...], part: tuple[slice, slice]) -> int:
    images, rows = part
    return len(range(*images.indices(shape[0]))) * len(range(*rows.indices(shape[1]))) * shape[2]


def _cut(shape: tuple[int, ...], part: tuple[slice, slice], columns: slice, other: Array) -> Array:
    return other.reshape(shape)[part][..., columns]


def _lines(source: Array, rows: int, depth: int, scratch: Array) -> tuple[Array, list[Step]]:
    """The patch matrix, and the step that copies it if there has to be one."""
    flat = collapse(source, rows, depth)
    if flat is not None and flat.strides[1] == flat.itemsize:
        return flat, []
    copy = scratch[: rows * depth]
    return copy.reshape(rows, depth), [partial(np.copyto, copy.reshape(source.shape), source)]


def _columns(source: Array, rows: int, depth: int, scratch: Array) -> tuple[Array, list[Step]]:
    """The patch matrix as the transpose of a copy, in which ones follow the taps if the depth has room for them."""
    copy, taps = scratch[: rows * depth].reshape(depth, rows), prod(source.shape[3:])
    inner = copy[:taps].reshape(*source.shape[3:], *source.shape[:3])
    steps: list[Step] = [partial(np.copyto, inner, source.transpose(3, 4, 5, 0, 1, 2))]
    return copy.T, [*steps, partial(copy[taps:].fill, 1)] if taps < depth else steps
