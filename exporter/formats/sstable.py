"""Sorted tables of keys and values in LevelDB's file format: the index of V2 checkpoints, and all of V1 ones.

    file   = data block*, metaindex block (empty), index block, footer
    block  = contents, type (0 raw, 1 snappy), masked CRC-32C of both (u32)
    footer = handle of the metaindex, handle of the index (offset, size as varints), zeros up to 40 bytes, magic (u64)

A data block is found through the index, whose keys only separate blocks. The blocks lie one behind the other, so a
table has no bytes that belong to nothing, and none that belong to two.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exporter.errors import ChecksumError, CorruptError, FormatError, LimitError, TruncatedError
from exporter.formats import limits
from exporter.formats.crc32c import crc32c, mask
from exporter.formats.files import RegularFile
from exporter.formats.places import within
from exporter.formats.snappy import decompress
from exporter.formats.sstable_block import Entries, read_entries
from exporter.formats.varint import read_varint

__all__ = ["FOOTER_BYTES", "MAGIC", "Table"]

MAGIC: Final = bytes.fromhex("57fb808b247547db")
FOOTER_BYTES: Final = 48

_TRAILER = 5
_RAW, _SNAPPY = 0, 1


@dataclass(frozen=True, slots=True)
class _Handle:
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size + _TRAILER


class Table:
    """A table whose footer and index have been read and checked; its data blocks are read when asked for.

    Raises:
        FormatError: The file is empty or doesn't end as a table does.
        TruncatedError, ChecksumError, CorruptError, LimitError: It is one, but damaged or absurd.
    """

    def __init__(self, file: RegularFile) -> None:
        self.file = file
        self._last: tuple[int, Entries] | None = None
        with within(file.place):
            metaindex, index = self._footer()
            self._separators, self._handles = self._index(index)
            position = 0
            for handle in (*self._handles, metaindex, index):
                if handle.offset != position:
                    raise CorruptError(f"a block at byte {handle.offset}, where the one before ends at {position}")
                position = handle.end
            if self._entries(metaindex)[0]:
                raise CorruptError("its metaindex block isn't empty")

    def __len__(self) -> int:
        """How many data blocks it has."""
        return len(self._handles)

    def first(self) -> tuple[bytes, memoryview] | None:
        """Its first entry; None if it has none."""
        keys, values = self._block(0) if self._handles else ([], [])
        return (keys[0], values[0]) if keys else None

    def entries(self) -> Iterator[tuple[bytes, memoryview]]:
        """All keys, strictly ascending, with their values."""
        count = 0
        for number in range(len(self._handles)):
            keys, values = self._block(number)
            count += len(keys)
            if count > limits.MAX_ENTRIES:
                raise LimitError(f"more than {limits.MAX_ENTRIES} entries", where=(self.file.place,))
            yield from zip(keys, values, strict=True)

    def find(self, key: bytes) -> memoryview | None:
        """The value of a key; None if there is no such key."""
        number = bisect.bisect_left(self._separators, key)
        if number == len(self._handles):
            return None
        keys, values = self._block(number)
        place = bisect.bisect_left(keys, key)
        return values[place] if place < len(keys) and keys[place] == key else None

    def _footer(self) -> tuple[_Handle, _Handle]:
        size = self.file.size
        if size < FOOTER_BYTES:
            kind = TruncatedError if size else FormatError
            raise kind(f"{size} bytes, too few for a TensorFlow checkpoint")
        footer = self.file.read(size - FOOTER_BYTES, FOOTER_BYTES).tobytes()
        if footer[-len(MAGIC) :] != MAGIC:
            hint = "If it was downloaded or copied, it may be incomplete."
            raise FormatError("it doesn't end as a TensorFlow checkpoint does", hint=hint)
        metaindex, position = _read_handle(footer, 0)
        index, position = _read_handle(footer, position)
        if position > 40 or any(footer[position:40]):
            raise CorruptError("bytes in its footer that mean nothing")
        return metaindex, index

    def _index(self, index: _Handle) -> tuple[list[bytes], list[_Handle]]:
        if index.end != self.file.size - FOOTER_BYTES:
            raise CorruptError(f"the index at byte {index.offset} of {index.size} bytes doesn't reach the footer")
        separators, values = self._entries(index)
        handles = []
        for value in values:
            handle, position = _read_handle(bytes(value[:20]), 0)
            if position != len(value):
                raise CorruptError("its index has an entry that isn't a block's place")
            handles.append(handle)
        return separators, handles

    def _block(self, number: int) -> Entries:
        if self._last is None or self._last[0] != number:
            keys, values = self._entries(self._handles[number])
            lower = self._separators[number - 1] if number else None
            if not keys or keys[-1] > self._separators[number] or (lower is not None and keys[0] <= lower):
                found = f"the block at byte {self._handles[number].offset} holds other keys than its index says"
                raise CorruptError(found, where=(self.file.place,))
            self._last = number, (keys, values)
        return self._last[1]

    def _entries(self, handle: _Handle) -> Entries:
        with within(self.file.place, f"block at byte {handle.offset}"):
            if handle.end > self.file.size - FOOTER_BYTES:
                raise CorruptError(f"its {handle.size} bytes reach past the end at {self.file.size}")
            raw = self.file.read(handle.offset, handle.size + _TRAILER)
            stored = int.from_bytes(raw[-4:].tobytes(), "little")
            found = mask(crc32c(raw[:-4]))
            if stored != found:
                raise ChecksumError(f"stored checksum {stored:#010x}, computed {found:#010x}")
            kind = int(raw[-_TRAILER])
            if kind not in (_RAW, _SNAPPY):
                raise CorruptError(f"compressed in a way, {kind}, that TensorFlow doesn't have")
            contents = raw[:-_TRAILER].data
            return read_entries(memoryview(decompress(contents)) if kind == _SNAPPY else contents)


def _read_handle(data: bytes, position: int) -> tuple[_Handle, int]:
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return _Handle(offset, size), position
