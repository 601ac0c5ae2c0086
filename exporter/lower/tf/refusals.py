"""Collects all that has no translation, for one error."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.errors import UnsupportedError

__all__ = ["Refusals"]

_NAMED = 3

_HINTS: dict[str, str] = {
    "If": "A branch on data can't be exported",
    "Switch": "A branch on data can't be exported",
    "Merge": "A branch on data can't be exported",
    "StatelessIf": "A branch on data can't be exported",
    "While": "A loop with parts missing can't be exported",
    "StatelessWhile": "A loop with parts missing can't be exported",
    "Enter": "A loop with parts missing can't be exported",
    "Placeholder": "A placeholder that isn't an input needs --set NAME=VALUE, or has to be named by --input",
    "RandomUniform": "Randomness that is part of the model can't be exported",
    "RandomStandardNormal": "Randomness that is part of the model can't be exported",
}

_CHOOSE = "Choose --output (or --input) so that these nodes are left out"


class Refusals:
    """Nodes that can't be lowered, by op type and reason, in the order in which they are met."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str | None], list[str]] = {}
        self._before: list[str] = []

    def add(self, op: str, node: str, reason: str | None, *, before: Iterable[str] = ()) -> None:
        """Notes a node; without a reason its whole op type is unknown. `before`: what of the model it works on."""
        self._before += [name for name in before if name not in self._before]
        names = self._nodes.setdefault((op, reason), [])
        if node not in names:
            names.append(node)

    def check(self) -> None:
        """UnsupportedError if anything was noted: each op type with how many, the first names, and the reason."""
        if not self._nodes:
            return
        total = sum(map(len, self._nodes.values()))
        found = "; ".join(_line(op, reason, names) for (op, reason), names in self._nodes.items())
        hints = dict.fromkeys(_HINTS[op] for op, reason in self._nodes if op in _HINTS)
        nodes = "1 node has" if total == 1 else f"{total} nodes have"
        raise UnsupportedError(f"{nodes} no translation: {found}", hint=". ".join([*hints, self._choose()]))

    def _choose(self) -> str:
        if not 0 < len(self._before) <= _NAMED:
            return _CHOOSE
        return f"{_CHOOSE}; up to there: {' '.join(f'--output {name}' for name in self._before)}"


def _line(op: str, reason: str | None, names: list[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    because = f": {reason}" if reason else ""
    return f"{len(names)} {op} ({', '.join(names[:_NAMED])}{more}){because}"
