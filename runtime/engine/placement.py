"""Where each value lives: in a buffer of its own, in the middle of a padded one, or in its part of a concatenation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from runtime.engine.arena import Buffer
from runtime.engine.resolve import Spec
from runtime.engine.selection import Policy, conv_pads
from runtime.engine.tasks import Task
from runtime.kernels.base import Array

__all__ = ["ALIASES", "Location", "Placement"]

ALIASES = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
"""Operators whose result is the same memory under another shape."""


class Location(NamedTuple):
    """A place in a buffer.

    Attributes:
        buffer: The memory.
        view: From the buffer's array to the value's.
        halo: Zeros around the value along its spatial axes, as (begin, end) of each.
        whole: Whether it is all of the buffer, so that it may be reshaped.
    """

    buffer: Buffer
    view: Callable[[Array], Array]
    halo: tuple[tuple[int, int], ...] = ()
    whole: bool = True

    @property
    def array(self) -> Array:
        """The value's memory, once the buffers have theirs."""
        return self.view(self.buffer.array)

    @property
    def padded(self) -> Array:
        """The value with its halo."""
        return self.buffer.array


class Placement:
    """Finds a location for every value that tasks make or read.

    Concatenations are laid out from the last to the first, so that one inside another becomes a part of a part.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        specs: Mapping[str, Spec],
        inputs: Sequence[str],
        outputs: Sequence[str],
        policy: Policy,
    ) -> None:
        self.specs = specs
        self._policy = policy
        self.locations: dict[str, Location] = {}
        self.aliases: set[str] = set()  # values that are their input's memory under another shape
        self.buffers: list[Buffer] = []
        self._made = {name: number for number, task in enumerate(tasks) for name in task.outputs if name}
        self._made.update(dict.fromkeys(inputs, -1))
        self._users: dict[str, list[Task]] = {}
        for task in tasks:
            for name in task.inputs:
                self._users.setdefault(name, []).append(task)
        for task in reversed(tasks):
            self._place(task)
        for name in inputs:
            self._location(name)
        self._set_lives(tasks, outputs)

    def _place(self, task: Task) -> None:
        for name in task.outputs:
            if name and task.node.op not in ALIASES:
                self._location(name)
        if task.node.op == "Concat":
            self._divide(task)

    def _location(self, name: str) -> Location:
        if name not in self.locations:
            spec, halo = self.specs[name], self._wanted_halo(name)
            shape = spec.shape
            if any(map(any, halo)):
                sizes = (begin + size + end for size, (begin, end) in zip(shape[1:-1], halo))
                shape = (shape[0], *sizes, shape[-1])
            inner = (slice(None), *(slice(a, a + size) for size, (a, _) in zip(spec.shape[1:-1], halo)), slice(None))
            buffer = self._buffer(shape, spec, self._made[name])
            whole = shape == spec.shape
            self.locations[name] = Location(buffer, _same if whole else partial(_part, inner, _same), halo, whole)
        return self.locations[name]

    def _buffer(self, shape: tuple[int, ...], spec: Spec, at: int) -> Buffer:
        buffer = Buffer(shape, spec.dtype, at, at)
        self.buffers.append(buffer)
        return buffer

    def _wanted_halo(self, name: str) -> tuple[tuple[int, int], ...]:
        """The pads of the convolutions that read a value, if nobody else does."""
        users = self._users.get(name, [])
        if not users or not all(self._pads_first(task, name) for task in users):
            return ()
        pads = [conv_pads(task, self.specs, self._policy) for task in users]
        return tuple((max(a for a, _ in axis), max(b for _, b in axis)) for axis in zip(*pads))

    def _pads_first(self, task: Task, name: str) -> bool:
        spatial = task.node.op == "Conv" and len(self.specs[name].shape) == 4
        return spatial and task.node.inputs[0] == name and any(map(any, conv_pads(task, self.specs, self._policy)))

    def _divide(self, task: Task) -> None:
        """Gives the parts of a concatenation of channels their places in it."""
        names, out = task.node.inputs, task.outputs[0]
        rank = len(self.specs[out].shape)
        if task.node.attributes["axis"] not in (-1, rank - 1):
            return
        location, first = self.locations[out], 0
        for name in names:
            size = self.specs[name].shape[-1]
            if names.count(name) == 1 and name not in self.locations and self._made.get(name, -1) >= 0:
                part = partial(_part, (Ellipsis, slice(first, first + size)), location.view)
                self.locations[name] = Location(location.buffer, part, whole=False)
                location.buffer.live(self._made[name])
            first += size

    def alias(self, task: Task) -> bool:
        """Makes the result of a reshape the same memory as its input, if that is possible."""
        source = self.locations.get(task.node.inputs[0])
        out = task.outputs[0]
        if source is None or not source.whole or out in self.locations:
            return False
        self.locations[out] = Location(source.buffer, partial(_reshaped, self.specs[out].shape))
        self.aliases.add(out)
        return True

    def _set_lives(self, tasks: Sequence[Task], outputs: Sequence[str]) -> None:
        for number, task in enumerate(tasks):
            if task.node.op in ALIASES and not self.alias(task):
                self._location(task.outputs[0])
            for name in (*task.inputs, *task.outputs):
                if name in self.locations:
                    self.locations[name].buffer.live(number)
        for name in outputs:
            if name in self.locations:
                self.locations[name].buffer.live(len(tasks))

    def temporary(self, shape: Sequence[int], dtype: object, task: int) -> Buffer:
        """A buffer for one task alone."""
        buffer = Buffer(tuple(shape), dtype, task, task)  # type: ignore[arg-type]
        self.buffers.append(buffer)
        return buffer


def _same(array: Array) -> Array:
    return array


def _part(index: tuple[Any, ...], before: Callable[[Array], Array], array: Array) -> Array:
    part: Array = before(array)[index]
    return part


def _reshaped(shape: tuple[int, ...], array: Array) -> Array:
    return array.reshape(shape)
