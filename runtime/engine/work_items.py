"""Steps that several may take at the same time."""

from __future__ import annotations

import os
from _thread import allocate_lock  # `threading` takes 5 ms to import
from collections.abc import Sequence

from runtime.engine.epilogue import Step

__all__ = ["HELP", "Shares", "led", "shared"]


class Shares:
    """Lists of steps that don't depend on each other. Called, it runs them one after the other."""

    def __init__(self, lists: Sequence[Sequence[Step]]) -> None:
        self.lists = lists

    def __call__(self) -> None:
        for steps in self.lists:
            for step in steps:
                step()


class _Help:
    """Lets one call of the process at a time be helped by others: more would only wait for each other.

    Who computes a share doesn't change a bit of it, so a call without help is slower and nothing else.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As if nobody were helped; for a fork's child, in which nobody is."""
        self._lock = allocate_lock()

    def take(self) -> bool:
        """Whether the caller may have help, who then has to `give` it back."""
        return self._lock.acquire(False)

    def give(self) -> None:
        """Lets the next one have it."""
        self._lock.release()


HELP = _Help()
"""Shared by all programs."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HELP.forget)


def shared(lists: Sequence[Sequence[Step]]) -> list[Step]:
    """The steps of one thread as they are, those of several as one step."""
    return list(lists[0]) if len(lists) == 1 else [Shares(lists)]


def led(before: Sequence[Step], steps: Sequence[Step]) -> list[Step]:
    """The first steps, which nobody has to wait for, and the others."""
    if before and steps and isinstance(steps[0], Shares):
        first, *others = steps[0].lists
        return [Shares([[*before, *first], *others]), *steps[1:]]
    return [*before, *steps]
