"""The programs of one model, by the shapes that they are for."""

from __future__ import annotations

import os
import weakref
from _thread import allocate_lock  # `threading` takes 5 ms to import
from collections.abc import Sequence
from typing import TypeVar

from runtime.budget import Budget
from runtime.bundle import Bundle
from runtime.engine.compiler import compile_program
from runtime.engine.micro_batches import Pieces, batched, cut
from runtime.engine.prepacked import Prepacked
from runtime.engine.program import Program
from runtime.engine.resolve import Spec, Unresolvable
from runtime.engine.selection import Policy
from runtime.engine.weights import Weights
from runtime.errors import FAILURES
from runtime.kernels.base import Array

__all__ = ["Programs"]

_KEPT, _KNOWN = 4, 64
"""Combinations of shapes whose programs are kept, and those that are remembered to be cut."""

_T = TypeVar("_T")

_ALL: weakref.WeakSet[Programs] = weakref.WeakSet()


class Programs:
    """Makes and lends programs: one to each thread at a time, weights shared by all.

    Args:
        bundle: The model.
        policy: How convolutions are chosen, and how many threads each program may use.
    """

    def __init__(self, bundle: Bundle, policy: Policy) -> None:
        self._graph = bundle.graph
        weights = bundle.weights
        self._weights = weights if isinstance(weights, Weights) else Weights(weights)
        self._inputs = batched(bundle.inputs)
        self._policy = policy
        self._forms = Prepacked()
        self._impossible = False
        self.unlock()
        _ALL.add(self)

    def unlock(self) -> None:
        """For a fork's child: nobody has the lock, and the programs' memory may be shared with the parent."""
        self._lock = allocate_lock()
        self._idle: dict[object, list[Program]] = {}
        self._cut: dict[object, Pieces] = {}

    def knows(self, key: object) -> bool:
        """Whether inputs of the kinds `key` were found good."""
        return key in self._idle or key in self._cut

    def take(
        self, arrays: Sequence[Array], key: object, budget: Budget | None = None
    ) -> tuple[Program | Pieces | None, list[Program]]:
        """An idle program for these inputs, or a new one, for the caller alone; and where it goes afterwards.

        Pieces if the batch is better cut; None if the graph has to be interpreted.
        """
        idle = self._idle.get(key)
        if idle:
            try:
                return idle.pop(), idle
            except IndexError:  # another thread was faster
                pass
        pieces = self._cut.get(key)
        if pieces is not None:
            return pieces, []
        with self._lock:
            made = None if self._impossible else self._made(arrays, budget)
            if isinstance(made, Pieces):
                _keep(self._cut, key, made, _KNOWN)
            elif made is not None and key not in self._idle:
                _keep(self._idle, key, [], _KEPT)
            return made, self._idle.get(key, [])

    def _made(self, arrays: Sequence[Array], budget: Budget | None) -> Program | Pieces | None:
        specs = {name: Spec(array.shape, array.dtype) for name, array in zip(self._graph.inputs, arrays)}
        try:
            pieces = cut(self._graph, self._weights, specs, self._inputs, budget)
            return pieces or compile_program(self._graph, self._weights, specs, self._forms, self._policy, budget)
        except Unresolvable:
            self._impossible = True
            return None
        except FAILURES:
            return None  # the interpreter fails at the same place, and names the node


def _keep(known: dict[object, _T], key: object, value: _T, most: int) -> None:
    """Remembers a value, and forgets the oldest ones."""
    known[key] = value
    while len(known) > most:
        del known[next(iter(known))]


def _unlock() -> None:
    for programs in _ALL:
        programs.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
