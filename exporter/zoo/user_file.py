"""An architecture from a file of the user's own: `--arch path/to/file.py:name` runs it, and nothing else does."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.errors import FormatError, MissingError, UsageError
from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.net import Net

__all__ = ["is_file_name", "keras_configuration", "load_architecture"]


_MISTAKES = (SyntaxError, ImportError, NameError, AttributeError, TypeError, ValueError, LookupError, ArithmeticError)


def is_file_name(name: str) -> bool:
    """Whether `--arch` names a file: `file.py:name`."""
    path, colon, _ = name.rpartition(":")
    return bool(colon) and path.endswith(".py")


def load_architecture(name: str) -> Architecture:
    """Runs a Python file and takes the `Architecture` that it calls by this name.

    Raises:
        MissingError: There is no such file, or it has no such name.
        FormatError: It is no `Architecture`, or the file can't be run.
        UsageError: It isn't of the form `file.py:name`.
    """
    path, attribute, architecture = _named(name)
    if not isinstance(architecture, Architecture):
        raise FormatError(
            f"{attribute} is of type {type(architecture).__name__}, neither an Architecture nor a model of Keras",
            hint="exporter.zoo and exporter.zoo.keras_terms say how to write either",
        ).within(f"file {path}")
    return replace(architecture, write=_Guarded(architecture.write, f"file {path}"))


def keras_configuration(name: str) -> str | None:
    """Runs a Python file and takes the configuration of the Keras model that it calls by this name; None if it is none.

    That is a model of Keras or of `keras_terms`, or a function without arguments that makes one.

    Raises:
        MissingError, FormatError, UsageError: As `load_architecture`.
    """
    path, _, found = _named(name)
    try:
        if callable(found) and not isinstance(found, type) and not hasattr(found, "to_json"):
            found = found()
        write = getattr(found, "to_json", None)
        return None if write is None or isinstance(found, type) else str(write())
    except _MISTAKES as error:
        text = f"its network can't be written down: {type(error).__name__}: {error}"
        raise FormatError(text).within(f"file {path}") from error


def _named(name: str) -> tuple[Path, str, object]:
    """Run the file of `file.py:name`; return its path, the name, and what the file calls so."""
    text, _, attribute = name.rpartition(":")
    path = Path(text)
    if not attribute.isidentifier():
        raise UsageError(f"--arch {name}: no name behind the colon", hint="Write --arch path/to/file.py:name")
    if not path.is_file():
        raise MissingError(f"--arch {name}: there is no file {path}")
    spec = importlib.util.spec_from_file_location("user_architecture", path)
    if spec is None or spec.loader is None:
        raise FormatError("it can't be run as Python").within(f"file {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except _MISTAKES as error:
        raise FormatError(f"running it failed: {type(error).__name__}: {error}").within(f"file {path}") from error
    namespace: dict[str, object] = vars(module)
    if attribute not in namespace:
        found = ", ".join(key for key, value in namespace.items() if isinstance(value, Architecture)) or "none"
        raise MissingError(f"{attribute} isn't defined in it", hint=f"Its architectures: {found}").within(
            f"file {path}"
        )
    return path, attribute, namespace[attribute]


@dataclass(frozen=True)
class _Guarded:
    """The user's function, whose mistakes are told as such."""

    write: Callable[[Net, Choices], None]
    place: str

    def __call__(self, net: Net, choices: Choices) -> None:
        try:
            self.write(net, choices)
        except _MISTAKES as error:
            text = f"its network can't be written down: {type(error).__name__}: {error}"
            raise FormatError(text).within(self.place) from error
