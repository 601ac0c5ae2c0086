"""A program: the steps of a graph for one set of input shapes, on memory that was laid out once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runtime.engine.blas import ONE_THREAD
from runtime.engine.epilogue import Step
from runtime.engine.float_warnings import restore_warnings, suppress_warnings
from runtime.engine.times import Layer
from runtime.engine.work_items import HELP, Shares
from runtime.errors import RunError
from runtime.kernels.base import Array
from runtime.plan import Node

if TYPE_CHECKING:
    from runtime.engine.processes import ProcessPool
    from runtime.engine.threads import ThreadPool

__all__ = ["Program"]


class Program:
    """Runs on its own memory: one thread at a time.

    Attributes:
        nbytes: Size of that memory.
        steps: What is called, one after the other; with the node it belongs to.
        layers: By node name.
        is_tiny: Whether no product is large enough for BLAS to share it among threads, so that it needn't be told.
    """

    def __init__(
        self,
        steps: Sequence[tuple[Node, Step]],
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        nbytes: int,
        layers: Mapping[str, Layer],
        *,
        is_tiny: bool = False,
    ) -> None:
        self.nbytes = nbytes
        self.layers = layers
        self.steps = steps
        self._calls = [step for _, step in steps]
        self._threads = max((len(step.lists) for step in self._calls if isinstance(step, Shares)), default=1)
        self._process_pool = _process_pool(self._calls, self._threads) if self._threads > 1 else None
        self._inputs = list(inputs)
        self._outputs = list(outputs)
        self._is_tiny = is_tiny

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs, as new arrays, of these inputs; RunError if an operator can't work on the numbers in them."""
        self._run(arrays, self._calls, self._process_pool)
        return [place.copy() for place in self._outputs]

    def _run(self, arrays: Sequence[Array], calls: Sequence[Step], pool: ProcessPool | None) -> None:
        self._feed(arrays)
        before = suppress_warnings()
        if not self._is_tiny:
            ONE_THREAD.enter()
        helped = self._threads > 1 and HELP.take()
        try:
            if helped and pool is not None:
                if pool.run():
                    return
                self._feed(arrays)
            self._walk(calls, _thread_pool(self._threads) if helped and pool is None else None)
        finally:
            if helped:
                HELP.give()
            if not self._is_tiny:
                ONE_THREAD.leave()
            restore_warnings(before)

    def _walk(self, calls: Sequence[Step], pool: ThreadPool | None) -> None:
        """All steps, by the caller alone or with helpers."""
        call: Step | None = None
        try:
            if pool is None:
                for call in calls:
                    call()
            else:
                with pool:
                    for call in calls:
                        pool.run(call)
        except (ValueError, TypeError, IndexError) as error:
            node = next(node for node, step in self.steps if step is call)
            raise RunError(f"node {node.name!r} ({node.op}) can't work on this input: {error}") from error

    def _feed(self, arrays: Sequence[Array]) -> None:
        for place, array in zip(self._inputs, arrays):
            np.copyto(place, array)

    def timed(self, arrays: Sequence[Array]) -> list[tuple[Node, float]]:
        """Runs, and says how many seconds each step took, until all that help with it had done their shares."""
        marks: list[float] = []

        def mark() -> None:
            marks.append(time.perf_counter())

        calls = [mark, *(call for step in self._calls for call in (step, mark))]
        pool = _process_pool(calls, self._threads) if self._threads > 1 else None
        for _ in range(1 if pool is None else 2):  # the first run begins with a fork
            marks.clear()
            self._run(arrays, calls, pool)
        last = marks[-len(self.steps) - 1 :]
        return [(node, after - before) for (node, _), before, after in zip(self.steps, last, last[1:])]


def _process_pool(steps: Sequence[Step], size: int) -> ProcessPool | None:
    """Workers where there may be any; imported when needed, as most programs need none."""
    from runtime.engine.processes import ProcessPool, available

    return ProcessPool(steps, size) if available() else None


def _thread_pool(size: int) -> ThreadPool:
    from runtime.engine.threads import ThreadPool

    return ThreadPool(size)
