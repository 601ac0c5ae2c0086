"""Text files that lookup tables are filled from, as `InitializeTableFromTextFile` reads them.

A line ends with a line feed; carriage returns are no part of it. A key or value is the whole line (index -2), the
number of the line (-1), or one of the fields that a delimiter parts it into (0, 1, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exporter.errors import CorruptError
from exporter.formats import limits
from exporter.formats.files import RegularFile
from exporter.formats.records import Array

__all__ = ["read_table_file"]

_WHOLE_LINE, _LINE_NUMBER = -2, -1


def read_table_file(
    path: Path,
    *,
    columns: tuple[int, int],
    dtypes: Sequence[np.dtype[np.generic]],
    size: int = -1,
    delimiter: bytes = b"\t",
    offset: int = 0,
) -> tuple[Array, Array]:
    """The keys and the values of a table, [N] each; strings are `bytes` in an array of objects.

    Args:
        path: The file.
        columns: The indices of key and value.
        dtypes: The element types of keys and values.
        size: How many lines belong to the table; -1 for all.
        delimiter: What is between the fields of a line.
        offset: How many lines to leave out at the beginning.

    Raises:
        SourceError: Its subclasses: the file isn't there, or has not so many lines or fields, or no numbers there.
    """
    lines = RegularFile.at(path).read_all(limits.MAX_PROTO_BYTES).replace(b"\r", b"").split(b"\n")
    lines = lines[offset : len(lines) - (not lines[-1])]
    if size > len(lines):
        raise CorruptError(f"{len(lines)} lines, and the table takes {size}").within(f"file {path}")
    lines = lines[:size] if size >= 0 else lines
    if b"" in lines:
        raise CorruptError(f"line {offset + lines.index(b'') + 1} is empty").within(f"file {path}")
    try:
        keys, values = (_column(lines, index, kind, delimiter) for index, kind in zip(columns, dtypes, strict=True))
    except (IndexError, ValueError, OverflowError) as error:
        raise CorruptError(f"it isn't the table that the graph says: {error}").within(f"file {path}") from error
    return keys, values


def _column(lines: Sequence[bytes], index: int, dtype: np.dtype[np.generic], delimiter: bytes) -> Array:
    if index == _LINE_NUMBER:
        return np.arange(len(lines)).astype(dtype)
    if index < _WHOLE_LINE or len(delimiter) != 1:
        raise ValueError(f"column {index} between {delimiter!r}")
    items = list(lines) if index == _WHOLE_LINE else [line.split(delimiter)[index] for line in lines]
    found = np.empty(len(items), object)
    found[:] = items if dtype.kind == "O" else [float(item) if dtype.kind == "f" else int(item) for item in items]
    return found if dtype.kind == "O" else found.astype(dtype)
