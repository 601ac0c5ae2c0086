"""A program: the steps of a graph for one set of input shapes, on memory that is laid out once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.engine import depthwise, matrix, pools, winograd
from runtime.engine.arena import allocate
from runtime.engine.blas import ONE_THREAD
from runtime.engine.choice import Policy, conv_tiles
from runtime.engine.context import Bind, Context, clear_halo
from runtime.engine.finish import Step, finish
from runtime.engine.forms import Forms
from runtime.engine.homes import Home, Homes
from runtime.engine.hush import hush, unhush
from runtime.engine.resolve import Spec, resolve
from runtime.engine.shares import HELP, Shares, led, shared
from runtime.engine.tasks import fuse
from runtime.engine.tiling import cuts
from runtime.errors import RunError
from runtime.kernels import KERNELS
from runtime.kernels.base import Array, Kernel
from runtime.plan import Graph, Node
from runtime.weights import Weights

if TYPE_CHECKING:
    from runtime.engine.crew import Crew
    from runtime.engine.team import Team

__all__ = ["Program", "compile_program"]


_TINY = 4096
"""Elements of all arrays together, of which no product makes more than 4096^1.5 = 2^18 multiply-adds."""


class Program:
    """Runs on its own memory: one thread at a time.

    Attributes:
        nbytes: Size of that memory.
        steps: What is called, one after the other; with the node it belongs to.
        products: Multiplications and additions of each convolution and dense layer done directly, by node name.
        is_tiny: Whether no product is large enough for BLAS to share it among threads, so that it needn't be told.
    """

    def __init__(
        self,
        steps: Sequence[tuple[Node, Step]],
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        nbytes: int,
        products: Mapping[str, int],
        *,
        is_tiny: bool = False,
    ) -> None:
        self.nbytes = nbytes
        self.products = products
        self.steps = steps
        self._calls = [step for _, step in steps]
        self._threads = max((len(step.lists) for step in self._calls if isinstance(step, Shares)), default=1)
        self._crew = _crew(self._calls, self._threads) if self._threads > 1 else None
        self._inputs = list(inputs)
        self._outputs = list(outputs)
        self._is_tiny = is_tiny

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs, as new arrays, of these inputs; RunError if an operator can't work on the numbers in them."""
        self._feed(arrays)
        before = hush()
        if not self._is_tiny:
            ONE_THREAD.enter()
        helped = self._threads > 1 and HELP.take()
        try:
            if helped and self._crew is not None:
                if self._crew.run():
                    return [place.copy() for place in self._outputs]
                self._feed(arrays)
            self._walk(_team(self._threads) if helped and self._crew is None else None)
        finally:
            if helped:
                HELP.give()
            if not self._is_tiny:
                ONE_THREAD.leave()
            unhush(before)
        return [place.copy() for place in self._outputs]

    def _walk(self, team: Team | None) -> None:
        """All steps, by the caller alone or with helpers."""
        call: Step | None = None
        try:
            if team is None:
                for call in self._calls:
                    call()
            else:
                with team:
                    for call in self._calls:
                        team.run(call)
        except (ValueError, TypeError, IndexError) as error:
            node = next(node for node, step in self.steps if step is call)
            raise RunError(f"node {node.name!r} ({node.op}) can't work on this input: {error}") from error

    def _feed(self, arrays: Sequence[Array]) -> None:
        for place, array in zip(self._inputs, arrays):
            np.copyto(place, array)

    def timed(self, arrays: Sequence[Array]) -> list[tuple[Node, float]]:
        """Runs, and says how many seconds each step took."""
        self._feed(arrays)
        times = []
        with np.errstate(all="ignore"), ONE_THREAD, _team(self._threads) as team:
            for node, step in self.steps:
                start = time.perf_counter()
                team.run(step)
                times.append((node, time.perf_counter() - start))
        return times


def _crew(steps: Sequence[Step], size: int) -> Crew | None:
    """Workers where there may be any; imported when needed, as most programs need none."""
    from runtime.engine.crew import Crew, available

    return Crew(steps, size) if available() else None


def _team(size: int) -> Team:
    from runtime.engine.team import Team

    return Team(size)


def compile_program(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Spec],
    forms: Forms,
    policy: Policy,
) -> Program:
    """The program of a graph for inputs of these shapes.

    Raises:
        Unresolvable: A shape depends on the numbers in the input.
        ValueError: The shapes don't go together.
    """
    weights = weights if isinstance(weights, Weights) else Weights(weights)
    specs = resolve(graph, weights, inputs)
    tasks = fuse(graph, specs)
    homes = Homes(tasks, specs, graph.inputs, graph.outputs, policy)
    contexts = [Context(task, number, specs, homes, weights, forms, policy) for number, task in enumerate(tasks)]
    binds = [_plan(ctx) for ctx in contexts]
    nbytes = allocate(homes.buffers, shared=any(ctx.is_shared for ctx in contexts))
    steps: list[tuple[Node, Step]] = []
    for name in graph.inputs:
        steps += [(Node("Input", name, (), ()), step) for step in _halo(homes.homes[name])]
    for ctx, bind in zip(contexts, binds):
        made = [step for name in ctx.task.outputs if name for step in _halo(ctx.home(name))]
        steps += [(ctx.task.node, step) for step in led(made, bind())]
    forms.fill(policy.threads)
    places = [homes.homes[name].array for name in graph.inputs]
    results = [_place(name, specs, homes) for name in graph.outputs]
    is_tiny = sum(prod(spec.shape) for spec in specs.values()) <= _TINY
    return Program(steps, places, results, nbytes, dict(map(_products, contexts)), is_tiny=is_tiny)


