"""The programs of one model, by the shapes that they are for."""

from __future__ import annotations

import os
import weakref
from _thread import allocate_lock  # `threading` takes 5 ms to import
from collections.abc import Sequence

from runtime.bundle import Bundle
from runtime.engine.choice import Policy
from runtime.engine.compiler import compile_program
from runtime.engine.forms import Forms
from runtime.engine.pieces import Pieces, batched, cut
from runtime.engine.program import Program
from runtime.engine.resolve import Spec, Unresolvable
from runtime.kernels.base import Array

__all__ = ["Programs"]

_KEPT = 4
"""Combinations of shapes whose programs are kept."""

_ALL: weakref.WeakSet[Programs] = weakref.WeakSet()


class Programs:
    """Makes and lends programs: one to each thread at a time, weights shared by all.

    Args:
        bundle: The model.
        policy: How convolutions are chosen, and how many threads each program may use.
    """

    def __init__(self, bundle: Bundle, policy: Policy) -> None:
        self._graph = bundle.graph
        self._weights = bundle.weights
        self._inputs = batched(bundle.inputs)
        self._policy = policy
        self._forms = Forms()
        self._impossible = False
        self.unlock()
        _ALL.add(self)

    def unlock(self) -> None:
        """For a fork's child: nobody has the lock, and the programs' memory may be shared with the parent."""
        self._lock = allocate_lock()
        self._idle: dict[object, list[Program | Pieces]] = {}

    def knows(self, key: object) -> bool:
        """Whether a program was made for inputs of the kinds `key`."""
        return key in self._idle

    def take(self, arrays: Sequence[Array], key: object) -> tuple[Program | Pieces | None, list[Program | Pieces]]:
        """An idle program for these inputs, or a new one, for the caller alone; and where it goes afterwards.

        Pieces if the batch is better cut; None if the graph has to be interpreted.
        """
        idle = self._idle.get(key)
        if idle:
            try:
                return idle.pop(), idle
            except IndexError:  # another thread was faster
                pass
        with self._lock:
            program = None if self._impossible else self._made(arrays)
            if program is not None and key not in self._idle:
                while len(self._idle) >= _KEPT:
                    del self._idle[next(iter(self._idle))]
                self._idle[key] = []
            return program, self._idle.get(key, [])

    def _made(self, arrays: Sequence[Array]) -> Program | Pieces | None:
        specs = {name: Spec(array.shape, array.dtype) for name, array in zip(self._graph.inputs, arrays)}
        try:
            pieces = cut(self._graph, self._weights, specs, self._inputs)
            return pieces or compile_program(self._graph, self._weights, specs, self._forms, self._policy)
        except Unresolvable:
            self._impossible = True
            return None
        except (ValueError, TypeError, IndexError):
            return None  # the interpreter fails at the same place, and names the node


def _unlock() -> None:
    for programs in _ALL:
        programs.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
