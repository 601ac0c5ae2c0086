"""Raw snappy."""

from __future__ import annotations

import pytest

from exporter.errors import CorruptError, LimitError
from exporter.formats.snappy import decompress
from tests.hostile.table_writer import varint


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"\x00", b""),
        (b"\x03\x08abc", b"abc"),
        (varint(60) + b"\xec" + b"a" * 60, b"a" * 60),
        (varint(61) + b"\xf0\x3c" + b"a" * 61, b"a" * 61),
        (varint(300) + b"\xf4\x2b\x01" + b"a" * 300, b"a" * 300),
        (varint(300) + b"\xf8\x2b\x01\x00" + b"a" * 300, b"a" * 300),
        (varint(300) + b"\xfc\x2b\x01\x00\x00" + b"a" * 300, b"a" * 300),
        (b"\x08\x0cabcd\x01\x04", b"abcdabcd"),
        (b"\x0c\x04ab\x19\x02", b"abababababab"),
        (b"\x08\x0cabcd\x0e\x04\x00", b"abcdabcd"),
        (b"\x08\x0cabcd\x0f\x04\x00\x00\x00", b"abcdabcd"),
        (b"\x41\x00a\xfe\x01\x00", b"a" * 65),
    ],
)
def test_elements(data: bytes, result: bytes) -> None:
    """Every form of literals and copies, and copies that overlap what they make."""
    assert decompress(memoryview(data)) == result


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x03\x08ab",
        b"\x03\x08abcd",
        b"\x02\x08abc",
        b"\x04\x08abc",
        b"\x08\x0cabcd\x01\x05",
        b"\x08\x0cabcd\x01\x00",
        b"\x08\x0cabcd\x01",
        b"\x08\x0cabcd\x02\x04",
        b"\x08\x0cabcd\x05\x04",
        b"\x08\xfc\xff\xff\xff\xff",
        b"\x08\xf4\x01",
    ],
)
def test_wrong(data: bytes) -> None:
    """Reaching outside, or another length than declared."""
    with pytest.raises(CorruptError):
        decompress(memoryview(data))


def test_bomb() -> None:
    """Four GiB from two bytes are refused before they are allocated."""
    with pytest.raises(LimitError, match="4294967295"):
        decompress(memoryview(varint(2**32 - 1) + b"\x00a"))
