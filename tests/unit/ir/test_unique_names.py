"""Names that are given once."""

from __future__ import annotations

import random

from exporter.ir.unique_names import UniqueNames


def _naive(name: str, taken: set[str]) -> str:
    candidate, count = name, 0
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    taken.add(candidate)
    return candidate


def test_the_lowest_free_suffix_is_given() -> None:
    """As by looking at all of them each time, whatever was taken and became free before, `a_1_1` and `a_01` too."""
    rng = random.Random(0)
    names = ["a", "b", "a_1", "a_1_1", "a_2", "a_01", "a_x", "", "_", "_1", "a_²"]
    for _ in range(200):
        given = rng.sample(names, 3)
        found, taken = UniqueNames(given), set(given)
        for _ in range(60):
            if rng.random() < 0.7:
                name = rng.choice(names)
                assert found.take(name) == _naive(name, taken)
            else:
                name = rng.choice([*sorted(taken), "c"])
                found.discard(name)
                taken.discard(name)
        assert set(found) == taken
