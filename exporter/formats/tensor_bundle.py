"""V2 checkpoints: `P.index`, a sorted table of what is stored, and `P.data-00000-of-00001` ..., the tensors' bytes.

The format of TensorFlow's Saver since 1.0, of tf.train.Checkpoint, and of the variables of a SavedModel.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from exporter.errors import ChecksumError, CorruptError, MissingError, TruncatedError, UnsupportedError
from exporter.formats.bundle_index import BundleEntry, BundleIndex, read_index
from exporter.formats.bundle_strings import read_strings
from exporter.formats.crc32c import crc32c, mask
from exporter.formats.dtypes import STRING
from exporter.formats.files import RegularFile, empty
from exporter.formats.places import within
from exporter.formats.records import Array, TensorInfo

__all__ = ["TensorBundle", "open_bundle"]


def open_bundle(prefix: Path) -> TensorBundle:
    """The checkpoint whose files begin with `prefix`, with all of its index read and checked.

    Raises:
        SourceError: Its subclasses: a file is missing or damaged, or the index contradicts itself or the data files.
        UnsupportedError: Made for newer readers.
    """
    try:
        index = read_index(RegularFile.at(Path(f"{prefix}.index")))
        return TensorBundle(prefix, index, _open_shards(prefix, index))
    except MissingError as error:
        error.hint = error.hint or f"A checkpoint is {prefix.name}.index with all of its {prefix.name}.data-* files."
        raise


class TensorBundle:
    """The tensors of a V2 checkpoint; a `TensorStore`.

    Attributes:
        notes: What is unusual about it, but no error.
    """

    def __init__(self, prefix: Path, index: BundleIndex, shards: dict[int, RegularFile]) -> None:
        self._prefix = prefix
        self._index = index
        self._shards = shards
        notes = list(index.notes)
        for shard, ranges in _ranges(index).items():
            spare = shards[shard].size - max(end for _, end, _ in ranges)
            if spare:
                notes.append(f"{shards[shard].path.name} has {spare} bytes at its end that belong to no tensor")
        self.notes: tuple[str, ...] = tuple(notes)

    @property
    def description(self) -> str:
        """What it is, for people."""
        count = self._index.shards
        return f"TensorFlow V2 checkpoint {self._prefix} ({count} shard{'s' if count > 1 else ''})"

    def __contains__(self, name: object) -> bool:
        return name in self._index.entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._index.entries))

    def __len__(self) -> int:
        return len(self._index.entries)

    def info(self, name: str) -> TensorInfo:
        """What the index says of a tensor; MissingError if there is none of that name."""
        entry = self._entry(name)
        nbytes = entry.size + sum(part.entry.size for part in self._index.parts.get(name, ()))
        return TensorInfo(name, entry.kind.dtype, entry.kind.name, entry.shape, nbytes)

    def read(self, name: str) -> Array:
        """The tensor, with its slices put together.

        Raises:
            MissingError: There is none of that name.
            ChecksumError: Its bytes are not those that were written.
            UnsupportedError: It holds variants or resources.
        """
        entry = self._entry(name)
        if entry.kind.dtype is None:
            found = f"elements of type {entry.kind.name}, of which there are no arrays"
            raise UnsupportedError(found, where=(f"checkpoint {self._prefix}", f"tensor {name}"))
        if not entry.slices:
            return self._read(name, entry)
        whole = empty(entry.shape, entry.kind.dtype, f"tensor {name}")
        for part in self._index.parts[name]:
            whole[part.where] = self._read(name, part.entry)
        return whole

    def _entry(self, name: str) -> BundleEntry:
        if name not in self._index.entries:
            raise MissingError(f"no tensor {name!r} in it", where=(f"checkpoint {self._prefix}",))
        return self._index.entries[name]

    def _read(self, name: str, entry: BundleEntry) -> Array:
        file = self._shards[entry.shard]
        with within(file.place, f"tensor {name}", f"offset {entry.offset}"):
            raw, big_endian = file.read(entry.offset, entry.size), self._index.big_endian
            if entry.kind == STRING:
                array, crc = read_strings(raw, math.prod(entry.shape), big_endian=big_endian)
                _check(entry, crc)
            else:
                _check(entry, crc32c(raw))
                array = entry.kind.from_bytes(raw, swapped=big_endian != (sys.byteorder == "big"))
            return array.reshape(entry.shape)


def _check(entry: BundleEntry, crc: int) -> None:
    if mask(crc) != entry.crc:
        hint = "The file is damaged: copy or download it again."
        found = f"its bytes have checksum {mask(crc):#010x}, the index says {entry.crc:#010x}"
        raise ChecksumError(found, hint=hint)


def _ranges(index: BundleIndex) -> dict[int, list[tuple[int, int, str]]]:
    """Offset, end and tensor name of all stored data, by shard, in the order they lie in the file."""
    ranges: dict[int, list[tuple[int, int, str]]] = {}
    for name, entry in index.entries.items():
        stored = [part.entry for part in index.parts[name]] if entry.slices else [entry]
        for one in stored:
            ranges.setdefault(one.shard, []).append((one.offset, one.offset + one.size, name))
    return {shard: sorted(ranges[shard]) for shard in sorted(ranges)}


def _open_shards(prefix: Path, index: BundleIndex) -> dict[int, RegularFile]:
    """The data files that the index refers to; every tensor lies inside of its file and shares no byte."""
    shards = {}
    for shard, ranges in _ranges(index).items():
        file = shards[shard] = RegularFile.at(Path(f"{prefix}.data-{shard:05d}-of-{index.shards:05d}"))
        for _, end, name in ranges:
            if end > file.size:
                found = f"it ends at byte {end} of a file of {file.size} bytes"
                hint = "The file is incomplete: copy or download it again."
                raise TruncatedError(found, hint=hint, where=(file.place, f"tensor {name}"))
        for (_, end, name), (start, stop, other) in itertools.pairwise([one for one in ranges if one[0] < one[1]]):
            if start < end and start < stop:
                found = f"it shares bytes {start} to {min(end, stop)} with tensor {other}"
                raise CorruptError(found, where=(file.place, f"tensor {name}"))
    return shards
