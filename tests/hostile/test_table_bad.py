"""Every way a sorted table can be wrong, with right checksums, has its error."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from exporter.errors import ChecksumError, CorruptError, FormatError, LimitError, SourceError, TruncatedError
from exporter.formats import limits
from exporter.formats.files import RegularFile
from exporter.formats.sstable import Table
from tests.hostile.table_writer import MAGIC, block, entry, footer, framed, table, varint

PAIRS = [(b"alpha", b"1"), (b"alphabet", b"22"), (b"beta", b"333")]
EMPTY = framed(block([]))


def read(path: Path, data: bytes) -> list[tuple[bytes, bytes]]:
    """All entries of a table in a file."""
    path.write_bytes(data)
    return [(key, value.tobytes()) for key, value in Table(RegularFile.at(path)).entries()]


def around(contents: bytes, kind: int = 0, separator: bytes = b"z") -> bytes:
    """A table of one data block with these contents."""
    data = framed(contents, kind)
    index = block([(separator, varint(0) + varint(len(contents)))], 1)
    return data + EMPTY + framed(index) + footer((len(data), 8), (len(data) + len(EMPTY), len(index)))


def with_index(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A table of one good data block and an index of these entries."""
    data = framed(block(PAIRS))
    index = block(pairs, 1)
    return data + EMPTY + framed(index) + footer((len(data), 8), (len(data) + len(EMPTY), len(index)))


def with_footer(metaindex: tuple[int, int], index: tuple[int, int]) -> bytes:
    """A good table, except for the handles in its footer."""
    return table(PAIRS)[:-48] + footer(metaindex, index)


def restarts(*numbers: int) -> bytes:
    """The end of a block."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


ONE = entry(0, b"a", b"1")
SIZE = len(block(PAIRS))
HANDLE = varint(0) + varint(SIZE)

BAD: dict[str, tuple[bytes, type[SourceError]]] = {
    "empty": (b"", FormatError),
    "too short": (b"x" * 47, TruncatedError),
    "wrong magic": (table(PAIRS)[:-1] + b"\0", FormatError),
    "bytes after the footer": (table(PAIRS) + b"\0", FormatError),
    "block checksum": (b"\xff" + table(PAIRS)[1:], ChecksumError),
    "block type": (around(block(PAIRS), 2), CorruptError),
    "snappy of nothing": (around(b"", 1), CorruptError),
    "snappy copy before the start": (around(varint(8) + b"\x01\x01" + b"\x00x", 1), CorruptError),
    "snappy literal past the end": (around(varint(8) + b"\xfc\xff\xff\xff\xff", 1), CorruptError),
    "snappy bomb": (around(varint(2**32 - 1) + b"\x00x", 1), LimitError),
    "snappy result too short": (around(varint(9) + b"\x04abc", 1), CorruptError),
    "index offset huge": (with_footer((SIZE + 5, 8), (2**62, 30)), CorruptError),
    "index size 2^40": (with_footer((SIZE + 5, 8), (SIZE + 18, 2**40)), CorruptError),
    "index size 2^64-1": (with_footer((SIZE + 5, 8), (SIZE + 18, 2**64 - 1)), CorruptError),
    "index over the footer": (with_footer((SIZE + 5, 8), (SIZE + 18, 40)), CorruptError),
    "footer varint too long": (table(PAIRS)[:-48] + b"\xff" * 40 + MAGIC, CorruptError),
    "footer padding": (table(PAIRS)[:-9] + b"\1" + MAGIC, CorruptError),
    "data handle past the end": (with_index([(b"z", varint(0) + varint(2**40))]), CorruptError),
    "data handle elsewhere": (with_index([(b"z", varint(3) + varint(SIZE - 3))]), CorruptError),
    "two handles, one block": (with_index([(b"y", HANDLE), (b"z", HANDLE)]), CorruptError),
    "handle with more behind": (with_index([(b"z", HANDLE + b"\0")]), CorruptError),
    "handle cut off": (with_index([(b"z", b"\0")]), CorruptError),
    "separator too small": (with_index([(b"b", HANDLE)]), CorruptError),
    "restart count 2^32-1": (around(ONE + restarts(0, 2**32 - 1)), CorruptError),
    "restart count 0": (around(ONE + restarts(0, 0)), CorruptError),
    "restart out of range": (around(ONE + restarts(0, 99, 2)), CorruptError),
    "restart inside an entry": (around(ONE + restarts(0, 2, 2)), CorruptError),
    "restarts not in order": (around(ONE + restarts(0, 0, 2)), CorruptError),
    "restart past the end of nothing": (around(restarts(0, 4, 2)), CorruptError),
    "no room for a restart": (around(b"\0\0\0"), CorruptError),
    "shares more than there is": (around(ONE + entry(2, b"b", b"") + restarts(0, 1)), CorruptError),
    "first entry shares": (around(entry(1, b"b", b"") + restarts(0, 1)), CorruptError),
    "key past the end": (around(b"\0\x7f\0" + b"k" * 9 + restarts(0, 1)), CorruptError),
    "value past the end": (around(b"\0\1\x7fk" + b"v" * 9 + restarts(0, 1)), CorruptError),
    "varint of 11 bytes": (around(b"\xff" * 10 + b"\1" + restarts(0, 1)), CorruptError),
    "varint overlong": (around(b"\x80\0\1\1kv" + restarts(0, 1)), CorruptError),
    "varint over 32 bits": (around(b"\0\1" + varint(2**32) + b"kv" + restarts(0, 1)), CorruptError),
    "varint without end": (around(b"\0\1\xff" + restarts(0, 1)), CorruptError),
    "keys not in order": (around(entry(0, b"b", b"") + entry(0, b"a", b"") + restarts(0, 1)), CorruptError),
    "key twice": (around(ONE + ONE + restarts(0, 1)), CorruptError),
    "key too long": (around(block([(b"k" * (limits.MAX_KEY_BYTES + 1), b"")])), LimitError),
    "data block of nothing": (around(block([])), CorruptError),
    "metaindex not empty": (
        (data := framed(block(PAIRS)) + framed(block([(b"filter", b"")])))
        + framed(index := block([(b"z", HANDLE)], 1))
        + footer((SIZE + 5, len(data) - SIZE - 10), (len(data), len(index))),
        CorruptError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_table(case: str, tmp_path: Path) -> None:
    """The error has the right class and names the file."""
    data, error = BAD[case]
    with pytest.raises(error) as caught:
        read(tmp_path / "m.index", data)
    assert type(caught.value) is error
    assert "m.index" in str(caught.value)


def test_the_builders_here_build_good_tables(tmp_path: Path) -> None:
    """What the cases above are made of reads well, so that each fails for its own reason."""
    assert read(tmp_path / "a", around(block(PAIRS))) == PAIRS
    assert read(tmp_path / "b", with_index([(b"z", HANDLE)])) == PAIRS
    assert read(tmp_path / "c", table(PAIRS, per_block=1)) == PAIRS
    assert read(tmp_path / "d", around(varint(SIZE) + bytes([(SIZE - 1) << 2]) + block(PAIRS), 1)) == PAIRS
    assert read(tmp_path / "e", table([])) == []


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are counted over all blocks."""
    monkeypatch.setattr(limits, "MAX_ENTRIES", 50)
    pairs = [(b"%04d" % number, b"") for number in range(51)]
    assert len(read(tmp_path / "m", table(pairs[:50], per_block=20))) == 50
    with pytest.raises(LimitError, match="50"):
        read(tmp_path / "m", table(pairs, per_block=20))
