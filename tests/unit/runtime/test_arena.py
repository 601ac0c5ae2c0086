"""Places in memory: what lives at the same time shares none, however many there are."""

from __future__ import annotations

import random

import numpy as np
import pytest

from runtime.engine import arena
from runtime.engine.arena import Buffer, allocate


def _buffers(count: int, size: int) -> list[Buffer]:
    rng = random.Random(count)
    found = []
    for task in range(count):
        shape = (rng.choice((1, 2, 3)) * size,)
        found.append(Buffer(shape, np.dtype(np.float32), task, task + rng.choice((1, 1, 2, 40))))
    return found


@pytest.mark.parametrize(("many", "size"), [(4096, 1), (4096, 1000), (0, 1000)], ids=["little", "few", "many"])
def test_what_lives_together_is_apart(many: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each buffer is filled at its first task and is as it was at its last one; there is as much memory as is said."""
    monkeypatch.setattr(arena, "_MANY", many)
    buffers = _buffers(300, size)
    total = allocate(buffers)
    assert all(buffer.alone == (size == 1) for buffer in buffers)
    assert total <= sum(buffer.nbytes for buffer in buffers)
    assert size == 1 or total < sum(buffer.nbytes for buffer in buffers) / 3
    for task in range(400):
        for number, buffer in enumerate(buffers):
            if buffer.first == task:
                buffer.array[...] = number
        for number, buffer in enumerate(buffers):
            if buffer.last == task:
                assert (buffer.array == number).all()


def test_very_many_take_no_time() -> None:
    """A chain of 100,000 values takes the memory of the few that live at a time."""
    chain = [Buffer((4096,), np.dtype(np.float32), task, task + 1) for task in range(100_000)]
    assert allocate(chain) == 2 * 4 * 4096
