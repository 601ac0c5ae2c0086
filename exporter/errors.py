"""What can go wrong, as one tree; the exit status of the command line is on the class.

    ExportError                    anything below
    ├── UsageError            2    the command or call is wrong: a name that isn't there, a choice left open
    ├── SourceError           3    the input can't be used
    │   ├── MissingError           a file, tensor or key that has to be there isn't
    │   ├── FormatError            the file is not of the kind it is taken for
    │   ├── TruncatedError         the file ends too early
    │   ├── ChecksumError          stored and computed checksum differ
    │   ├── CorruptError           the contents contradict themselves
    │   ├── LimitError             larger or deeper than a limit that guards memory and time
    │   ├── UnsafeError            using it would read or run something outside the given files
    │   └── ValueInputError        the numbers in it can't be meant: NaN, infinity, negative variance
    ├── UnsupportedError      4    something in the model has no translation (all of it, in one error)
    └── ParityError           1    outputs differ by more than float32 noise

A message is one short paragraph: what, where, found against expected, what to do.
"""

from __future__ import annotations

from typing import ClassVar, Self

__all__ = [
    "ChecksumError",
    "CorruptError",
    "ExportError",
    "FormatError",
    "LimitError",
    "MissingError",
    "ParityError",
    "SourceError",
    "TruncatedError",
    "UnsafeError",
    "UnsupportedError",
    "UsageError",
    "ValueInputError",
]


class ExportError(Exception):
    """Base of all errors that a user can do something about.

    Args:
        message: What is wrong: found against expected, without a trailing full stop.
        hint: What to do about it, as a sentence of its own.
        where: Places, from the widest to the narrowest: file, tensor, node, byte offset; `within` adds them on the way.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None, where: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def within(self, place: str) -> Self:
        """Adds a wider place (`file m.index`, `tensor w`), unless it is there already; returns the error itself."""
        if place not in self.where:
            self.where = (place, *self.where)
        return self

    def __str__(self) -> str:
        place = f"{', '.join(self.where)}: " if self.where else ""
        hint = f". {self.hint}" if self.hint else ""
        return f"{place}{self.message}{hint}"


class UsageError(ExportError):
    """The command or call is wrong: a name that isn't there, a choice left open."""

    exit_code = 2


class SourceError(ExportError):
    """The input can't be used."""

    exit_code = 3


class MissingError(SourceError):
    """A file, tensor or key that has to be there isn't."""


class FormatError(SourceError):
    """The file is not of the kind it is taken for."""


class TruncatedError(SourceError):
    """The file ends too early."""


class ChecksumError(SourceError):
    """Stored and computed checksum differ."""


class CorruptError(SourceError):
    """The contents contradict themselves."""


class LimitError(SourceError):
    """Larger or deeper than a limit that guards memory and time."""


class UnsafeError(SourceError):
    """Using it would read or run something outside the given files."""


class ValueInputError(SourceError):
    """The numbers in it can't be meant: NaN, infinity, a negative variance."""


class UnsupportedError(ExportError):
    """Something in the model has no translation; the message names all of it."""

    exit_code = 4


class ParityError(ExportError):
    """Outputs differ by more than float32 noise."""

    exit_code = 1
