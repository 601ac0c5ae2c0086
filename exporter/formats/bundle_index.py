"""The index of a V2 checkpoint: a header, then what is stored of each tensor and where.

A partitioned variable has an entry that lists its slices and holds no data; each slice has an entry of its own, under
a key that begins with a zero byte.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from exporter.errors import CorruptError, MissingError, UnsupportedError
from exporter.formats import limits
from exporter.formats.dtypes import STRING, DataType, data_type
from exporter.formats.files import RegularFile
from exporter.formats.ordered_code import decode_slice_key
from exporter.formats.places import within
from exporter.formats.sstable import Table
from exporter.formats.tensor_shape import shape_from_proto
from exporter.formats.tensor_slice import TensorSlice, check_cover, slice_from_proto
from exporter.formats.tf_protos import BundleEntryProto, BundleHeaderProto, parse

__all__ = ["BundleEntry", "BundleIndex", "Part", "check_version", "read_index"]

_VERSION = 1
_LITTLE, _BIG = 0, 1


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """What the index says of one tensor, or of one slice of one.

    Attributes:
        kind: Element type.
        shape: Of the tensor or of the slice.
        shard: Number of the data file.
        offset: In that file, in bytes.
        size: In bytes; 0 for a tensor stored in slices.
        crc: Masked CRC-32C of the stored bytes.
        slices: Of a tensor stored in slices.
    """

    kind: DataType
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[TensorSlice, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A stored slice and where it belongs in the whole tensor."""

    where: tuple[slice, ...]
    entry: BundleEntry


@dataclass(frozen=True, slots=True)
class BundleIndex:
    """A checked index.

    Attributes:
        shards: Number of data files that belong to it.
        big_endian: Byte order of everything in them.
        entries: By tensor name.
        parts: By name of a tensor stored in slices.
        notes: What is unusual, but no error.
    """

    shards: int
    big_endian: bool
    entries: dict[str, BundleEntry]
    parts: dict[str, tuple[Part, ...]]
    notes: tuple[str, ...]


def read_index(file: RegularFile) -> BundleIndex:
    """Reads all of the index and checks it.

    Raises:
        SourceError: Its subclasses, naming the file and, where it is about one, the tensor.
        UnsupportedError: Written for a newer reader, or in a byte order nobody knows.
    """
    table = Table(file).entries()
    with within(file.place):
        key, value = next(table, (None, memoryview(b"")))
        if key != b"":
            raise CorruptError("the first entry isn't the header of a TensorFlow V2 checkpoint")
        header = parse(BundleHeaderProto, value.tobytes(), what="header")
        if not 1 <= header.num_shards <= limits.MAX_SHARDS:
            raise CorruptError(f"the header says that there are {header.num_shards} data files")
        if header.endianness not in (_LITTLE, _BIG):
            raise UnsupportedError(f"byte order {header.endianness}, where 0 is little-endian and 1 big-endian")
        notes = check_version(header.version)
        entries: dict[str, BundleEntry] = {}
        slices: dict[bytes, BundleEntry] = {}
        for key, value in table:
            entry = _read_entry(key, value, header.num_shards)
            if key.startswith(b"\x00"):
                slices[key] = entry
                continue
            try:
                entries[key.decode("utf-8")] = entry
            except UnicodeDecodeError as error:
                raise CorruptError(f"the tensor name {key[:80]!r} isn't UTF-8 text") from error
        parts = {name: _parts(name, entry, slices) for name, entry in entries.items() if entry.slices}
        for key in slices:
            name, extents = decode_slice_key(key)
            raise CorruptError(f"slice {TensorSlice(extents)} is stored, but not listed", where=(f"tensor {name}",))
    return BundleIndex(header.num_shards, header.endianness == _BIG, entries, parts, notes)


def check_version(version: Any) -> tuple[str, ...]:
    """Notes on a VersionDef; UnsupportedError if this reader, of version 1, is too old for it."""
    if version.min_consumer > _VERSION or _VERSION in version.bad_consumers:
        found = f"format version {version.producer}, for readers of version {version.min_consumer} and later"
        raise UnsupportedError(f"{found}; this one has {_VERSION}")
    return (f"written by format version {version.producer}",) if version.producer > _VERSION else ()


def _read_entry(key: bytes, value: memoryview, shards: int) -> BundleEntry:
    with within(f"tensor {key[:80].decode('utf-8', 'backslashreplace')}"):
        proto = parse(BundleEntryProto, value.tobytes(), what="entry")
        kind = data_type(proto.dtype)
        shape = shape_from_proto(proto.shape)
        slices = tuple([slice_from_proto(part) for part in proto.slices])
        entry = BundleEntry(kind, shape, proto.shard_id, proto.offset, proto.size, proto.crc32c, slices)
        if not 0 <= entry.shard < shards:
            raise CorruptError(f"it is in data file {entry.shard} of {shards}")
        if entry.offset < 0 or entry.size < 0:
            raise CorruptError(f"it has {entry.size} bytes at offset {entry.offset}")
        count = math.prod(shape)
        if slices:
            if entry.size:
                raise CorruptError(f"it is stored in slices and yet has {entry.size} bytes of its own")
        elif kind.itemsize:
            if entry.size != count * kind.itemsize:
                found = f"{entry.size} bytes for shape {list(shape)} of type {kind.name}"
                raise CorruptError(f"{found}, which takes {count * kind.itemsize}")
        elif kind == STRING and entry.size < count + 4:
            raise CorruptError(f"{entry.size} bytes can't hold {count} strings")
    return entry


def _parts(name: str, whole: BundleEntry, slices: dict[bytes, BundleEntry]) -> tuple[Part, ...]:
    """The parts of a tensor, taken out of `slices`."""
    parts = []
    with within(f"tensor {name}"):
        for index in whole.slices:
            entry = slices.pop(index.key(name), None)
            if entry is None:
                raise MissingError(f"its slice {index} isn't there, or is listed twice")
            where = index.within(whole.shape)
            shape = tuple(cut.stop - cut.start for cut in where)
            if entry.slices or (entry.shape, entry.kind) != (shape, whole.kind):
                found = f"{entry.kind.name} {list(entry.shape)} where {whole.kind.name} {list(shape)} belongs"
                raise CorruptError(f"its slice {index} is {found}")
            parts.append(Part(where, entry))
        check_cover(whole.shape, [part.where for part in parts])
    return tuple(parts)
