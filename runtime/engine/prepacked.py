"""Weights in the forms that kernels want them, the same for all programs of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from runtime.engine.blas import ONE_THREAD
from runtime.engine.epilogue import Step
from runtime.engine.memory import Pool
from runtime.engine.work_items import Shares

__all__ = ["Prepacked"]

_T = TypeVar("_T")


class Prepacked:
    """Makes each form once.

    Attributes:
        pool: The memory for them.
    """

    def __init__(self) -> None:
        self.pool = Pool()
        self._made: dict[object, Any] = {}
        self._unfilled: list[Step] = []

    def once(self, key: object, make: Callable[[], _T]) -> _T:
        """What was made under this key, or is now."""
        if key not in self._made:
            self._made[key] = make()
        made: _T = self._made[key]
        return made

    def later(self, step: Step) -> None:
        """Has a step done by `fill`; steps don't depend on each other."""
        self._unfilled.append(step)

    def fill(self, threads: int) -> None:
        """Does the steps that were put off, by that many threads: before any program runs."""
        if not self._unfilled:
            return
        step = Shares([[step] for step in self._unfilled])
        with ONE_THREAD:
            if threads == 1:
                step()
            else:
                from runtime.engine.threads import ThreadPool

                with ThreadPool(min(threads, len(self._unfilled))) as pool:
                    pool.run(step)
        self._unfilled = []
