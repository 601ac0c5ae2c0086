"""Weights in memory, where a stage wants a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter.errors import MissingError
from exporter.formats.dtypes import DATA_TYPES
from exporter.formats.records import Array, TensorInfo

__all__ = ["MemoryStore"]


@dataclass(frozen=True)
class MemoryStore:
    """Arrays by name, as a checkpoint."""

    arrays: Mapping[str, Array]
    description: str = "weights in memory"

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.arrays))

    def __len__(self) -> int:
        return len(self.arrays)

    def info(self, name: str) -> TensorInfo:
        """As the protocol says."""
        if name not in self.arrays:
            raise MissingError(f"there is no tensor {name}")
        array = self.arrays[name]
        kind = next(kind.name for kind in DATA_TYPES.values() if kind.dtype == array.dtype)
        return TensorInfo(name, array.dtype, kind, array.shape, array.nbytes)

    def read(self, name: str) -> Array:
        """As the protocol says."""
        return self.arrays[name].copy()
