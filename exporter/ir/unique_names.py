"""Names of which each is given once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["UniqueNames"]


class UniqueNames:
    """A set of names that hands out those that are free, in no time however many are like them.

    Args:
        taken: The names that are taken already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def __iter__(self) -> Iterator[str]:
        return iter(self._taken)

    def take(self, name: str) -> str:
        """The name, with the lowest suffix _1, _2, ... that is free where it is taken; it is taken from then on."""
        count = self._next.get(name, 0)  # the name itself, and all suffixes below this one, are taken
        candidate = f"{name}_{count}" if count else name
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        self._next[name] = count + 1
        return candidate

    def discard(self, name: str | None) -> None:
        """A name is free again."""
        if name not in self._taken or name is None:
            return
        self._taken.remove(name)
        self._next.pop(name, None)
        stem, _, suffix = name.rpartition("_")
        if stem in self._next and suffix.isdecimal():
            self._next[stem] = min(self._next[stem], int(suffix))
