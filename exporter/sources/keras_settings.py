"""Reading a layer's configuration, which is JSON that anyone may have written: typed, and never a KeyError."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from exporter.errors import CorruptError, UnsupportedError

__all__ = ["Settings", "expect_list", "expect_mapping", "expect_text"]

_T = TypeVar("_T")
_REQUIRED: Any = object()


def expect_mapping(value: object, what: str) -> Mapping[str, Any]:
    """The value, if it is a JSON object."""
    if not isinstance(value, Mapping):
        raise CorruptError(f"{what} is {_kind(value)}, expected an object")
    return value


def expect_list(value: object, what: str) -> list[Any]:
    """The value as a list, if it is a JSON array (or a tuple, from a live configuration)."""
    if not isinstance(value, list | tuple):
        raise CorruptError(f"{what} is {_kind(value)}, expected a list")
    return list(value)


def expect_text(value: object, what: str) -> str:
    """The value, if it is a string."""
    if not isinstance(value, str):
        raise CorruptError(f"{what} is {_kind(value)}, expected a string")
    return value


def _kind(value: object) -> str:
    return "missing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The `config` of one layer.

    Attributes:
        owner: Whose it is, for messages: `layer conv1 (Conv2D)`.
        values: The JSON object.
    """

    owner: str
    values: Mapping[str, Any]

    def __contains__(self, key: object) -> bool:
        return key in self.values

    def raw(self, key: str, default: Any = None) -> Any:
        """The value as it is written."""
        return self.values.get(key, default)

    def flag(self, key: str, default: bool = _REQUIRED) -> bool:
        """A truth value."""
        return self._typed(key, bool, "true or false", default)

    def integer(self, key: str, default: int = _REQUIRED) -> int:
        """A whole number; 8.0 is 8, as JSON writers differ."""
        value = self.values.get(key)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool):
            raise self._wrong(key, "an integer")
        return self._typed(key, int, "an integer", default)

    def number(self, key: str, default: float = _REQUIRED) -> float:
        """A number; an array of one is one, as old versions wrote NumPy scalars."""
        value = self.values.get(key)
        if isinstance(value, Mapping) and "value" in value:
            value = value["value"]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if value is None and default is not _REQUIRED:
            return default
        raise self._wrong(key, "a number")

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A string."""
        return self._typed(key, str, "a string", default)

    def choice(self, key: str, among: Mapping[str, _T], default: str = _REQUIRED) -> _T:
        """What `among` has under the string; UnsupportedError for another one."""
        value = self.text(key, default)
        if value not in among:
            raise UnsupportedError(f"{self.owner}: {key} {value!r} is not one of {', '.join(among)}")
        return among[value]

    def integers(self, key: str, count: int, default: int = _REQUIRED) -> list[int]:
        """`count` whole numbers, written as a list or as one number for all."""
        value = self.values.get(key)
        if value is None and default is not _REQUIRED:
            return [default] * count
        if isinstance(value, int) and not isinstance(value, bool):
            return [value] * count
        if not isinstance(value, list | tuple) or len(value) != count or not all(_whole(item) for item in value):
            raise self._wrong(key, f"{count} integers")
        return [int(item) for item in value]

    def inner(self, key: str) -> Mapping[str, Any]:
        """A nested object, as that of a wrapped layer."""
        return expect_mapping(self.values.get(key), f"{self.owner}: {key}")

    def refuse(self, key: str, *harmless: Any) -> None:
        """UnsupportedError if the setting is there and is none of the harmless values (nor null, false, or empty)."""
        value = self.values.get(key)
        if value and value not in harmless:
            raise UnsupportedError(f"{self.owner}: {key}={value!r} has no translation")

    def _typed(self, key: str, kind: type[_T], what: str, default: _T) -> _T:
        value = self.values.get(key)
        if value is None and default is not _REQUIRED:
            return default
        if not isinstance(value, kind):
            raise self._wrong(key, what)
        return value

    def _wrong(self, key: str, what: str) -> CorruptError:
        return CorruptError(f"{self.owner}: {key} is {_kind(self.values.get(key))}, expected {what}")


def _whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and int(value) == value
