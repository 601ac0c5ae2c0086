"""Steps that threads share. Threads start with a run and are gone when it ends, so that none is ever left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from queue import Empty, SimpleQueue

import numpy as np

from runtime.engine.epilogue import Step
from runtime.engine.work_items import Shares

__all__ = ["ThreadPool"]


class ThreadPool:
    """The calling thread and others that help with `Shares` until the `with` block is left.

    Lists that no helper has begun with when the caller is done with its own are the caller's, too: on a busy machine
    nobody waits for a thread that doesn't run. Who runs a list doesn't change what it computes.

    Args:
        size: Threads, the caller's included.
    """

    def __init__(self, size: int) -> None:
        self._work: SimpleQueue[Sequence[Step] | None] = SimpleQueue()
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()
        self._helpers = [
            threading.Thread(target=self._help, name="runtime helper", daemon=True) for _ in range(size - 1)
        ]

    def __enter__(self) -> ThreadPool:
        with suppress(RuntimeError):  # the system allows no more threads: those that there are do it all
            for helper in self._helpers:
                helper.start()
        return self

    def __exit__(self, *_: object) -> None:
        started = [helper for helper in self._helpers if helper.ident is not None]
        for _helper in started:
            self._work.put(None)
        for helper in started:
            helper.join()

    def run(self, step: Step) -> None:
        """A step, if it is one of `Shares` together; what a helper raised is raised here."""
        if not isinstance(step, Shares):
            step()
            return
        first, *others = step.lists
        for steps in others:
            self._work.put(steps)
        mine = 0
        try:
            for steps in chain([first], self._unclaimed()):
                mine += 1
                Shares([steps])()
        finally:
            mine += sum(1 for _ in self._unclaimed())
            errors = [self._ends.get() for _ in range(len(step.lists) - mine)]
        for error in errors:
            if error is not None:
                raise error

    def _unclaimed(self) -> Iterator[Sequence[Step]]:
        """Takes the lists that nobody has begun with."""
        with suppress(Empty):
            while True:
                yield self._work.get_nowait() or ()

    def _help(self) -> None:
        with np.errstate(all="ignore"):
            for steps in iter(self._work.get, None):
                self._ends.put(_outcome(steps))


def _outcome(steps: Sequence[Step]) -> BaseException | None:
    """Runs the steps; whatever they raise is the caller's to raise."""
    try:
        Shares([steps])()
    except BaseException as error:  # noqa: BLE001
        return error
    return None
