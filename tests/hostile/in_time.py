"""An end for what may never end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["TooLate", "in_time"]

_PATIENCE = 15
"""How many times longer than its processor time something may take: the machine may be busy, and children may work."""


class TooLate(BaseException):
    """The time is up; nothing that makes errors of the input out of exceptions takes it for one of them."""


@contextmanager
def in_time(seconds: int) -> Iterator[None]:
    """Raises TooLate, which says where, after so many seconds of this process's processor time."""

    def late(number: int, frame: FrameType | None) -> None:
        where = "" if frame is None else f", in {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        raise TooLate(f"no end after {seconds} s{where}")

    before = {number: signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(_PATIENCE * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
