"""What a task's kernel asks for while it is planned: geometry and memory first, arrays once the memory is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from runtime.engine.arena import Buffer
from runtime.engine.epilogue import Finish, Step
from runtime.engine.packed import Packed, empty
from runtime.engine.placement import Location, Placement
from runtime.engine.prepacked import Prepacked
from runtime.engine.resolve import Spec
from runtime.engine.selection import Policy
from runtime.engine.tasks import Task
from runtime.engine.weights import Weights
from runtime.kernels.base import Array

__all__ = ["Bind", "Context", "Spare", "clear_halo"]

_ALL = slice(None)

_PRODUCTS, _MOVED = 40.0, 3.0
"""Multiply-adds and elements per nanosecond of one thread, roughly."""
_LEAST = 60_000.0
"""Nanoseconds of work for each thread that outweigh waking it and waiting for it."""

Bind = Callable[[], "list[Step]"]
"""What planning a task gives: makes its steps, after the buffers have their memory."""


class Context:
    """One task, with the specs and placement of its program.

    Attributes:
        task: The task.
        specs: All that is known of the values.
        forms: What was made of weights, shared by all programs of a model.
        policy: How convolutions are chosen, and how many threads may share the task.
        is_shared: Whether several threads may do.
    """

    def __init__(
        self,
        task: Task,
        number: int,
        specs: Mapping[str, Spec],
        placement: Placement,
        weights: Weights,
        forms: Prepacked,
        policy: Policy,
    ) -> None:
        self.task = task
        self.specs = specs
        self.forms = forms
        self._weights = weights
        self.policy = policy
        self._number = number
        self._placement = placement
        self.is_shared = False

    @property
    def inputs(self) -> list[Spec | None]:
        """The specs of the node's inputs."""
        return [self.specs[name] if name else None for name in self.task.node.inputs]

    @property
    def out(self) -> Spec:
        """The spec of the first output."""
        return self.specs[self.task.outputs[0]]

    @property
    def is_alias(self) -> bool:
        """Whether the output is the input's memory, so that there is nothing to do."""
        return self.task.outputs[0] in self._placement.aliases

    def location(self, name: str) -> Location:
        """Where a value lives."""
        return self._placement.locations[name]

    def packed_once(
        self,
        key: object,
        shape: Sequence[int],
        width: int,
        fill: Callable[[Array, Packed], None],
        *,
        upright: bool = False,
    ) -> Packed:
        """Input 1 in blocks of `width` columns, that of the same key of any program; `fill` is called later.

        Args:
            key: What makes the form another one.
            shape: [..., K, M] of the weights.
            width: Columns of a block.
            fill: Stores input 1 in the blocks.
            upright: Whether the numbers of a column are neighbours, of a single block.
        """

        def made() -> Packed:
            small = self.policy.machine.small_product(self.out.dtype)
            packed = empty(shape, self.out.dtype, width, self.forms.pool, small, upright=upright)
            self.forms.later(partial(self._fill, packed, fill))
            return packed

        return self.forms.once(key, made)

    def _fill(self, packed: Packed, fill: Callable[[Array, Packed], None]) -> None:
        name = self.task.node.inputs[1]
        plain = self.specs[name].array
        assert plain is not None
        fill(plain, packed)
        self._weights.drop(name)

    def array(self, name: str) -> Array:
        """A value's memory, or its contents if they are known."""
        known = self.specs[name].array
        return self.location(name).array if known is None else known

    def knows(self, place: int) -> bool:
        """Whether the contents of an input are known."""
        inputs = self.inputs
        spec = inputs[place] if place < len(inputs) else None
        return spec is not None and spec.known

    def known(self, place: int) -> Array | None:
        """The contents of an input if they are known; None also where the input is left out."""
        inputs = self.inputs
        spec = inputs[place] if place < len(inputs) else None
        return None if spec is None else spec.array

    def workers(self, products: float, moved: float) -> int:
        """How many threads it pays to take, given multiply-adds and the elements that are read and written."""
        threads = max(1, min(self.policy.threads, int((products / _PRODUCTS + moved / _MOVED) / _LEAST)))
        self.is_shared |= threads > 1
        return threads

    def temporary(self, *shape: int) -> Buffer:
        """Memory for this task alone, of the output's element type."""
        return self._placement.temporary(shape, self.out.dtype, self._number)

    def spare(self, threads: int, size: int) -> Spare:
        """Memory for activations that need some, for each thread."""
        wanted = any(tail.op in ("Sigmoid", "Swish") for tail in self.task.tails)
        return Spare(threads, self.temporary(threads, size) if wanted else None)

    def finishes(self, bias: Array | None, block: Callable[[Array], Array], channels: slice = _ALL) -> list[Finish]:
        """Bias and tails, for the part of the output that `block` cuts out, which has these channels."""
        found = [] if bias is None else [Finish("Add", bias[channels])]
        for tail in self.task.tails:
            if tail.op == "Add":
                known = self.specs[tail.other].array
                found.append(
                    Finish("Add", block(self.array(tail.other)) if known is None else known.reshape(-1)[channels])
                )
            else:
                node = tail.nodes[0]
                constants = [self.specs[name].array if name else None for name in node.inputs[1:]]
                found.append(Finish(tail.op, None, constants if tail.op != "Swish" else (), node.attributes))
        return found

    def padded(self, name: str, pads: Sequence[tuple[int, int]]) -> tuple[Callable[[], Array], Bind]:
        """A value with these pads of zeros around it, and the steps that make it: none if it lives that way."""
        location, spec = self.location(name), self.specs[name]
        if not any(map(any, pads)):
            return (lambda: location.array), list
        if location.halo and all(h[0] >= p[0] and h[1] >= p[1] for h, p in zip(location.halo, pads)):
            index = tuple(
                slice(h[0] - p[0], h[0] + size + p[1]) for h, p, size in zip(location.halo, pads, spec.shape[1:-1])
            )
            return (lambda: location.padded[(slice(None), *index)]), list
        sizes = (begin + size + end for (begin, end), size in zip(pads, spec.shape[1:-1]))
        copy = self.temporary(spec.shape[0], *sizes, spec.shape[-1])
        inner = tuple(slice(begin, begin + size) for (begin, _), size in zip(pads, spec.shape[1:-1]))

        def bind() -> list[Step]:
            middle = copy.array[(slice(None), *inner)]
            return [*clear_halo(copy.array, pads), partial(np.copyto, middle, location.array)]

        return (lambda: copy.array), bind


class Spare:
    """Iterates over each thread's memory, or None where there is none, once the buffer has its own."""

    def __init__(self, threads: int, buffer: Buffer | None) -> None:
        self._threads, self._buffer = threads, buffer

    def __iter__(self) -> Iterator[Array | None]:
        return iter([None] * self._threads if self._buffer is None else self._buffer.array)


def clear_halo(padded: Array, pads: Sequence[tuple[int, int]]) -> list[Step]:
    """Zeros around the middle of [N, *spatial, C]: other values may have used the memory before."""
    steps: list[Step] = []
    for axis, (begin, end) in enumerate(pads, 1):
        before = (slice(None),) * axis
        edges = [padded[(*before, slice(begin))], padded[(*before, slice(padded.shape[axis] - end, None))]]
        steps += [partial(edge.fill, 0) for edge in edges if edge.size]
    return steps
