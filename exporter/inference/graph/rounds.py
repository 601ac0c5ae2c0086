"""Bounds on searches that go on until nothing changes any more."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.errors import LimitError

__all__ = ["MOST_ROUNDS", "rounds"]

MOST_ROUNDS = 10_000
"""Far more than a graph needs, each of whose rounds resolves something: conditions, calls, loops, flags."""


def rounds(what: str, most: int = MOST_ROUNDS) -> Iterator[int]:
    """Counts the rounds of a search from 0 on.

    Args:
        what: What is searched for, in words.
        most: How many rounds there may be.

    Raises:
        LimitError: There would be another one.
    """
    yield from range(most)
    raise LimitError(
        f"{what} was still going on after {most} rounds", hint="Name tensors that come earlier with --output"
    )
