"""V1 checkpoints: sorted tables that hold the tensors themselves, in one file `P` or in `P-00000-of-00002` ...

The format of TensorFlow's Saver before 1.0. Each value is a SavedTensorSlices message with one slice of a tensor, its
elements in a list by type, without type or shape: those are in the first entry, which lists the tensors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.errors import CorruptError, MissingError, UnsupportedError
from exporter.formats.files import RegularFile, empty
from exporter.formats.places import within
from exporter.formats.records import Array, TensorInfo
from exporter.formats.sstable import Table
from exporter.formats.tensor_slice import TensorSlice, slice_from_proto
from exporter.formats.tensor_values import VALUE_LISTS, from_wire, value_list
from exporter.formats.tf_protos import TensorSliceProto, parse
from exporter.formats.v1_meta import V1Tensor, read_meta
from exporter.formats.wire import LENGTH, fields

__all__ = ["CheckpointV1", "open_v1", "shard_paths"]

_SHARD = re.compile(r"(?s)(.*)-(?:[0-9]{5}|\?{5})-of-([0-9]{5})")
_DATA = 2
_NAME, _SLICE, _TENSOR = 1, 2, 3


def open_v1(path: Path) -> CheckpointV1:
    """The checkpoint of a file, of any file of a set, or of the pattern `P-?????-of-00002` of a set.

    Raises:
        SourceError: Its subclasses: a file is missing, damaged, none of a V1 checkpoint, or contradicts itself.
        UnsupportedError: Made for newer readers.
    """
    paths = shard_paths(path)
    try:
        return CheckpointV1(path, [Table(RegularFile.at(file)) for file in paths])
    except MissingError as error:
        error.hint = error.hint or (f"All {len(paths)} files of the set are needed." if len(paths) > 1 else None)
        raise


def shard_paths(path: Path) -> list[Path]:
    """All files of the set that a path belongs to; the path alone if it belongs to none.

    Raises:
        CorruptError: A set of no files.
    """
    match = _SHARD.fullmatch(path.name)
    if match is None:
        return [path]
    stem, count = match[1], int(match[2])
    if not count:
        raise CorruptError("the name says that it is one of 0 files", where=(f"file {path}",))
    return [path.with_name(f"{stem}-{number:05d}-of-{count:05d}") for number in range(count)]


class CheckpointV1:
    """The tensors of a V1 checkpoint; a `TensorStore`.

    Attributes:
        notes: What is unusual about it, but no error.
    """

    def __init__(self, path: Path, tables: list[Table]) -> None:
        self._path = path
        self._tables = tables
        self._tensors, self.notes = read_meta(tables)

    @property
    def description(self) -> str:
        """What it is, for people."""
        count = len(self._tables)
        return f"TensorFlow V1 checkpoint {self._path} ({count} file{'s' if count > 1 else ''})"

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tensors))

    def __len__(self) -> int:
        return len(self._tensors)

    def info(self, name: str) -> TensorInfo:
        """What is known of a tensor; its bytes are those of its elements, as the file's own aren't known before."""
        tensor = self._tensor(name)
        nbytes = math.prod(tensor.shape) * tensor.kind.itemsize
        return TensorInfo(name, tensor.kind.dtype, tensor.kind.name, tensor.shape, nbytes)

    def read(self, name: str) -> Array:
        """The tensor, with its slices put together.

        Raises:
            MissingError: There is none of that name, or a slice that is listed isn't stored.
            CorruptError: What is stored isn't what is listed.
            ChecksumError: The bytes are not those that were written.
            UnsupportedError: It holds variants or resources.
        """
        tensor = self._tensor(name)
        if tensor.kind.dtype is None:
            found = f"elements of type {tensor.kind.name}, of which there are no arrays"
            raise UnsupportedError(found, where=(f"checkpoint {self._path}", f"tensor {name}"))
        whole: Array | None = None
        for part in tensor.slices:
            table = self._tables[part.file]
            with within(table.file.place, f"tensor {name}"):
                values = _read_slice(table, name, tensor, part.index)
                if len(tensor.slices) == 1:
                    return values
                whole = empty(tensor.shape, tensor.kind.dtype, f"tensor {name}") if whole is None else whole
                whole[part.index.within(tensor.shape)] = values
        assert whole is not None
        return whole

    def _tensor(self, name: str) -> V1Tensor:
        if name not in self._tensors:
            raise MissingError(f"no tensor {name!r} in it", where=(f"checkpoint {self._path}",))
        return self._tensors[name]


def _read_slice(table: Table, name: str, tensor: V1Tensor, index: TensorSlice) -> Array:
    shape = tuple(cut.stop - cut.start for cut in index.within(tensor.shape))
    value = table.find(index.key(name))
    if value is None:
        raise MissingError(f"its slice {index} is listed, but not stored")
    stored = _only(value, (_DATA,), "entry")[_DATA]
    saved = _only(stored, (_NAME, _SLICE, _TENSOR), "slice")
    if saved[_NAME] != name.encode("utf-8"):
        raise CorruptError(f"its slice {index} holds tensor {saved[_NAME].tobytes()[:80]!r}")
    if slice_from_proto(parse(TensorSliceProto, saved[_SLICE].tobytes(), what="slice")) != index:
        raise CorruptError(f"its slice {index} holds another slice")
    wanted = value_list(tensor.kind)
    found = []
    for field in fields(saved[_TENSOR]):
        if field.number != wanted.number:
            names = {number: name for name, number in VALUE_LISTS}
            other = names.get(field.number, f"field {field.number}")
            raise CorruptError(f"{other} is stored, where type {tensor.kind.name} has {wanted.name}")
        found.append(field)
    values = from_wire(tensor.kind, found)
    count = math.prod(shape)
    if values.size != count:
        raise CorruptError(f"its slice {index} holds {values.size} values; shape {list(shape)} takes {count}")
    return values.reshape(shape)


def _only(data: memoryview, numbers: tuple[int, ...], what: str) -> dict[int, memoryview]:
    """The payloads of a message that has exactly these fields, each once (an empty message may be left out)."""
    found: dict[int, memoryview] = {}
    for field in fields(data):
        if field.number not in numbers or field.number in found or field.wire_type != LENGTH:
            raise CorruptError(f"field {field.number} doesn't belong in the {what} that is stored")
        found[field.number] = field.data
    return {number: found.get(number, memoryview(b"")) for number in numbers}
