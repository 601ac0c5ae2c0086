"""Processes that take their shares of a program's steps, where that scales better than threads do.

Measured with ResNet-50, Inception V3 and MobileNetV2 on two cores, against one thread: threads that are handed each
share, 1.4, 1.3 and 1.1 times as fast; threads that wait for each other at barriers, 1.5, 1.4 and 1.2; a forked process
that spins at them, 1.8, 1.8 and 1.7, for it doesn't share the interpreter's lock.

A worker is forked at a program's first run, has the weights by inheritance, and works in the same memory as its parent.
It ends when the program is let go of or the parent ends, and of its own accord once it has been idle for ten seconds: a
fork is dear, as it stops OpenBLAS's threads, which spin for a while when they are started again. If a worker is lost or
stuck, the run is repeated by the parent alone; who computes a share doesn't change a bit of it.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from runtime.engine.blas import ONE_THREAD
from runtime.engine.epilogue import Step
from runtime.engine.work_items import Shares

__all__ = ["ProcessPool", "available"]

_IDLE, _AWAKE = 10.0, 0.002
"""Seconds after which a worker without work ends, and during which it looks for some without sleeping."""
_STUCK = 3.0
"""Seconds that a worker may need longer for its share than its parent for its own, before it is given up."""
_ORDERED = frozenset({"x86_64", "amd64", "i686", "i386"})
"""Machines on which a write is seen after all earlier ones."""
_SPINS = 2000
_LINE = 8
"""Numbers in a cache line, so that nobody's counter shares one with another's."""


class _Lost(Exception):  # noqa: N818
    """A worker isn't there any more, or doesn't move."""


def available() -> bool:
    """Whether a process may be forked here and go on computing, and sees what others write in the order they wrote it.

    macOS's libraries don't allow for the first. The second x86 promises and ARM doesn't: a counter could be seen before
    the numbers that it announces, and Python has no fence to put between.
    """
    return sys.platform == "linux" and hasattr(os, "fork") and os.uname().machine in _ORDERED


class ProcessPool:
    """The parent and its workers for one program.

    Args:
        steps: Of the program, in its order.
        size: Processes, the parent included.
    """

    def __init__(self, steps: Sequence[Step], size: int) -> None:
        self._segments = _segments(steps, size)
        self._counts = memoryview(mmap.mmap(-1, 8 * _LINE * (size + 1))).cast("q")
        self._size = size
        self._end: weakref.finalize[[int, list[tuple[int, int]]], ProcessPool] | None = None
        self._workers: list[tuple[int, int]] = []  # process and the pipe that wakes it

    def run(self) -> bool:
        """All steps once; False if that has to be done again without workers, where the steps' own errors come up."""
        try:
            self._call()
            self._walk(0, self._moved)
        except BaseException as error:
            self.stop()
            if not isinstance(error, Exception):
                raise
            return False
        return True

    def _call(self) -> None:
        """Wakes the workers, or new ones if there are none."""
        for _ in range(2):
            if not self._workers:
                self._start()
            try:
                for _, pipe in self._workers:
                    os.write(pipe, b"\0")
                break
            except BrokenPipeError:  # they had nothing to do for too long
                self.stop()
        self._counts[0] += 1

    def stop(self) -> None:
        """Ends the workers."""
        if self._end is not None:
            self._end()
        self._workers, self._end = [], None

    def _start(self) -> None:
        for place in range(self._size + 1):
            self._counts[place * _LINE] = 0
        self._end = weakref.finalize(self, _stop, os.getpid(), self._workers)
        for place in range(1, self._size):
            reading, writing = os.pipe()
            with warnings.catch_warnings():  # that other threads may hold locks: the worker takes none of theirs
                warnings.simplefilter("ignore", DeprecationWarning)
                process = os.fork()
            if not process:
                self._work(place, reading)
            os.close(reading)
            self._workers.append((process, writing))

    def _work(self, place: int, reading: int) -> None:
        """What a worker does until it ends."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _close_all_but(reading)
            np.seterr(all="ignore")
            ONE_THREAD.enter()
            parent, done = os.getppid(), 0

            def fine(_: float) -> bool:
                return os.getppid() == parent

            while self._called(done, reading) and os.read(reading, 1):
                done += 1
                self._wait(0, done, fine)
                self._walk(place, fine)
        finally:
            os._exit(0)

    def _called(self, done: int, reading: int) -> bool:
        """Waits for the next run; False if none comes."""
        end = time.monotonic() + _AWAKE
        while time.monotonic() < end:
            if self._counts[0] > done:
                return True
            os.sched_yield()
        return bool(select.select([reading], [], [], _IDLE)[0])

    def _walk(self, place: int, fine: Callable[[float], bool]) -> None:
        """One's own share of each segment, and then waits until all have done theirs."""
        counts, mine = self._counts, (place + 1) * _LINE
        others = [(other + 1) * _LINE for other in range(self._size) if other != place]
        for segment in self._segments:
            for step in segment[place]:
                step()
            counts[mine] += 1
            for other in others:
                spins = 0
                while counts[other] < counts[mine]:
                    spins += 1
                    if spins > _SPINS:
                        self._wait(other, counts[mine], fine)

    def _wait(self, other: int, until: int, fine: Callable[[float], bool]) -> None:
        """For longer, and lets others have the processor; as long as it is `fine`, given the seconds since."""
        start = time.monotonic()
        while self._counts[other] < until:
            os.sched_yield()
            if not fine(time.monotonic() - start):
                raise _Lost

    def _moved(self, since: float) -> bool:
        """Whether all workers are there, and none has made the parent wait for too long."""
        return since < _STUCK and all(os.waitpid(process, os.WNOHANG)[0] == 0 for process, _ in self._workers)


def _close_all_but(kept: int) -> None:
    """Lets go of the parent's files, so that a connection or pipe ends when the parent closes it."""
    try:
        found = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    except OSError:
        found = list(range(1024))
    for number in found:
        if number != kept:
            with suppress(OSError):
                os.close(number)


def _stop(parent: int, workers: list[tuple[int, int]]) -> None:
    """Ends the workers of this process; those of the one that it was forked from are none of its business."""
    if os.getpid() != parent:
        return
    for process, pipe in workers:
        with suppress(OSError):
            os.close(pipe)
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _segments(steps: Sequence[Step], size: int) -> list[list[list[Step]]]:
    """What each does between one meeting and the next; what isn't shared is the parent's."""
    segments: list[list[list[Step]]] = []
    for step in steps:
        if isinstance(step, Shares):
            segments.append([list(step.lists[n]) if n < len(step.lists) else [] for n in range(size)])
        elif segments and not any(segments[-1][1:]):
            segments[-1][0].append(step)
        else:
            segments.append([[step], *([] for _ in range(size - 1))])
    return segments
