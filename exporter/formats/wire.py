"""Protocol buffers field by field, without copying: for messages that hold a whole tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.errors import CorruptError
from exporter.formats.varint import read_varint

__all__ = ["FIXED32", "FIXED64", "LENGTH", "VARINT", "Field", "fields"]

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Field:
    """One field as it is on the wire.

    Attributes:
        number: Its number.
        wire_type: VARINT, FIXED64, LENGTH or FIXED32.
        data: The payload: the bytes of a varint, 8 or 4 bytes, or what follows the length.
    """

    number: int
    wire_type: int
    data: memoryview


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message, in order.

    Raises:
        CorruptError: The bytes are no message, or it breaks off.
    """
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position, bits=32)
        number, wire_type = tag >> 3, tag & 7
        start = position
        if wire_type == VARINT:
            _, position = read_varint(data, position)
        elif wire_type == LENGTH:
            size, start = read_varint(data, position)
            position = start + size
        elif wire_type in (FIXED64, FIXED32):
            position += 8 if wire_type == FIXED64 else 4
        else:
            raise CorruptError(f"field {number} has wire type {wire_type}, which nothing has")
        if not number or position > len(data):
            raise CorruptError(f"field {number} at byte {start} ends at {position} of {len(data)}")
        yield Field(number, wire_type, data[start:position])
