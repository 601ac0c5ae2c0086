"""What a V1 checkpoint says of its tensors: the first entry of each of its files, and all of them put together."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.errors import CorruptError, FormatError, MissingError
from exporter.formats.bundle_index import check_version
from exporter.formats.dtypes import DataType, data_type
from exporter.formats.places import within
from exporter.formats.sstable import Table
from exporter.formats.tensor_shape import shape_from_proto
from exporter.formats.tensor_slice import TensorSlice, check_cover, slice_from_proto
from exporter.formats.tf_protos import SavedTensorSlices, parse

__all__ = ["StoredSlice", "V1Tensor", "read_meta"]


@dataclass(frozen=True, slots=True)
class StoredSlice:
    """A slice, and the number of the file that holds it."""

    index: TensorSlice
    file: int


@dataclass(frozen=True, slots=True)
class V1Tensor:
    """What the files say of one tensor.

    Attributes:
        kind: Element type.
        shape: Of the whole tensor.
        slices: They fill it exactly once.
    """

    kind: DataType
    shape: tuple[int, ...]
    slices: tuple[StoredSlice, ...]


def read_meta(tables: list[Table]) -> tuple[dict[str, V1Tensor], tuple[str, ...]]:
    """All tensors by name, and notes on what is unusual.

    Raises:
        FormatError: The first entry of a file is none of a V1 checkpoint.
        SourceError: Its subclasses: tensors whose type, shape or slices contradict themselves or another file.
        UnsupportedError: Written for a newer reader.
    """
    tensors: dict[str, V1Tensor] = {}
    notes: dict[str, None] = {}
    for number, table in enumerate(tables):
        with within(table.file.place):
            meta = _first(table).meta
            notes |= dict.fromkeys(check_version(meta.versions))
            for name, found in _tensors(meta, number).items():
                known = tensors.setdefault(name, found)
                if known is found:
                    continue
                if (known.kind, known.shape) != (found.kind, found.shape):
                    was = f"{known.kind.name} {list(known.shape)} in another file"
                    raise CorruptError(f"{found.kind.name} {list(found.shape)}, but {was}", where=(f"tensor {name}",))
                tensors[name] = V1Tensor(known.kind, known.shape, known.slices + found.slices)
    for name, tensor in tensors.items():
        with within(tables[tensor.slices[0].file].file.place, f"tensor {name}"):
            check_cover(tensor.shape, [part.index.within(tensor.shape) for part in tensor.slices])
    return tensors, tuple(notes)


def _first(table: Table) -> SavedTensorSlices:
    key, value = table.first() or (None, memoryview(b""))
    if key != b"":
        raise FormatError("a sorted table, but its first entry isn't that of a TensorFlow V1 checkpoint")
    slices = parse(SavedTensorSlices, value.tobytes(), what="first entry")
    if not slices.HasField("meta"):
        raise FormatError("its first entry doesn't list the tensors of a TensorFlow V1 checkpoint")
    return slices


def _tensors(meta: SavedTensorSlices, file: int) -> dict[str, V1Tensor]:
    tensors: dict[str, V1Tensor] = {}
    for entry in meta.tensor:
        with within(f"tensor {entry.name[:80]}"):
            if entry.name in tensors:
                raise CorruptError("it is listed twice")
            if not entry.slice:
                raise MissingError("it is listed without any slice")
            slices = tuple([StoredSlice(slice_from_proto(part), file) for part in entry.slice])
            tensors[entry.name] = V1Tensor(data_type(entry.type), shape_from_proto(entry.shape), slices)
    return tensors
