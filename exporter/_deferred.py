"""Puts off importing what a dependency imports at once and an export never uses.

onnx-ir does arithmetic on symbolic dimensions with sympy, which takes as long to import as everything else together.
Here both modules are imported when something in them is first asked for; they behave the same then.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

__all__ = ["defer"]


class _Finder:
    """Finds the modules of these names, and no others, as modules that load themselves when they are first used."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def defer(*names: str) -> None:
    """Imports of these modules, which nobody has imported yet, take place when they are first used."""
    sys.meta_path.insert(0, _Finder(frozenset(names)))
