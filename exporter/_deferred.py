"""Puts off importing what onnx-ir imports at once and an export never uses.

onnx-ir does arithmetic on symbolic dimensions with sympy, whose import takes as long as all others together. While
onnx-ir is being imported, it gets stand-ins, which nobody else ever sees; each turns to the module itself when
something in it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

__all__ = ["defer_symbols"]

_DEFERRED = ("sympy", "onnx_ir._symbolic_shapes")


class _StandIn(ModuleType):
    """Has what the module of its name has."""

    def __getattr__(self, name: str) -> Any:
        self.leave()
        return getattr(import_module(self.__name__), name)

    def leave(self) -> None:
        """From now on an import of the name gives the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


class _Loader(SourceFileLoader):
    """Loads onnx-ir with stand-ins for what isn't imported yet."""

    def exec_module(self, module: ModuleType) -> None:
        stand_ins = [_StandIn(name) for name in _DEFERRED if name not in sys.modules]
        sys.modules.update((stand_in.__name__, stand_in) for stand_in in stand_ins)
        try:
            super().exec_module(module)
        finally:
            for stand_in in stand_ins:
                stand_in.leave()


class _Finder:
    """Finds onnx-ir, and nothing else."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "onnx_ir" else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def defer_symbols() -> None:
    """Lets onnx-ir, if nobody has imported it yet, do without sympy until there are symbols to calculate with."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
