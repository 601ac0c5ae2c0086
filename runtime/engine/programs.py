"""The programs of one model, by the shapes that they are for."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from runtime.engine.choice import Policy
from runtime.engine.program import Program, compile_program
from runtime.engine.resolve import Spec, Unresolvable
from runtime.kernels.base import Array
from runtime.plan import Graph

__all__ = ["Programs"]

_KEPT = 4
"""Combinations of shapes whose programs are kept."""

_ALL: weakref.WeakSet[Programs] = weakref.WeakSet()


class Programs:
    """Makes and lends programs: one to each thread at a time, weights shared by all.

    Args:
        graph: The model.
        weights: Its arrays.
        policy: How convolutions are chosen, and how many threads each program may use.
    """

    def __init__(self, graph: Graph, weights: Mapping[str, Array], policy: Policy) -> None:
        self._graph = graph
        self._weights = weights
        self._policy = policy
        self._packed: dict[object, Any] = {}
        self._idle: OrderedDict[object, list[Program]] = OrderedDict()
        self._impossible = False
        self.unlock()
        _ALL.add(self)

    def unlock(self) -> None:
        """Forgets who has the lock; for a fork's child, in which nobody has."""
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, Array], key: object) -> dict[str, Array] | None:
        """The outputs; None if the graph has to be interpreted with these inputs, of the kinds `key`."""
        program = self.take(feeds, key)
        if program is None:
            return None
        results = program.run(feeds)
        self.give_back(program, key)
        return results

    def take(self, feeds: Mapping[str, Array], key: object) -> Program | None:
        """An idle program for these shapes, or a new one, for the caller alone; None if there is no making one."""
        with self._lock:
            idle = self._idle.get(key)
            if idle:
                return idle.pop()
            return None if self._impossible else self._make(feeds)

    def _make(self, feeds: Mapping[str, Array]) -> Program | None:
        specs = {name: Spec(array.shape, array.dtype) for name, array in feeds.items()}
        try:
            return compile_program(self._graph, self._weights, specs, self._packed, self._policy)
        except Unresolvable:
            self._impossible = True
            return None
        except (ValueError, TypeError, IndexError):
            return None  # the interpreter fails at the same place, and names the node

    def give_back(self, program: Program, key: object) -> None:
        """Makes a program free for others."""
        with self._lock:
            self._idle.setdefault(key, []).append(program)
            self._idle.move_to_end(key)
            while len(self._idle) > _KEPT:
                self._idle.popitem(last=False)


def _unlock() -> None:
    for programs in _ALL:
        programs.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
