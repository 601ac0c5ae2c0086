"""Base-128 integers of LevelDB tables and protocol buffers: low seven bits first, the high bit set if more follow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exporter.errors import CorruptError

__all__ = ["read_packed", "read_varint", "varint"]

_CHUNK = 1 << 20


def read_varint(data: bytes | memoryview, position: int, *, bits: int = 64) -> tuple[int, int]:
    """The integer at `position`, and the position after it.

    Raises:
        CorruptError: The data end inside it, it has more than `bits` bits, or its last byte adds nothing (no writer
            pads integers, so the bytes are something else).
    """
    value = shift = 0
    size = len(data)
    while position < size:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift) or value >> bits:
                raise CorruptError(f"the integer that ends at byte {position} is not one of {bits} bits")
            return value, position
        shift += 7
        if shift >= bits:
            break
    found = "is too long" if shift >= bits else "has no end"
    raise CorruptError(f"the integer that reaches byte {position} {found}")


def varint(number: int) -> bytes:
    """The bytes of an integer that isn't negative."""
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)


def read_packed(data: memoryview) -> npt.NDArray[np.uint64]:
    """All integers of a packed field, as the 64 bits they stand for (view as int64 where the field is signed).

    Raises:
        CorruptError: The last one has no end, or one is longer than ten bytes.
    """
    octets = np.frombuffer(data, np.uint8)
    if not octets.size:
        return np.empty(0, np.uint64)
    if octets[-1] & 0x80:
        raise CorruptError("the last of its packed integers has no end")
    stops = np.flatnonzero(octets < 0x80) + 1
    starts = np.concatenate([np.zeros(1, stops.dtype), stops[:-1]])
    if int((stops - starts).max()) > 10:
        raise CorruptError("one of its packed integers is longer than ten bytes")
    values = np.empty(stops.size, np.uint64)
    for first in range(0, stops.size, _CHUNK):
        some = slice(first, first + _CHUNK)
        part = octets[starts[first] : stops[some][-1]]
        offsets = starts[some] - starts[first]
        place = np.arange(part.size) - np.repeat(offsets, (stops - starts)[some])
        groups = (part & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
        values[some] = np.add.reduceat(groups, offsets)
    return values