def _products(ctx: Context) -> tuple[str, int]:
    node = ctx.task.node
    if node.op not in ("Conv", "Dense"):
        return node.name, 0
    return node.name, 2 * prod(ctx.out.shape) * prod(ctx.specs[node.inputs[1]].shape[:-1])


def _place(name: str, specs: Mapping[str, Spec], homes: Homes) -> Array:
    known = specs[name].array
    return homes.homes[name].array if known is None else known


def _halo(home: Home) -> list[Step]:
    return [] if home.buffer.alone or not home.halo else clear_halo(home.padded, home.halo)


def _plan(ctx: Context) -> Bind:
    """The kernel that suits a task."""
    node, out = ctx.task.node, ctx.out
    if ctx.is_alias:
        return list
    if node.op == "Concat":
        return partial(_concat, ctx)
    if out.dtype.kind == "f" and out.dtype.itemsize > 2 and 0 not in out.shape:
        special = _SPECIAL.get(node.op, _none)(ctx)
        if special is not None:
            return special(ctx)
    return _generic(ctx)


def _none(ctx: Context) -> Callable[[Context], Bind] | None:
    return None


def _for_conv(ctx: Context) -> Callable[[Context], Bind] | None:
    kernel, group = ctx.specs[ctx.task.node.inputs[1]], ctx.task.node.attributes.get("group", 1)
    if not kernel.known or len(kernel.shape) != 4 or not _constant_bias(ctx):
        return None
    if group == 1:
        tiles = conv_tiles(ctx.task, ctx.specs, ctx.policy)
        return matrix.convolution if tiles is None else partial(winograd.convolution, tiles=tiles)
    return depthwise.convolution if group == kernel.shape[-1] and kernel.shape[-2] == 1 else None


def _for_dense(ctx: Context) -> Callable[[Context], Bind] | None:
    return matrix.dense if ctx.knows(1) and _constant_bias(ctx) else None


def _for_pool(ctx: Context) -> Callable[[Context], Bind] | None:
    return pools.pool if len(ctx.out.shape) == 4 else None


def _constant_bias(ctx: Context) -> bool:
    return len(ctx.inputs) < 3 or ctx.inputs[2] is None or ctx.knows(2)


def _for_sum(ctx: Context) -> Callable[[Context], Bind]:
    return _arithmetic


def _for_mean(ctx: Context) -> Callable[[Context], Bind] | None:
    axes, x = ctx.known(1), ctx.inputs[0]
    image = x is not None and len(x.shape) == 4 and axes is not None and sorted(axes.tolist()) == [1, 2]
    return pools.global_mean if image else None


_SPECIAL: dict[str, Callable[[Context], Callable[[Context], Bind] | None]] = {
    "Add": _for_sum,
    "AveragePool": _for_pool,
    "Conv": _for_conv,
    "Dense": _for_dense,
    "MaxPool": _for_pool,
    "Mul": _for_sum,
    "ReduceMean": _for_mean,
    "Sub": _for_sum,
}


_UFUNCS = {"Add": np.add, "Mul": np.multiply, "Sub": np.subtract}


def _arithmetic(ctx: Context) -> Bind:
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


def _concat(ctx: Context) -> list[Step]:
    """Copies the parts that don't live in their place already."""
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


def _generic(ctx: Context) -> Bind:
    """The plain kernel, its results copied to their homes; then the tails."""
    node = ctx.task.node
    spare = ctx.spare(1, prod(ctx.out.shape))

    def bind() -> list[Step]:
        inputs = [ctx.array(name) if name else None for name in node.inputs]
        targets = [ctx.array(name) if name else None for name in ctx.task.outputs]
        steps: list[Step] = [partial(_call, KERNELS[node.op], inputs, node.attributes, targets)]
        if ctx.task.tails and targets[0] is not None:
            finishes = ctx.finishes(None, lambda other: other)
            steps += finish(targets[0], targets[0], finishes, next(iter(spare)))
        return steps

    return bind


def _call(
    kernel: Kernel, inputs: Sequence[Array | None], attributes: Mapping[str, object], targets: Sequence[Array | None]
) -> None:
    for target, result in zip(targets, kernel(inputs, attributes)):
        if target is not None:
            np.copyto(target, result)
