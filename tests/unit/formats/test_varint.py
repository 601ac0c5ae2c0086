"""Base-128 integers and the fields of messages."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.errors import CorruptError
from exporter.formats import varint as module
from exporter.formats.varint import read_packed, read_varint
from exporter.formats.wire import fields
from tests.hostile.table_writer import varint


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32 - 1, 2**63, 2**64 - 1])
def test_values(value: int) -> None:
    """The value and where it ends."""
    assert read_varint(b"x" + varint(value) + b"x", 1) == (value, 1 + len(varint(value)))


@pytest.mark.parametrize(
    ("data", "bits"),
    [
        (b"", 64),
        (b"\x80", 64),
        (b"\xff" * 9, 64),
        (b"\xff" * 11, 64),
        (b"\x80\x00", 64),
        (b"\xff" * 9 + b"\x02", 64),
        (varint(2**32), 32),
        (b"\xff\xff\xff\xff\x10", 32),
        (b"\xff" * 5 + b"\x01", 32),
    ],
)
def test_no_integer(data: bytes, bits: int) -> None:
    """No end, too long, too large, or padded."""
    with pytest.raises(CorruptError, match="integer"):
        read_varint(data, 0, bits=bits)


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
def test_packed(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, in pieces of any size; negative numbers as 64 bits."""
    monkeypatch.setattr(module, "_CHUNK", chunk)
    values = [0, 1, 127, 128, 2**63, 2**64 - 1, 5, 2**32]
    read = read_packed(memoryview(b"".join(varint(value) for value in values)))
    assert read.tolist() == values
    assert read.view(np.int64)[5] == -1
    assert read_packed(memoryview(b"")).size == 0


@pytest.mark.parametrize("data", [b"\x80", b"\x01\xff", b"\xff" * 10 + b"\x01"])
def test_no_packed(data: bytes) -> None:
    """The last has no end, or one is too long."""
    with pytest.raises(CorruptError, match="packed"):
        read_packed(memoryview(data))


def test_fields() -> None:
    """Each with its number, its wire type and its bytes, which aren't copied."""
    data = memoryview(b"\x08\x96\x01" + b"\x12\x02hi" + b"\x1d1234" + b"\x2112345678")
    found = [(field.number, field.wire_type, field.data.tobytes()) for field in fields(data)]
    assert found == [(1, 0, b"\x96\x01"), (2, 2, b"hi"), (3, 5, b"1234"), (4, 1, b"12345678")]


@pytest.mark.parametrize("data", [b"\x08", b"\x12\x05hi", b"\x1d123", b"\x0b\x0c", b"\x02\x00", b"\x0f"])
def test_no_fields(data: bytes) -> None:
    """Cut off, a group, field 0, a wire type that nothing has."""
    with pytest.raises(CorruptError):
        list(fields(memoryview(data)))
