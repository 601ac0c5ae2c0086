"""Steps that several may take at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.engine.finish import Step

__all__ = ["Shares", "led", "shared"]


class Shares:
    """Lists of steps that don't depend on each other. Called, it runs them one after the other."""

    def __init__(self, lists: Sequence[Sequence[Step]]) -> None:
        self.lists = lists

    def __call__(self) -> None:
        for steps in self.lists:
            for step in steps:
                step()


def shared(lists: Sequence[Sequence[Step]]) -> list[Step]:
    """The steps of one thread as they are, those of several as one step."""
    return list(lists[0]) if len(lists) == 1 else [Shares(lists)]


def led(before: Sequence[Step], steps: Sequence[Step]) -> list[Step]:
    """The first steps, which nobody has to wait for, and the others."""
    if before and steps and isinstance(steps[0], Shares):
        first, *others = steps[0].lists
        return [Shares([[*before, *first], *others]), *steps[1:]]
    return [*before, *steps]
