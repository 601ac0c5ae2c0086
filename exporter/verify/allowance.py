"""How long a verification may take, and how far it is: what is the least telling is left out first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Allowance", "listening", "stage"]

_LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


class Allowance:
    """Seconds that a verification may take, from now on.

    Attributes:
        left_out: What was left out, in words, for lack of time.

    Args:
        seconds: How many; None for as many as it takes.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self.left_out: list[str] = []

    def allows(self, what: str) -> bool:
        """Whether there is time left for this; if there isn't, it is noted."""
        if self._end is None or time.monotonic() < self._end:
            return True
        self.left_out.append(what)
        return False


def stage(text: str) -> None:
    """Tells whoever listens what is done now."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(text)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Lets somebody hear of each stage, for as long as it takes."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
