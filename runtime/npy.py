"""The byte-level pieces that a bundle's writer and reader share: member names and .npy headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["DTYPES", "TEXT", "escape", "header", "numpy_type", "unescape"]

DTYPES: dict[str, str] = {
    "bool": "|b1",
    "float16": "<f2",
    "float32": "<f4",
    "float64": "<f8",
    "int8": "|i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "|u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
}
"""The element types that a bundle may hold, with their descriptions in .npy headers."""

TEXT = "string"
"""The element type of strings: UTF-8, filled up with zero bytes to one width (`|S<width>`) in a file, and `str` objects
in memory."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-/ +=,@()\[\]]|^/|/$|(?<=/)/|(?:(?<=^)|(?<=/))\.(?=\.?(?:/|$))|^__(?=plan__$)")
_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_ALIGNMENT = 64


def escape(name: str) -> str:
    """A name as a zip member's: what isn't safe in a relative path becomes %XX, byte by byte of its UTF-8.

    Safe are ASCII letters and digits, space, and _ . - / + = , @ ( ) [ ]; but not a / at either end or twice in a row,
    nor the first dot of a component `.` or `..`, nor the name `__plan__`.
    """
    return _UNSAFE.sub(
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")), name
    )


def unescape(member: str) -> str:
    """The name that `escape` made this of; ValueError if it made it of none."""
    raw = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), member).encode("latin-1")
    name = raw.decode("utf-8", "surrogatepass")
    if escape(name) != member:
        raise ValueError(f"{member!r} is not an escaped name")
    return name


def numpy_type(dtype: str) -> np.dtype[Any]:
    """The NumPy type of an element type in memory."""
    return np.dtype(object if dtype == TEXT else dtype)


def header(dtype: str, shape: Sequence[int], width: int = 0) -> bytes:
    """The .npy header, version 1.0, C order, padded with spaces so that the data begin at a multiple of 64.

    `width` is the bytes of an element of strings.
    """
    description = f"|S{width}" if dtype == TEXT else DTYPES[dtype]
    sizes = f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"
    text = f"{{'descr': '{description}', 'fortran_order': False, 'shape': {sizes}, }}"
    room = -(-(10 + len(text) + 1) // _ALIGNMENT) * _ALIGNMENT
    return b"\x93NUMPY\x01\x00" + (room - 10).to_bytes(2, "little") + text.ljust(room - 11).encode("ascii") + b"\n"
