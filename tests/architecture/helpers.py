"""How much of the code is private functions that one place calls."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable

__all__ = ["called_once"]


def called_once(sources: Iterable[str]) -> tuple[int, int]:
    """Return how many private functions have one caller in their module and no other use, of how many functions.

    A function that is named as a value (an entry of a table, a callback) is no helper of a single caller.
    """
    once, functions = 0, 0
    for source in sources:
        nodes = list(ast.walk(ast.parse(source)))
        names = [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        uses = Counter(_name(node) for node in nodes)
        calls = Counter(_name(node.func) for node in nodes if isinstance(node, ast.Call))
        functions += len(names)
        private = [name for name in names if name.startswith("_") and not name.startswith("__")]
        once += sum(uses[name] == calls[name] == 1 for name in private)
    return once, functions


def _name(node: ast.AST) -> str:
    """Return the name that an expression reads: the last part of a dotted one, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
