"""The minimum cut is one: against every cut of small networks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from exporter.targets.layout.mincut import Network

Edge = tuple[str, str, int]

NODES = ["s", "a", "b", "c", "d", "t"]


def _cost(edges: Iterable[Edge], inside: set[str]) -> int:
    return sum(capacity for start, end, capacity in edges if start in inside and end not in inside)


@given(st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES), st.integers(0, 5)), max_size=16))
def test_no_cut_is_cheaper_and_none_as_cheap_is_smaller(edges: list[Edge]) -> None:
    """Among the cheapest cuts it is the one with the least on the source's side."""
    network = Network()
    for edge in edges:
        network.add(*edge)
    found = {str(node) for node in network.source_side("s", "t")}
    middle = NODES[1:-1]
    sides = [{"s", *chosen} for size in range(len(middle) + 1) for chosen in combinations(middle, size)]
    cheapest = min(_cost(edges, side) for side in sides)
    assert _cost(edges, found) == cheapest
    assert all(found <= side for side in sides if _cost(edges, side) == cheapest)
