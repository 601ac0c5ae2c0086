"""What a reader of the code may rely on in every file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

__all__ = ["LONGEST_FILE", "LONGEST_FUNCTION", "complaints", "exported_names", "leaks"]

LONGEST_FILE = 500
LONGEST_FUNCTION = 60

_UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "being " + "built\\)")))
_PLACES = re.compile(
    r"(?<![\w.~])/(?:work|home|root|Users|mnt|private|builds)/\w"
    r"|\b[A-Z]:\\+Users"
    r"|\b(?:10|127|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b"
    r"|\b[\w-]+\.(?:internal|intranet|corp|lan)\b"
    r"|\bhttps?://(?!(?:www\.apache\.org|git-lfs\.github\.com)/)\S+"
)


def complaints(source: str, *, public: bool) -> list[str]:
    """What is wrong in a file's text; `public` for one that others may import from."""
    tree = ast.parse(source)
    return [
        *_sizes(source, tree),
        *_unfinished(source),
        *(_undocumented(tree) if public else ()),
        *(_unlisted(tree) if public else ()),
    ]


def _sizes(source: str, tree: ast.Module) -> Iterator[str]:
    lines = source.count("\n")
    if lines > LONGEST_FILE:
        yield f"{lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > LONGEST_FUNCTION:
            yield f"{node.name} has {_length(node)} lines"


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines but for the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    return lines - ((first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0)


def _unfinished(source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), 1):
        if _UNFINISHED.search(line):
            yield f"line {number} is unfinished"


def _undocumented(tree: ast.Module) -> Iterator[str]:
    if tree.body and ast.get_docstring(tree) is None:
        yield "the module has no docstring"
    yield from (f"{name} has no docstring" for name, node in _public(tree) if ast.get_docstring(node) is None)


def _public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Functions, classes and their methods, but for methods of classes that take their meaning from `io`."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef) and not any(ast.unparse(base).startswith("io.") for base in node.bases):
            methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
            yield from ((f"{node.name}.{inner.name}", inner) for inner in methods if not inner.name.startswith("_"))


def _unlisted(tree: ast.Module) -> Iterator[str]:
    listed = exported_names(tree)
    if listed is None:
        defines = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
        if defines:
            yield "there is no __all__"
        return
    known = set(_defined(tree))
    yield from (f"__all__ lists {name}, which isn't there" for name in listed if name not in known)


def exported_names(tree: ast.Module) -> list[str] | None:
    """What `__all__` lists; None if there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return None


def _defined(tree: ast.Module) -> Iterator[str]:
    """Every name that a module binds at its top, conditions included."""
    conditional = [inner for node in tree.body if isinstance(node, ast.If) for inner in node.body]
    for node in [*tree.body, *conditional]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


def leaks(text: str) -> list[str]:
    """Paths and hosts of the machine or workplace that a file was written at."""
    return [match.group() for match in _PLACES.finditer(text)]
