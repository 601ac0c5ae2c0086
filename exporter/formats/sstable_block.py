"""The contents of one block of a sorted table.

    contents = entry*, restart offset (u32)*, their number (u32)
    entry    = varint shared, varint own, varint value length, own bytes of the key, value

A key begins with the first `shared` bytes of the key before it; at a restart it shares none.
"""

from __future__ import annotations

import itertools
import struct
from typing import TypeAlias

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.varint import read_varint

__all__ = ["Entries", "read_entries"]

Entries: TypeAlias = tuple[list[bytes], list[memoryview]]
"""Keys, strictly ascending, and their values, which are views of the block."""


def read_entries(contents: memoryview) -> Entries:
    """All entries of a block.

    Raises:
        CorruptError: Restarts, lengths or the order of the keys contradict the format.
        LimitError: A key is too long, or there are too many.
    """
    end, restarts = _restarts(contents)
    keys: list[bytes] = []
    values: list[memoryview] = []
    key = b""
    position = 0
    while position < end:
        at_restart = position in restarts
        restarts.discard(position)
        shared, own, size, position = _lengths(contents, position)
        stop = position + own + size
        if shared > len(key) or stop > end or (at_restart and shared):
            raise CorruptError(f"its entry {len(keys)} takes {shared} + {own} + {size} bytes that it doesn't have")
        if shared + own > limits.MAX_KEY_BYTES or len(keys) >= limits.MAX_ENTRIES:
            raise LimitError(f"its entry {len(keys)} has a key of {shared + own} bytes")
        previous, key = key, key[:shared] + contents[position : position + own].tobytes()
        if keys and key <= previous:
            raise CorruptError(f"its keys are not in order: {key[:80]!r} after {previous[:80]!r}")
        keys.append(key)
        values.append(contents[position + own : stop])
        position = stop
    if restarts:
        raise CorruptError("one of its restarts is not where an entry begins")
    return keys, values


def _restarts(contents: memoryview) -> tuple[int, set[int]]:
    """Where the entries end, and the offsets of those that restart; an empty block has one restart, at its end."""
    if len(contents) < 8:
        raise CorruptError(f"{len(contents)} bytes are too few for a block")
    (count,) = struct.unpack("<I", contents[-4:])
    end = len(contents) - 4 * (count + 1)
    if count < 1 or end < 0:
        raise CorruptError(f"{count} restarts in a block of {len(contents)} bytes")
    offsets = struct.unpack(f"<{count}I", contents[end:-4])
    if offsets[0] or any(left >= right for left, right in itertools.pairwise(offsets)):
        raise CorruptError("its restarts are not in order")
    return end, set(offsets if end else offsets[1:])


def _lengths(contents: memoryview, position: int) -> tuple[int, int, int, int]:
    """Shared and own length of the key, length of the value, and the position after them."""
    if position + 3 <= len(contents):
        shared, own, size = contents[position : position + 3]
        if shared < 0x80 and own < 0x80 and size < 0x80:
            return shared, own, size, position + 3
    shared, position = read_varint(contents, position, bits=32)
    own, position = read_varint(contents, position, bits=32)
    size, position = read_varint(contents, position, bits=32)
    return shared, own, size, position
