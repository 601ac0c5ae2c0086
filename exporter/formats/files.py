"""Reading files that others made: regular files only, never past their end, never two states of one file mixed.

Nothing is mapped into memory: a mapped file that shrinks kills the process, where a short read is an error.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exporter.errors import (
    CorruptError,
    FormatError,
    LimitError,
    MissingError,
    SourceError,
    TruncatedError,
    UnsafeError,
)
from exporter.formats.records import Array

__all__ = ["RegularFile", "empty"]

_PIECE = 1 << 30


@dataclass(frozen=True, slots=True)
class RegularFile:
    """A file as it was when first looked at; each later read makes sure that it still is.

    Attributes:
        path: As given; symbolic links are followed, as caches of downloads are full of them.
        size: In bytes.
        state: Device, inode and time of the last change.
    """

    path: Path
    size: int
    state: tuple[int, int, int]

    @classmethod
    def at(cls, path: Path) -> RegularFile:
        """The file at a path.

        Raises:
            MissingError: There is none, or it may not be read.
            FormatError: It is a directory.
            UnsafeError: It is a pipe, a socket or a device: reading it might not end.
        """
        with _opened(path) as (_, status):
            return cls(path, status.st_size, _state(status))

    @property
    def place(self) -> str:
        """How errors name it."""
        return f"file {self.path}"

    def read(self, offset: int = 0, size: int | None = None) -> npt.NDArray[np.uint8]:
        """Bytes from `offset`, all that follow where no size is given.

        Raises:
            TruncatedError: The file ends before.
            CorruptError: The file has changed since it was first looked at.
            LimitError: So much memory can't be had.
        """
        out = empty((self.size - offset if size is None else size,), np.dtype(np.uint8), self.place)
        self.read_into(offset, out)
        return out

    def read_into(self, offset: int, out: Array) -> None:
        """Fills a C-contiguous array with the bytes at `offset`; raises as `read` does."""
        if offset < 0 or offset + out.nbytes > self.size:
            found = f"needs bytes {offset} to {offset + out.nbytes}, but the file has {self.size}"
            raise TruncatedError(found, where=(self.place,))
        with _opened(self.path) as (stream, before):
            self._compare(before)
            view, done = out.reshape(-1).view(np.uint8).data, 0
            try:
                stream.seek(offset)
                while done < len(view):
                    count = stream.readinto(view[done : done + _PIECE])
                    if not count:
                        found = f"the file ended at byte {offset + done} while it was being read"
                        raise TruncatedError(found, where=(self.place,))
                    done += count
            except OSError as error:
                found = f"it can't be read at byte {offset + done}: {error.strerror}"
                raise SourceError(found, where=(self.place,)) from error
            self._compare(os.fstat(stream.fileno()))

    def read_all(self, limit: int) -> bytes:
        """All of it; LimitError if that is more than `limit` bytes."""
        if self.size > limit:
            raise LimitError(f"{self.size} bytes, more than the {limit} such a file may have", where=(self.place,))
        return self.read().tobytes()

    def _compare(self, status: os.stat_result) -> None:
        if status.st_size != self.size or _state(status) != self.state:
            hint = "Wait until whatever writes it is done, then try again."
            raise CorruptError("the file changed while it was being read", hint=hint, where=(self.place,))


def empty(shape: tuple[int, ...], dtype: np.dtype[np.generic], place: str) -> Array:
    """An uninitialised array; LimitError where NumPy or the machine can't make one so large."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise LimitError(f"no memory for an array of shape {shape} and type {dtype}", where=(place,)) from error


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[io.FileIO, os.stat_result]]:
    """The file, which opening didn't wait for, and its status."""
    place = f"file {path}"
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise MissingError("no such file", where=(place,)) from error
    except ValueError as error:
        raise MissingError(f"no file can have this name: {error}", where=(place,)) from error
    except OSError as error:
        raise MissingError(f"it can't be opened: {error.strerror}", where=(place,)) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise FormatError("a directory, where a file is needed", where=(place,))
        raise UnsafeError("a pipe, socket or device, where a regular file is needed", where=(place,))
    with io.FileIO(descriptor, "rb") as stream:
        yield stream, status
