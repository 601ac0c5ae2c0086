"""Pools, first down the columns and then along the rows: k + k passes over long runs of memory instead of k * k."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from runtime.engine.context import Bind, Context
from runtime.engine.epilogue import Step, collapse
from runtime.engine.tiling import cuts
from runtime.engine.work_items import shared
from runtime.kernels.base import Array
from runtime.kernels.pooling import counts
from runtime.kernels.window import Window, window

__all__ = ["global_mean", "pool"]


def pool(ctx: Context) -> Bind:
    """A task of a 2-D MaxPool or AveragePool; padding is left out of every window, or counted as zeros."""
    node, fields = ctx.task.node, ctx.task.node.attributes
    x = ctx.specs[node.inputs[0]]
    win = window(
        x.shape[1:-1], fields["kernel_shape"], fields.get("strides"), fields.get("dilations"), fields.get("pads"),
        fields.get("auto_pad", "NOTSET"),
    )  # fmt: skip
    n, _, columns, channels = x.shape
    middle = ctx.temporary(n, win.out[0], columns, channels)
    threads = ctx.workers(0, prod(middle.shape) * sum(win.kernel))
    largest = node.op == "MaxPool"
    share = None if largest else _share(win, x.shape, include=bool(fields.get("count_include_pad", 0)))

    def bind() -> list[Step]:
        target = ctx.array(ctx.task.outputs[0])
        combine = np.maximum if largest else np.add
        source, between = ctx.array(node.inputs[0]), middle.array
        down = [_along(source[:, :, c], between[:, :, c], win, 0, combine) for c in cuts(columns, threads)]
        right = [_along(between[:, r], target[:, r], win, 1, combine) for r in cuts(win.out[0], threads)]
        steps = [*shared(down), *shared(right)]
        if share is not None:
            steps.append(partial(np.multiply, target, share.astype(x.dtype), target))
        return steps

    return bind


def global_mean(ctx: Context) -> Bind:
    """A task of a ReduceMean over both spatial axes: for each image a row of 1 / (h w) times its pixels as a matrix."""
    name = ctx.task.node.inputs[0]
    n, h, w, channels = ctx.specs[name].shape
    share = np.full((1, h * w), 1 / (h * w), ctx.out.dtype)

    def bind() -> list[Step]:
        target, x = ctx.array(ctx.task.outputs[0]), ctx.array(name)
        pixels, row = collapse(x, n, h * w, channels), collapse(target, n, 1, channels)
        if pixels is not None and row is not None and n == 1 and row.flags.c_contiguous:
            return [partial(np.dot, share[0], pixels[0], row[0, 0])]
        if pixels is not None and row is not None:
            return [partial(np.matmul, share, pixels, row)]
        keep = target.ndim == x.ndim
        return [
            partial(np.add.reduce, x, axis=(1, 2), keepdims=keep, out=target),
            partial(np.multiply, target, share[0, 0], target),
        ]

    return bind


def _share(win: Window, shape: tuple[int, ...], *, include: bool) -> Array:
    """One over the size of each window."""
    return np.asarray(1 / np.full((1,) * 3, prod(win.kernel)) if include else 1 / counts(win, shape[1:-1]))


def _along(x: Array, y: Array, win: Window, axis: int, combine: Callable[..., Any]) -> list[Step]:
    """y becomes the combination of the taps along one axis, each over the outputs whose tap isn't padding."""
    size, out, stride = x.shape[axis + 1], win.out[axis], win.strides[axis]
    reach = []
    for tap in range(win.kernel[axis]):
        shift = tap * win.dilations[axis] - win.pads[axis][0]
        first = max(0, -(shift // stride))
        last = min(out, (size - 1 - shift) // stride + 1)
        if last > first:
            reach.append((first, last, first * stride + shift))
    reach.sort(key=lambda entry: entry[0] - entry[1])
    before = (slice(None),) * (axis + 1)
    steps: list[Step] = []
    if not reach or reach[0][:2] != (0, out):
        steps.append(partial(y.fill, -np.inf if combine is np.maximum else 0))
        reach.insert(0, (0, 0, 0))
    for number, (first, last, start) in enumerate(reach):
        goal = y[(*before, slice(first, last))]
        seen = x[(*before, slice(start, start + (last - first - 1) * stride + 1 if last > first else start, stride))]
        if number:
            steps.append(partial(combine, goal, seen, out=goal))
        elif last > first:
            steps.append(partial(np.copyto, goal, seen))
    return steps
