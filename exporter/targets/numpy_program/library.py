"""The source text of functions that a program needs, with all that they use, out of the modules that define them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["Excerpt", "excerpt", "function_of", "reserved"]

_MODULES = (
    "activation",
    "base",
    "cast",
    "control",
    "convolution",
    "detection",
    "elementwise",
    "erf",
    "indexing",
    "linear",
    "logic",
    "normalization",
    "pooling",
    "recurrent",
    "reduction",
    "resize",
    "shape",
    "window",
)
_OURS = ("runtime", "exporter")
_TABLE = "OPS"


@dataclass(frozen=True)
class _Definition:
    """A name at the top level of a module: its lines, and the names in them."""

    text: str
    uses: frozenset[str]
    is_block: bool


@dataclass(frozen=True)
class Excerpt:
    """Definitions in an order in which each comes after what it needs.

    Attributes:
        imports: (module, name) of what they import.
        text: Their lines.
    """

    imports: frozenset[tuple[str, str]]
    text: str


def excerpt(names: set[str], activations: set[str]) -> Excerpt:
    """What these functions need to run.

    Args:
        names: Functions of `helpers`, or what `function_of` returned.
        activations: The operators that recurrent layers apply to their gates.
    """
    known = dict(_definitions())
    chosen = ", ".join(f'"{op}": {_operators()[op]}' for op in sorted(activations - {"Tanh"}))
    known["ACTIVATIONS"] = _definition(f"ACTIVATIONS: dict[str, Function] = {{{chosen}}}")
    ordered: list[str] = []
    for name in sorted(names):
        _visit(name, known, ordered)
    used = set().union(*(known[name].uses for name in ordered), ordered)
    text, before = "", False
    for name in ordered:  # with the blank lines that a formatter wants
        block = known[name].is_block
        text += ("" if not text else "\n\n\n" if block or before else "\n") + known[name].text
        before = block
    return Excerpt(frozenset(pair for pair in _imports() if pair[1] in used), text)


def function_of(op: str) -> str:
    """The name that the function of an operator has in a program."""
    expression = _operators()[op]
    named = re.fullmatch(r"(?:unary\()?([a-z_]+)\)?", expression)
    return named[1] if named else f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', op).lower()}_op"


def reserved() -> frozenset[str]:
    """Every name that an excerpt may define or import."""
    return frozenset({"ACTIVATIONS", *_definitions(), *(name for _, name in _imports())})


def _visit(name: str, known: dict[str, _Definition], ordered: list[str]) -> None:
    if name in ordered or name not in known:
        return
    for other in sorted(known[name].uses - {name}):
        _visit(other, known, ordered)
    if name not in ordered:
        ordered.append(name)


@cache
def _definitions() -> dict[str, _Definition]:
    """Every definition of the kernels and helpers, and one for each operator whose function has no name of its own."""
    found = {
        "Array": _definition("Array = np.ndarray"),
        "Function": _definition("Function = Callable[..., Any]"),
    }
    for text in _sources():
        for node in ast.parse(text).body:
            name = None
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                name = node.name
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id != _TABLE:
                name = node.target.id
            if name is not None and name not in found:
                found[name] = _definition("\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]))
    for op, expression in _operators().items():
        if function_of(op) not in found:
            found[function_of(op)] = _definition(f"{function_of(op)}: Function = {expression}")
    return found


def _definition(text: str) -> _Definition:
    tree = ast.parse(text)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    uses = frozenset({node.id for node in names} - own)
    return _Definition(text, uses, isinstance(tree.body[0], (ast.FunctionDef, ast.ClassDef)))


@cache
def _operators() -> dict[str, str]:
    """For each operator the expression of its function."""
    found: dict[str, str] = {}
    for text in _sources():
        for node in ast.parse(text).body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == _TABLE:
                assert isinstance(node.value, ast.Dict)
                keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
                found.update({str(key): ast.unparse(value) for key, value in zip(keys, node.value.values, strict=True)})
    return found


@cache
def _imports() -> frozenset[tuple[str, str]]:
    """(module, name) for all names that the modules import from the standard library or NumPy."""
    statements = [node for text in _sources() for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    pairs = {(str(node.module), alias.name) for node in statements for alias in node.names}
    return frozenset(pair for pair in pairs if pair[0].partition(".")[0] not in (*_OURS, "__future__"))


@cache
def _sources() -> tuple[str, ...]:
    kernels = resources.files("runtime.kernels")
    ours = resources.files("exporter.targets.numpy_program").joinpath("helpers.py")
    return tuple(file.read_text("utf-8") for file in (ours, *(kernels.joinpath(f"{name}.py") for name in _MODULES)))
