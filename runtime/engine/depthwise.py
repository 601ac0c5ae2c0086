"""Depthwise convolutions: one contraction over a window view, without copying a patch.

A row of the output [ow * C] is the sum over taps of a stretch of a row of the padded input times the tap's weights,
repeated for every pixel: Y[r, k] = sum over i, j of X[r * s + i * d, j * d * C + k] W[i, j, k]. That is for as many
pixels as `Machine.repeated` allows, and such stretches of a row are an axis of their own. With a horizontal stride, or
in a part of a concatenation, all pixels are. The error is that of kh * kw products.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from operator import itemgetter

import numpy as np
from numpy.lib.stride_tricks import as_strided

from runtime.engine.context import Bind, Context
from runtime.engine.epilogue import Step, collapse, finish
from runtime.engine.selection import conv_window
from runtime.engine.tiling import shares
from runtime.engine.work_items import shared
from runtime.kernels.base import Array
from runtime.kernels.window import Window

__all__ = ["convolution"]


def convolution(ctx: Context) -> Bind:
    """A task of a 2-D convolution with one input channel and one output channel per group."""
    node, win = ctx.task.node, conv_window(ctx.task, ctx.specs)
    kernel, bias = ctx.known(1), ctx.known(2)
    assert kernel is not None
    n, h, w, channels = ctx.out.shape
    source, fill = ctx.padded(node.inputs[0], win.pads)
    threads = ctx.workers(0, n * h * w * channels * prod(win.kernel))
    jobs = shares(n, h, w, 4 * channels, ctx.policy.machine.block, threads=threads)
    largest = max((i.stop - i.start) * (r.stop - r.start) for job in jobs for i, r in job) * w * channels
    room, spare = ctx.temporary(len(jobs), largest), ctx.spare(len(jobs), largest)
    kernel = kernel.reshape(*win.kernel, channels)

    def bind() -> list[Step]:
        padded, target = source(), ctx.array(ctx.task.outputs[0])
        lines = win.strides[1] == 1 and padded.strides[2] == channels * padded.itemsize
        stretches = list(_stretches(padded, win, _pixels(ctx, kernel.size, w) if lines else 1))
        weights = [_repeated(ctx, kernel, windows.shape[-1] // channels) for _, windows in stretches]
        lists: list[list[Step]] = [[] for _ in jobs]
        for steps, job, space, more in zip(lists, jobs, room.array, spare):
            for image, rows in ((image, rows) for images, rows in job for image in range(images.start, images.stop)):
                index = (slice(image, image + 1), rows)
                goal = target[index]
                block = space[: goal.size].reshape(goal.shape) if collapse(goal, -1) is None else goal
                steps += [
                    _contract(windows[image, rows], each, block[0, :, columns])
                    for (columns, windows), each in zip(stretches, weights)
                ]
                steps += finish(block, goal, ctx.finishes(bias, itemgetter(index)), more)
        return [*fill(), *shared(lists)]

    return bind


def _pixels(ctx: Context, size: int, w: int) -> int:
    """For how many of a row's pixels the weights are repeated."""
    most = ctx.policy.machine.repeated
    return min(w, max(1, most // size)) if most else w


def _repeated(ctx: Context, kernel: Array, repeat: int) -> Array:
    """The weights [kh, kw, repeat * C]."""
    if repeat == 1:
        return kernel
    key = (ctx.task.node.name, "depthwise", repeat)
    return ctx.forms.once(key, lambda: np.ascontiguousarray(np.tile(kernel, repeat)))


def _stretches(x: Array, win: Window, pixels: int) -> Iterator[tuple[slice, Array]]:
    """Which columns, and their windows [n, oh, ow / p, kh, kw, p * C]: of p pixels, which are next to each other.

    What is left over at the end of the rows comes as one shorter stretch.
    """
    image, row, pixel, element = x.strides
    taps = (row * win.dilations[0], pixel * win.dilations[1])
    strides = (image, row * win.strides[0], pixel * win.strides[1] * pixels, *taps, element)
    whole = win.out[1] // pixels
    for first, count, size in ((0, whole, pixels), (whole * pixels, 1, win.out[1] - whole * pixels)):
        if size:
            shape = (x.shape[0], win.out[0], count, *win.kernel, size * x.shape[-1])
            seen = as_strided(x[:, :, first * win.strides[1] :], shape, strides, writeable=False)
            yield slice(first, first + count * size), seen


def _contract(windows: Array, weights: Array, block: Array) -> Step:
    rows, count, size = len(windows), windows.shape[1], windows.shape[-1]
    if count == 1:
        return partial(np.einsum, "rijk,ijk->rk", windows[:, 0], weights, out=block.reshape(rows, size))
    return partial(np.einsum, "rwijk,ijk->rwk", windows, weights, out=block.reshape(rows, count, size))
