"""V1 checkpoints whose every part can be made wrong before they are written with right checksums."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from exporter.formats.dtypes import DATA_TYPES
from exporter.formats.ordered_code import encode_slice_key
from exporter.formats.records import Array
from exporter.formats.tensor_values import value_list
from exporter.formats.tf_protos import SavedTensorSlices
from tests.hostile.table_writer import table

__all__ = ["V1File"]


@dataclass
class V1File:
    """One file of a V1 checkpoint to be.

    Attributes:
        meta: The first entry.
        slices: The other entries, by key.
        raw: By key, values that replace entries.
    """

    meta: SavedTensorSlices = field(default_factory=SavedTensorSlices)
    slices: dict[bytes, SavedTensorSlices] = field(default_factory=dict)
    raw: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.meta.meta.versions.producer = 1

    def add(self, name: str, array: Array, parts: list[tuple[tuple[int, int], ...]] | None = None) -> SavedTensorSlices:
        """Stores a tensor, whole or in slices; the last entry, to be changed."""
        kind = next(kind for kind in DATA_TYPES.values() if kind.dtype == array.dtype)
        listed = self.meta.meta.tensor.add(name=name, type=kind.number)
        listed.shape.SetInParent()
        for size in array.shape:
            listed.shape.dim.add(size=size)
        for extents in parts or [((0, -1),) * array.ndim]:
            entry = SavedTensorSlices()
            entry.data.name = name
            entry.data.slice.SetInParent()
            for start, length in extents:
                entry.data.slice.extent.add(**({} if length == -1 else {"start": start, "length": length}))
            listed.slice.add().CopyFrom(entry.data.slice)
            cut = tuple(slice(start, None if length == -1 else start + length) for start, length in extents)
            entry.data.data.SetInParent()
            getattr(entry.data.data, value_list(kind).name).extend(_stored(array[cut].reshape(-1)).tolist())
            self.slices[encode_slice_key(name, extents)] = entry
        return entry

    def values(self) -> dict[bytes, bytes]:
        """Keys and values of the table."""
        values = {b"": self.meta.SerializeToString()}
        values.update((key, entry.SerializeToString()) for key, entry in self.slices.items())
        values.update(self.raw)
        return values

    def write(self, path: Path, *, per_block: int = 4) -> Path:
        """Writes the file; gives its path back."""
        path.write_bytes(table(sorted(self.values().items()), per_block=per_block))
        return path


def _stored(values: Array) -> Array:
    """What the list of a type holds: the parts of complex numbers, the bits of half ones."""
    values = np.ascontiguousarray(values)
    if values.dtype.kind == "c":
        return values.view(f"f{values.itemsize // 2}")
    return values.view(np.uint16) if values.dtype == np.float16 else values
