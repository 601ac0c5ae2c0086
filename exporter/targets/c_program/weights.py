"""The weights of a C program: packed for its kernels, one after another, with a checksum."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HEADER", "PANEL", "Weights", "packed", "padded"]

_Array = npt.NDArray[Any]

PANEL = 16
"""Output channels of a panel."""

HEADER = 64
"""Bytes before the first weight."""

_MAGIC = b"ckpt2onnx C 1\0\0\0"
_ALIGNMENT = 16


class Weights:
    """Collects arrays; the same contents are stored once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._places: dict[bytes, int] = {}
        self.floats = 0

    def add(self, array: _Array, *, half: bool = False) -> int:
        """Where the array begins, in floats; with `half` it is stored in float16, else in its own type."""
        dtype = np.dtype("<f2") if half else array.dtype.newbyteorder("<")
        content = np.ascontiguousarray(array, dtype=dtype).tobytes()
        if content not in self._places:
            self._places[content] = self.floats
            room = -(-len(content) // (4 * _ALIGNMENT)) * 4 * _ALIGNMENT
            self._parts.append(content + b"\0" * (room - len(content)))
            self.floats += room // 4
        return self._places[content]

    def content(self) -> tuple[bytes, int]:
        """The file, and its CRC-32 without the header."""
        body = b"".join(self._parts)
        checksum = zlib.crc32(body)
        head = _MAGIC + struct.pack("<IIQ", 1, checksum, len(body))
        return head.ljust(HEADER, b"\0") + body, checksum


def packed(w: _Array) -> _Array:
    """[K, M] as panels: [K, 16] for each 16 columns, [K, 4, 8 or 12] for the last, with zeros for what is missing."""
    panels = []
    for first in range(0, w.shape[1], PANEL):
        part = w[:, first : first + PANEL]
        width = -(-part.shape[1] // 4) * 4
        panels.append(np.pad(part, ((0, 0), (0, width - part.shape[1]))).reshape(-1))
    return np.concatenate(panels)


def padded(b: _Array) -> _Array:
    """A bias with zeros up to a multiple of 4."""
    return np.pad(b, (0, -b.size % 4))
