"""Depthwise convolutions: one contraction over a window view, without copying a patch.

A row of the output [ow * C] is the sum over taps of a stretch of a row of the padded input times the tap's weights,
repeated for every pixel: Y[r, k] = sum over i, j of X[r * s + i * d, j * d * C + k] W[i, j, k]. With a horizontal
stride, or in a part of a concatenation, the pixels stay an axis of their own. The error is that of kh * kw products.
"""

from __future__ import annotations

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
    jobs = shares(n, h, w, 4 * channels, threads=threads)
    largest = max((i.stop - i.start) * (r.stop - r.start) for job in jobs for i, r in job) * w * channels
    room, spare = ctx.temporary(len(jobs), largest), ctx.spare(len(jobs), largest)
    kernel = kernel.reshape(*win.kernel, channels)

    def bind() -> list[Step]:
        padded, target = source(), ctx.array(ctx.task.outputs[0])
        lines = win.strides[1] == 1 and padded.strides[2] == channels * padded.itemsize
        windows = _lines(padded, win) if lines else win.view(padded)
        weights = _repeated(ctx, kernel, w) if lines else kernel
        lists: list[list[Step]] = [[] for _ in jobs]
        for steps, job, space, more in zip(lists, jobs, room.array, spare):
            for image, rows in ((image, rows) for images, rows in job for image in range(images.start, images.stop)):
                index = (slice(image, image + 1), rows)
                goal = target[index]
                block = space[: goal.size].reshape(goal.shape) if collapse(goal, -1) is None else goal
                steps.append(_contract(windows[image, rows], weights, block[0]))
                steps += finish(block, goal, ctx.finishes(bias, itemgetter(index)), more)
        return [*fill(), *shared(lists)]

    return bind


def _repeated(ctx: Context, kernel: Array, repeat: int) -> Array:
    """The weights [kh, kw, ow * C]."""
    key = (ctx.task.node.name, "depthwise", repeat)
    return ctx.forms.once(key, lambda: np.ascontiguousarray(np.tile(kernel, repeat)))


def _lines(x: Array, win: Window) -> Array:
    """The windows [n, oh, kh, kw, ow * C] of an x whose pixels are next to each other."""
    image, row, pixel, element = x.strides
    shape = (x.shape[0], win.out[0], *win.kernel, win.out[1] * x.shape[-1])
    strides = (image, row * win.strides[0], row * win.dilations[0], pixel * win.dilations[1], element)
    return as_strided(x, shape, strides, writeable=False)


def _contract(windows: Array, weights: Array, block: Array) -> Step:
    if windows.ndim == 5:
        return partial(np.einsum, "rwijc,ijc->rwc", windows, weights, out=block)
    return partial(np.einsum, "rijk,ijk->rk", windows, weights, out=block.reshape(block.shape[0], -1))
