"""Makes programs: shapes, tasks, placement, memory, and for each task the kernel that suits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import NamedTuple

from runtime.budget import Budget, TooMuchError
from runtime.engine import depthwise, generic, matrix, pools, winograd
from runtime.engine.arena import allocate
from runtime.engine.context import Bind, Context, clear_halo
from runtime.engine.epilogue import Step
from runtime.engine.placement import Location, Placement
from runtime.engine.prepacked import Prepacked
from runtime.engine.program import Program
from runtime.engine.resolve import Spec, resolve
from runtime.engine.selection import Policy, conv_tiles, name
from runtime.engine.tasks import fuse
from runtime.engine.times import Layer
from runtime.engine.weights import Weights
from runtime.engine.work_items import led
from runtime.kernels.base import Array
from runtime.plan import Graph, Node

__all__ = ["compile_program"]

_TINY = 4096
"""Elements of all arrays together, of which no product makes more than 4096^1.5 = 2^18 multiply-adds."""


def compile_program(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Spec],
    forms: Prepacked,
    policy: Policy,
    budget: Budget | None = None,
) -> Program:
    """The program of a graph for inputs of these shapes.

    Raises:
        Unresolvable: A shape depends on the numbers in the input.
        ValueError: The shapes don't go together, or the budget doesn't allow what it takes.
    """
    weights = weights if isinstance(weights, Weights) else Weights(weights)
    specs = resolve(graph, weights, inputs, budget)
    tasks = fuse(graph, specs)
    placement = Placement(tasks, specs, graph.inputs, graph.outputs, policy)
    contexts = [Context(task, number, specs, placement, weights, forms, policy) for number, task in enumerate(tasks)]
    kernels = [_kernel(ctx) for ctx in contexts]
    binds = [kernel.plan(ctx) for kernel, ctx in zip(kernels, contexts)]
    nbytes = allocate(placement.buffers, shared=any(ctx.is_shared for ctx in contexts))
    if budget is not None and nbytes > budget.most_bytes:
        raise TooMuchError(f"it would take {nbytes} bytes, and {budget.most_bytes} are allowed", "most_bytes")
    steps: list[tuple[Node, Step]] = []
    for given in graph.inputs:
        steps += [(Node("Input", given, (), ()), step) for step in _halo(placement.locations[given])]
    for ctx, bind in zip(contexts, binds):
        made = [step for output in ctx.task.outputs if output for step in _halo(ctx.location(output))]
        steps += [(ctx.task.node, step) for step in led(made, bind())]
    forms.fill(policy.threads)
    places = [placement.locations[given].array for given in graph.inputs]
    results = [_place(output, specs, placement) for output in graph.outputs]
    layers = {ctx.task.node.name: Layer(kernel.name, _products(ctx)) for kernel, ctx in zip(kernels, contexts)}
    is_tiny = sum(prod(spec.shape) for spec in specs.values()) <= _TINY
    return Program(steps, places, results, nbytes, layers, is_tiny=is_tiny)


def _products(ctx: Context) -> int:
    node = ctx.task.node
    if node.op not in ("Conv", "Dense"):
        return 0
    return 2 * prod(ctx.out.shape) * prod(ctx.specs[node.inputs[1]].shape[:-1])


def _place(output: str, specs: Mapping[str, Spec], placement: Placement) -> Array:
    known = specs[output].array
    return placement.locations[output].array if known is None else known


def _halo(location: Location) -> list[Step]:
    return [] if location.buffer.alone or not location.halo else clear_halo(location.padded, location.halo)


class _Kernel(NamedTuple):
    """What a task is done by.

    Attributes:
        name: For people.
        plan: Asks for memory, and gives what makes the steps.
    """

    name: str
    plan: Callable[[Context], Bind]


def _kernel(ctx: Context) -> _Kernel:
    """The kernel that suits a task."""
    node, out = ctx.task.node, ctx.out
    if ctx.is_alias:
        return _Kernel("view", lambda _: list)
    if node.op == "Concat":
        return _Kernel("in place", generic.concat)
    special = None
    if node.op in _SPECIAL and out.dtype.kind == "f" and out.dtype.itemsize > 2 and 0 not in out.shape:
        special = _SPECIAL[node.op](ctx)
    return special or _Kernel("operator", generic.operator)


def _for_conv(ctx: Context) -> _Kernel | None:
    kernel, group = ctx.specs[ctx.task.node.inputs[1]], ctx.task.node.attributes.get("group", 1)
    if not kernel.known or len(kernel.shape) != 4 or not _constant_bias(ctx):
        return None
    if group == 1:
        tiles = conv_tiles(ctx.task, ctx.specs, ctx.policy)
        if tiles is None:
            return _Kernel("direct", matrix.convolution)
        return _Kernel(f"winograd {name(tiles)}", partial(winograd.convolution, tiles=tiles))
    is_depthwise = group == kernel.shape[-1] and kernel.shape[-2] == 1
    return _Kernel("einsum", depthwise.convolution) if is_depthwise else None


def _for_dense(ctx: Context) -> _Kernel | None:
    return _Kernel("direct", matrix.dense) if ctx.knows(1) and _constant_bias(ctx) else None


def _for_pool(ctx: Context) -> _Kernel | None:
    return _Kernel("slices", pools.pool) if len(ctx.out.shape) == 4 else None


def _constant_bias(ctx: Context) -> bool:
    return len(ctx.inputs) < 3 or ctx.inputs[2] is None or ctx.knows(2)


def _for_arithmetic(ctx: Context) -> _Kernel:
    return _Kernel("ufunc", generic.arithmetic)


def _for_mean(ctx: Context) -> _Kernel | None:
    axes, x = ctx.known(1), ctx.inputs[0]
    image = x is not None and len(x.shape) == 4 and axes is not None and sorted(axes.tolist()) == [1, 2]
    return _Kernel("mean of pixels", pools.global_mean) if image else None


_SPECIAL: dict[str, Callable[[Context], _Kernel | None]] = {
    "Add": _for_arithmetic,
    "AveragePool": _for_pool,
    "Conv": _for_conv,
    "Dense": _for_dense,
    "MaxPool": _for_pool,
    "Mul": _for_arithmetic,
    "ReduceMean": _for_mean,
    "Sub": _for_arithmetic,
}
