"""Python names for values: short, from the layers' names, none twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from keyword import iskeyword

__all__ = ["Names"]

_LONGEST = 48
_OPS = re.compile(
    r"(?:add|addv2|batchnorm|biasadd|conv1d|conv2d|conv3d|convolution|depthwise|einsum|fusedbatchnormv?\d?|gemm|matmul|mul"
    r"|relu6?|separable_conv2d|sub|truediv)(?:_\d+)?",
    re.IGNORECASE,
)


class Names:
    """Hands out identifiers.

    Args:
        reserved: Names that are something else.
        values: The names of all values; a scope that most of them are in is left away.
    """

    def __init__(self, reserved: Iterable[str], values: Iterable[str]) -> None:
        self._taken = set(reserved)
        self._given: dict[str, str] = {}
        scopes = Counter(name.partition("/")[0] for name in values if "/" in name)
        scope, count = max(scopes.items(), key=lambda entry: entry[1], default=("", 0))
        self._scope = f"{scope}/" if 2 * count > scopes.total() else ""

    def variable(self, value: str) -> str:
        """The name of a value: after its layer if nothing else has that name, else with its operation."""
        if value not in self._given:
            short = value.removeprefix(self._scope)
            layer, _, last = short.rpartition("/")
            wanted = [layer] if layer and _OPS.fullmatch(last) else []
            self._given[value] = self._unique([*wanted, short])
        return self._given[value]

    def new(self, wanted: str) -> str:
        """A name for something else."""
        return self._unique([wanted])

    def _unique(self, wanted: list[str]) -> str:
        names = [_identifier(name) for name in wanted]
        free = next((name for name in names if name not in self._taken), None)
        number = 2
        while free is None:
            free = None if f"{names[-1]}_{number}" in self._taken else f"{names[-1]}_{number}"
            number += 1
        self._taken.add(free)
        return free


def _identifier(name: str) -> str:
    """Lower-case ASCII letters, digits and underscores; the end of a long name."""
    text = re.sub(r"_+", "_", re.sub(r"[^0-9a-z]", "_", name.lower())).strip("_")
    if len(text) > _LONGEST:
        text = text[-_LONGEST:].partition("_")[2] or text[-_LONGEST:]
    if not text or text[0].isdigit():
        text = f"x_{text}"
    return f"{text}_" if iskeyword(text) or text in ("l", "match", "case") else text
