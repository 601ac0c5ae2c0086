"""V2 checkpoints whose every part can be made wrong before they are written with right checksums."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from exporter.formats.crc32c import crc32c, mask
from exporter.formats.dtypes import DATA_TYPES
from exporter.formats.ordered_code import encode_slice_key
from exporter.formats.records import Array
from exporter.formats.tf_protos import BundleEntryProto, BundleHeaderProto
from tests.hostile.table_writer import table, varint

__all__ = ["Bundle", "string_bytes"]


@dataclass
class Bundle:
    """A checkpoint to be: change `header`, `entries`, `raw` or `data`, then write.

    Attributes:
        header: Of the index.
        entries: By key, as messages.
        raw: By key, values that replace entries.
        data: Bytes of each data file.
        per_block: Entries in one block of the index.
        without_header: Leaves the first entry out.
    """

    shards: int = 1
    big_endian: bool = False
    header: BundleHeaderProto = field(init=False)
    entries: dict[bytes, BundleEntryProto] = field(default_factory=dict)
    raw: dict[bytes, bytes] = field(default_factory=dict)
    data: list[bytearray] = field(init=False)
    per_block: int = 10_000
    without_header: bool = False

    def __post_init__(self) -> None:
        self.header = BundleHeaderProto(num_shards=self.shards, endianness=int(self.big_endian))
        self.header.version.producer = 1
        self.data = [bytearray() for _ in range(self.shards)]

    def add(self, name: str, array: Array, *, dtype: int | None = None, shard: int = 0) -> BundleEntryProto:
        """Stores a tensor; its entry, to be changed."""
        return self._put(name.encode(), array, dtype, shard)

    def add_slices(self, name: str, array: Array, parts: Sequence[tuple[tuple[int, int], ...]]) -> BundleEntryProto:
        """Stores a tensor in slices of (start, length), -1 for all, over all data files; the entry of the whole."""
        whole = BundleEntryProto(dtype=_number(array))
        for size in array.shape:
            whole.shape.dim.add(size=size)
        for number, extents in enumerate(parts):
            listed = whole.slices.add()
            for start, length in extents:
                listed.extent.add(**({} if length == -1 else {"start": start, "length": length}))
            cut = tuple(slice(start, None if length == -1 else start + length) for start, length in extents)
            self._put(encode_slice_key(name, extents), array[cut], None, number % self.shards)
        self.entries[name.encode()] = whole
        return whole

    def values(self) -> dict[bytes, bytes]:
        """Keys and values of the index."""
        values = {} if self.without_header else {b"": self.header.SerializeToString()}
        values.update((key, entry.SerializeToString()) for key, entry in self.entries.items())
        values.update(self.raw)
        return values

    def index(self) -> bytes:
        """The index file."""
        return table(sorted(self.values().items()), per_block=self.per_block)

    def write(self, prefix: Path) -> Path:
        """Writes all files; gives the prefix back."""
        Path(f"{prefix}.index").write_bytes(self.index())
        for shard, data in enumerate(self.data):
            Path(f"{prefix}.data-{shard:05d}-of-{self.shards:05d}").write_bytes(data)
        return prefix

    def _put(self, key: bytes, array: Array, dtype: int | None, shard: int) -> BundleEntryProto:
        if array.dtype == object:
            stored, crc = string_bytes([bytes(one) for one in array.reshape(-1)], big_endian=self.big_endian)
        else:
            stored = _swapped(array).tobytes() if self.big_endian else array.tobytes()
            crc = crc32c(stored)
        offset = len(self.data[shard])
        self.data[shard] += stored
        entry = BundleEntryProto(dtype=dtype or _number(array), shard_id=shard, offset=offset, size=len(stored))
        entry.crc32c = mask(crc)
        entry.shape.SetInParent()
        for size in array.shape:
            entry.shape.dim.add(size=size)
        self.entries[key] = entry
        return entry


def string_bytes(values: list[bytes], *, big_endian: bool = False) -> tuple[bytes, int]:
    """The stored form of a string tensor and its checksum."""
    order = ">" if big_endian else "<"
    crc = crc32c(b"".join(struct.pack(order + "I", len(value)) for value in values))
    stored = struct.pack(order + "I", mask(crc))
    crc = crc32c(stored + b"".join(values), crc)
    return b"".join(varint(len(value)) for value in values) + stored + b"".join(values), crc


def _number(array: Array) -> int:
    return next(kind.number for kind in DATA_TYPES.values() if kind.dtype == array.dtype)


def _swapped(array: Array) -> Array:
    kind = DATA_TYPES[_number(array)]
    raw = np.ascontiguousarray(array).reshape(-1).view(f"u{kind.component}")
    return raw.byteswap()
