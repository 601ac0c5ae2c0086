"""How much of the code is private functions that one place calls."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable

__all__ = ["called_once"]


def called_once(sources: Iterable[str]) -> tuple[int, int]:
    """Return how many private functions are named once in their module, and how many functions there are in all."""
    once, functions = 0, 0
    for source in sources:
        nodes = list(ast.walk(ast.parse(source)))
        names = [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        uses = Counter(node.id for node in nodes if isinstance(node, ast.Name))
        uses += Counter(node.attr for node in nodes if isinstance(node, ast.Attribute))
        functions += len(names)
        once += sum(name.startswith("_") and not name.startswith("__") and uses[name] == 1 for name in names)
    return once, functions
