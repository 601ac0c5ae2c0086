"""Raw snappy, without framing: what the blocks of old V1 checkpoints are compressed with.

data    = varint uncompressed length, element*
element = literal   tag & 3 = 0: length - 1 in the tag's upper six bits; 60 to 63: in the 1 to 4 bytes after it
        | copy      tag & 3 = 1: length 4 to 11, offset of 11 bits; 2, 3: length 1 to 64, offset of 16, 32 bits
"""

from __future__ import annotations

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.varint import read_varint

__all__ = ["decompress"]


def decompress(data: memoryview) -> bytearray:
    """The uncompressed bytes.

    Raises:
        LimitError: The declared length is more than snappy could have made of so few bytes; nothing was allocated.
        CorruptError: An element reaches outside the data, or the result has another length than declared.
    """
    length, position = read_varint(data, 0, bits=32)
    if length > limits.MAX_SNAPPY_RATIO * len(data):
        raise LimitError(f"{len(data)} bytes of snappy data claim to expand to {length}")
    out = bytearray(length)
    filled = 0
    end = len(data)
    while position < end:
        tag = data[position]
        size, offset, start = (_literal if tag & 3 == 0 else _copy)(data, position, tag)
        position = start + size if not tag & 3 else start
        if position > end or filled + size > length or (tag & 3 and not 0 < offset <= filled):
            raise CorruptError(f"snappy data wrong at byte {position}: {size} bytes at {filled} of {length}")
        if not tag & 3:
            out[filled : filled + size] = data[start:position]
        elif offset >= size:
            out[filled : filled + size] = out[filled - offset : filled - offset + size]
        else:
            repeats = -(-size // offset)
            out[filled : filled + size] = (bytes(out[filled - offset : filled]) * repeats)[:size]
        filled += size
    if filled != length:
        raise CorruptError(f"snappy data end after {filled} of {length} bytes")
    return out


def _literal(data: memoryview, position: int, tag: int) -> tuple[int, int, int]:
    """Size of a literal, 0, and where its bytes begin."""
    short = tag >> 2
    if short < 60:
        return short + 1, 0, position + 1
    start = position + short - 58
    return _little_endian(data, position + 1, start) + 1, 0, start


def _copy(data: memoryview, position: int, tag: int) -> tuple[int, int, int]:
    """Size and offset of a copy, and where the next element begins."""
    if tag & 3 == 1:
        return (tag >> 2 & 7) + 4, tag >> 5 << 8 | _little_endian(data, position + 1, position + 2), position + 2
    start = position + (3 if tag & 3 == 2 else 5)
    return (tag >> 2) + 1, _little_endian(data, position + 1, start), start


def _little_endian(data: memoryview, start: int, stop: int) -> int:
    if stop > len(data):
        raise CorruptError(f"snappy data end inside the element at byte {start - 1}")
    return int.from_bytes(data[start:stop], "little")
