"""The cheapest way to part a small graph in two (Edmonds and Karp)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

__all__ = ["Network"]


class Network:
    """Directed edges with whole capacities between nodes of any kind."""

    def __init__(self) -> None:
        self._left: dict[Hashable, dict[Hashable, int]] = {}

    def add(self, start: Hashable, end: Hashable, capacity: int) -> None:
        """An edge; parallel ones add up."""
        forward = self._left.setdefault(start, {})
        forward[end] = forward.get(end, 0) + capacity
        self._left.setdefault(end, {}).setdefault(start, 0)

    def source_side(self, source: Hashable, sink: Hashable) -> set[Hashable]:
        """The smallest set around `source` that a minimum cut leaves on its side. Uses the network up."""
        while True:
            before = self._reach(source, sink)
            if sink not in before:
                return set(before)
            path: list[tuple[Hashable, Hashable]] = []
            node = sink
            while before[node] != node:
                path.append((before[node], node))
                node = before[node]
            amount = min(self._left[start][end] for start, end in path)
            for start, end in path:
                self._left[start][end] -= amount
                self._left[end][start] += amount

    def _reach(self, source: Hashable, sink: Hashable) -> dict[Hashable, Hashable]:
        """What can still be reached from `source`, and from where first; ends at `sink`."""
        before: dict[Hashable, Hashable] = {source: source}
        queue = deque([source])
        while queue:
            node = queue.popleft()
            for end, capacity in self._left.get(node, {}).items():
                if capacity > 0 and end not in before:
                    before[end] = node
                    if end == sink:
                        return before
                    queue.append(end)
        return before
