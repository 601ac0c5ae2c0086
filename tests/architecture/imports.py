"""Which part of the project may import which, and what else each may import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

__all__ = ["LAYERS", "PACKAGES", "modules", "violations"]

LAYERS = (
    ("runtime", "exporter.report.decisions", "exporter.report.html_table"),
    (
        "exporter._deferred",
        "exporter._version",
        "exporter.errors",
        "exporter.report.records",
        "exporter.command_line.streams",
        "exporter.command_line.text_table",
    ),
    ("exporter.foreign", "exporter.formats", "exporter.report"),
    ("exporter.sources", "exporter.ir"),
    ("exporter.options", "exporter.nn", "exporter.report.specs"),
    ("exporter.inference",),
    ("exporter.lower.tf", "exporter.lower.keras"),
    ("exporter.lower",),
    ("exporter.zoo", "exporter.passes", "exporter.targets", "exporter.verify"),
    ("exporter.data", "exporter.frontend"),
    ("exporter.verify.references.keras_library",),
    ("exporter.verify.references.tensorflow_session", "exporter.verify.layerwise"),
    (
        "exporter.run_files",
        "exporter.verify.model_files",
        "exporter.inspection",
        "exporter.checked",
        "exporter.rounded",
    ),
    ("exporter.api", "exporter.pages"),
    ("exporter.command_line", "exporter"),
    ("exporter.__main__",),
)
"""From the bottom to the top. A part imports from the layers below its own, never from a sibling in the same layer."""

PACKAGES = {
    "click": ("exporter.command_line",),
    "google": ("exporter.formats", "exporter.verify"),
    "google_crc32c": ("exporter.formats",),
    "h5py": ("exporter.formats",),
    "ml_dtypes": ("exporter.formats", "exporter.passes"),
    "jinja2": ("exporter.pages",),
    "markupsafe": ("exporter.pages",),
    "numpy": ("exporter", "runtime"),
    "rich": ("exporter.command_line",),
    "onnx": ("exporter.ir", "exporter.targets", "exporter.verify"),
    "onnx_ir": (
        "exporter.ir",
        "exporter.lower",
        "exporter.nn",
        "exporter.zoo",
        "exporter.passes",
        "exporter.targets",
        "exporter.verify",
        "exporter.report.specs",
        "exporter.frontend",
        "exporter.checked",
        "exporter.rounded",
        "exporter.api",
        "exporter.data.images",
    ),
    "onnxruntime": ("exporter.verify", "exporter.run_files"),
}
"""Which parts use what has to be installed. Neither TensorFlow nor Keras is among it."""


def modules(root: Path) -> dict[str, str]:
    """The source of every module of both packages, by dotted name."""
    files = [path for package in ("exporter", "runtime") for path in sorted((root / package).rglob("*.py"))]
    return {_name(path.relative_to(root)): path.read_text(encoding="utf-8") for path in files}


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def violations(sources: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Every import in these modules that a rule forbids, as `module imports other: why`; `known` are all modules."""
    return [
        f"{name} imports {other}: {why}"
        for name, source in sources.items()
        for other in sorted(set(_imports(source, known)))
        if (why := _forbidden(name, other)) is not None
    ]


def _imports(source: str, known: Collection[str]) -> Iterator[str]:
    """The modules that a source names, wherever in it; `from package import module` is the module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = {name for name in inner if name in known}
            yield from submodules
            if inner - submodules:
                yield node.module or "." * node.level


def _forbidden(name: str, other: str) -> str | None:
    top = other.partition(".")[0]
    if top in ("exporter", "runtime"):
        return _wrong_way(_part(name), _part(other))
    if top in sys.stdlib_module_names:
        return None
    users = PACKAGES.get(top, ())
    if name.startswith("runtime") and top != "numpy":
        return "the runtime needs NumPy and nothing else"
    return None if any(_inside(name, user) for user in users) else f"{_part(name)} may not use {top}"


def _wrong_way(part: str | None, other: str | None) -> str | None:
    if part is None or other is None:
        return "it is in no layer"
    if part == other:
        return None
    below = _layer(other) < _layer(part)
    return None if below else f"{other} isn't below {part}"


def _part(name: str) -> str | None:
    """The part a module belongs to: the longest that it lies in; the package `exporter` is only its own `__init__`."""
    parts = [part for layer in LAYERS for part in layer if (_inside(name, part) and part != "exporter") or name == part]
    return max(parts, key=len, default=None)


def _inside(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _layer(part: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if part in layer)
