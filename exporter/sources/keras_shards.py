"""Keras 3 weights spread over several files: `x.weights.json` says which file has which group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.errors import CorruptError, LimitError, MissingError, UnsafeError
from exporter.formats.files import RegularFile
from exporter.formats.hdf5 import Hdf5File, open_hdf5
from exporter.formats.json_text import parse_json
from exporter.formats.limits import MAX_CONFIG_BYTES
from exporter.formats.records import Array, TensorInfo
from exporter.sources.keras_settings import expect_mapping, expect_text

__all__ = ["ShardedWeights", "is_weight_map", "open_shards", "read_json"]


def read_json(path: Path) -> object:
    """The contents of a JSON file, within bounds."""
    file = RegularFile.at(path)
    if file.size > MAX_CONFIG_BYTES:
        raise LimitError(f"{file.size} bytes of JSON; {MAX_CONFIG_BYTES} are allowed").within(f"file {path}")
    return parse_json(file.read(0).tobytes(), what=f"file {path}")


def is_weight_map(document: object) -> bool:
    """Whether a JSON value is an index of sharded weights."""
    return isinstance(document, Mapping) and "weight_map" in document


class ShardedWeights:
    """The datasets of all shards as one store.

    Args:
        path: The index.
        shards: The files, by name.
    """

    def __init__(self, path: Path, shards: Mapping[str, Hdf5File]) -> None:
        self._path = path
        self._shards = shards
        self._owner: dict[str, Hdf5File] = {}
        for name, shard in shards.items():
            for key in shard:
                if key in self._owner:
                    raise CorruptError(f"dataset {key} is in {name} and in another shard").within(f"file {path}")
                self._owner[key] = shard

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"sharded Keras weights {self._path} ({len(self._shards)} files)"

    def __contains__(self, name: object) -> bool:
        return name in self._owner

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._owner))

    def __len__(self) -> int:
        return len(self._owner)

    def info(self, name: str) -> TensorInfo:
        """What is known of a dataset; MissingError if there is none of that name."""
        return self._of(name).info(name)

    def read(self, name: str) -> Array:
        """A dataset, as `Hdf5File.read`."""
        return self._of(name).read(name)

    def name_of(self, group: str) -> str | None:
        """The layer name that a group is marked with in any shard."""
        for shard in self._shards.values():
            if shard.has_group(group):
                name = shard.attributes(group).get("name")
                if isinstance(name, str):
                    return name
        return None

    def _of(self, name: str) -> Hdf5File:
        if name not in self._owner:
            raise MissingError(f"no dataset {name!r} in any shard").within(f"file {self._path}")
        return self._owner[name]


def open_shards(path: Path, document: object) -> ShardedWeights:
    """The weights that an index names; the shards lie beside it.

    Raises:
        UnsafeError: A shard's name leads elsewhere.
        MissingError: A shard isn't there.
    """
    where = f"file {path}"
    index = expect_mapping(expect_mapping(document, where).get("weight_map"), f"{where}: weight_map")
    names: dict[str, None] = {}
    for value in index.values():
        for item in value if isinstance(value, list) else [value]:
            name = expect_text(item, f"{where}: weight_map entry")
            if name in ("", ".", "..") or name != Path(name).name or "\\" in name or "\0" in name:
                raise UnsafeError(f"it names the shard {name[:80]!r}, which is not a plain file name").within(where)
            names[name] = None
    return ShardedWeights(path, {name: open_hdf5(path.parent / name) for name in sorted(names)})
