"""Tasks without a kernel of their own in the engine: sums and products, concatenations, and all other operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np

from runtime.engine.context import Bind, Context
from runtime.engine.epilogue import Step, finish
from runtime.engine.kernels import KERNELS
from runtime.engine.tiling import cuts
from runtime.engine.work_items import shared
from runtime.kernels.base import Array, Kernel

__all__ = ["arithmetic", "concat", "operator"]

_UFUNCS = {"Add": np.add, "Mul": np.multiply, "Sub": np.subtract}


def arithmetic(ctx: Context) -> Bind:
    """A task of a sum, difference or product, with broadcasting."""
    shape = ctx.out.shape
    threads = ctx.workers(0, prod(shape) * (1 + len(ctx.task.tails))) if len(shape) == 4 else 1
    pieces: list[Any] = [(slice(None), rows) for rows in cuts(shape[1], threads)] if threads > 1 else [...]
    spare = ctx.spare(len(pieces), prod(shape))

    def bind() -> list[Step]:
        a, b = (np.broadcast_to(ctx.array(name), shape) for name in ctx.task.node.inputs)
        out = ctx.array(ctx.task.outputs[0])
        lists: list[list[Step]] = [
            [
                partial(_UFUNCS[ctx.task.node.op], a[piece], b[piece], out[piece]),
                *finish(out[piece], out[piece], ctx.finishes(None, itemgetter(piece)), more),
            ]
            for piece, more in zip(pieces, spare)
        ]
        return shared(lists)

    return bind


def concat(ctx: Context) -> Bind:
    """A task of a concatenation: copies the parts that don't live in their place already."""
    return partial(_copies, ctx)


def _copies(ctx: Context) -> list[Step]:
    names, target = ctx.task.node.inputs, ctx.array(ctx.task.outputs[0])
    axis, first = ctx.task.node.attributes["axis"] % target.ndim, 0
    steps: list[Step] = []
    for name in names:
        source = ctx.array(name)
        goal = target[(slice(None),) * axis + (slice(first, first + source.shape[axis]),)]
        first += source.shape[axis]
        if goal.size and not _same_place(source, goal):
            steps.append(partial(np.copyto, goal, source))
    return steps


def _same_place(a: Array, b: Array) -> bool:
    return a.strides == b.strides and a.__array_interface__["data"] == b.__array_interface__["data"]


def operator(ctx: Context) -> Bind:
    """The plain kernel, its results copied to their places; then the tails."""
    node = ctx.task.node
    spare = ctx.spare(1, prod(ctx.out.shape))

    def bind() -> list[Step]:
        inputs = [ctx.array(name) if name else None for name in node.inputs]
        if node.op in ("GRU", "LSTM", "RNN") and ctx.knows(2):
            matrices = ctx.array(node.inputs[2])
            inputs[2] = ctx.forms.once((node.inputs[2], "by columns"), partial(_by_columns, matrices))
        targets = [ctx.array(name) if name else None for name in ctx.task.outputs]
        steps: list[Step] = [partial(_call, KERNELS[node.op], inputs, node.attributes, targets)]
        if ctx.task.tails and targets[0] is not None:
            finishes = ctx.finishes(None, lambda other: other)
            steps += finish(targets[0], targets[0], finishes, next(iter(spare)))
        return steps

    return bind


def _by_columns(matrices: Array) -> Array:
    """The same matrices [D, G*H, H], each column in one piece: so a product with one vector reads them fastest."""
    return np.ascontiguousarray(matrices.swapaxes(1, 2)).swapaxes(1, 2)


def _call(
    kernel: Kernel, inputs: Sequence[Array | None], attributes: Mapping[str, object], targets: Sequence[Array | None]
) -> None:
    for target, result in zip(targets, kernel(inputs, attributes)):
        if target is not None:
            np.copyto(target, result)
