"""HDF5 files, as Keras writes them: groups, attributes and datasets.

The HDF5 library hangs or corrupts memory on some damaged files, so it runs in a child process (`hdf5_child.py`) with
a limit on its time and memory. The child is asked once, for everything but the data: those of Keras lie in the file
as they are, and are read from here at the places that the child names. That costs the start of a Python process, a
tenth of a second, most of it for importing h5py, which would be needed anyway, and no copy of the data. To refuse in
advance what isn't contiguous would not do instead: it is the walk to the datasets that hangs.

Links, external storage and virtual datasets are refused before they are opened, as they would read other files, and
datasets that expand to far more than is stored before they are read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.errors import CorruptError, FormatError, MissingError, UnsupportedError
from exporter.formats.dtypes import DATA_TYPES
from exporter.formats.files import RegularFile
from exporter.formats.hdf5_process import list_hdf5
from exporter.formats.places import within
from exporter.formats.records import Array, TensorInfo

__all__ = ["SIGNATURE", "Attribute", "Hdf5File", "open_hdf5"]

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"

Attribute: TypeAlias = str | int | float | bool | list[str] | list[int] | list[float] | list[bool]
"""Texts and numbers; an array is a flat list, empty ones included. Attributes of other types are left out."""

_KINDS: Final = {
    kind.numpy_name: kind for kind in reversed(DATA_TYPES.values()) if kind.component and not kind.name.startswith("q")
}
"""By NumPy's name; the quantised types share theirs with the plain ones."""


@dataclass(frozen=True, slots=True)
class _Dataset:
    info: TensorInfo
    stored: np.dtype[Any] | None
    offset: int | None
    spooled: int | None
    attributes: dict[str, Attribute]


def open_hdf5(path: Path, *, start: int = 0, size: int | None = None, in_memory: bool = False) -> Hdf5File:
    """An HDF5 file, or one that is a part of another file, with everything in it listed.

    Args:
        path: The file.
        start: Where in the file it begins.
        size: How long it is; by default to the end of the file.
        in_memory: Reads all data now, so that the file isn't needed any more.

    Raises:
        MissingError: There is no such file.
        FormatError: It isn't HDF5.
        TruncatedError: It ends too early.
        UnsafeError: It refers to other files, or has links that could.
        LimitError: It holds too much, expands too far, or takes the HDF5 library too long.
        CorruptError: The HDF5 library can't read it, or crashes on it.
    """
    file = RegularFile.at(path)
    size = file.size - start if size is None else size
    with within(file.place):
        if file.read(start, min(size, len(SIGNATURE))).tobytes() != SIGNATURE:
            raise FormatError("it doesn't begin as an HDF5 file does")
        with tempfile.TemporaryDirectory(prefix="ckpt2onnx-") as folder:
            spool = Path(folder) / "spool"
            answer = list_hdf5(file, start, size, spool, copy=in_memory)
            return Hdf5File(file, start, answer, spool.read_bytes())


class Hdf5File:
    """Groups, attributes and datasets; a `TensorStore` of the datasets by their paths, as `conv1/conv1/kernel:0`.

    Paths have no slash at the beginning; the root group is the empty path.
    """

    def __init__(self, file: RegularFile, start: int, answer: dict[str, Any], spool: bytes) -> None:
        self._file = file
        self._start = start
        self._spool = spool
        self._groups: dict[str, dict[str, Attribute]] = answer["groups"]
        self._datasets = {path: _dataset(path, found) for path, found in answer["datasets"].items()}
        self._inner_groups = _children(self._groups)
        self._inner_datasets = _children(self._datasets)

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"HDF5 file {self._file.path}"

    def __contains__(self, name: object) -> bool:
        return name in self._datasets

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._datasets))

    def __len__(self) -> int:
        return len(self._datasets)

    def groups(self, path: str = "") -> list[str]:
        """The names of the groups that are directly in a group, sorted; MissingError if there is no such group."""
        self._group(path)
        return self._inner_groups.get(path, [])

    def datasets(self, path: str = "") -> list[str]:
        """The names of the datasets that are directly in a group, sorted; MissingError if there is no such group."""
        self._group(path)
        return self._inner_datasets.get(path, [])

    def has_group(self, path: str) -> bool:
        """Whether there is a group at a path."""
        return path in self._groups

    def attributes(self, path: str = "") -> dict[str, Attribute]:
        """The attributes of a group or dataset; MissingError if there is none."""
        return self._datasets[path].attributes if path in self._datasets else self._group(path)

    def texts(self, path: str, name: str) -> list[str] | None:
        """An attribute that is a list of texts; None if there is none.

        A list that is too long for an attribute is written in several: `name0`, `name1`, ...

        Raises:
            CorruptError: It is something else.
        """
        found = self.attributes(path)
        pieces = [found[name]] if name in found else []
        while not pieces or name not in found:
            piece = found.get(f"{name}{len(pieces)}")
            if piece is None:
                break
            pieces.append(piece)
        texts = [text for piece in pieces for text in (piece if isinstance(piece, list) else [piece])]
        if not all(isinstance(text, str) for text in texts):
            found_here = f"its attribute '{name}' isn't a list of texts"
            raise CorruptError(found_here, where=(self._file.place, f"group {path}"))
        return [str(text) for text in texts] if pieces else None

    def info(self, name: str) -> TensorInfo:
        """What is known of a dataset without reading it; MissingError if there is none of that name."""
        return self._dataset(name).info

    def read(self, name: str) -> Array:
        """A dataset.

        Raises:
            MissingError: There is none of that name.
            UnsupportedError: It holds something else than numbers.
            TruncatedError: The file ends before it does.
        """
        found = self._dataset(name)
        with within(self._file.place, f"dataset {name}"):
            if found.stored is None or found.info.dtype is None:
                raise UnsupportedError(f"it holds elements of type {found.info.kind}, where numbers are needed")
            if found.offset is None:
                first = found.spooled or 0
                raw = np.frombuffer(self._spool, np.uint8)[first : first + found.info.nbytes].copy()
            else:
                raw = self._file.read(self._start + found.offset, found.info.nbytes)
            stored, wanted = found.stored, found.info.dtype
            if wanted == np.bool_ and stored.kind != "V" and raw.size and int(raw.max()) > 1:
                raise CorruptError(f"a bool of value {int(raw.max())}, where only 0 and 1 exist")
            array = raw.view(wanted) if stored.kind == "V" else raw.view(stored).astype(wanted, copy=False)
            return array.reshape(found.info.shape)

    def _group(self, path: str) -> dict[str, Attribute]:
        if path not in self._groups:
            raise MissingError(f"no group '{path}' in it", where=(self._file.place,))
        return self._groups[path]

    def _dataset(self, name: str) -> _Dataset:
        if name not in self._datasets:
            raise MissingError(f"no dataset '{name}' in it", where=(self._file.place,))
        return self._datasets[name]


def _children(paths: Iterable[str]) -> dict[str, list[str]]:
    """Names by the path of the group they are in."""
    children: dict[str, list[str]] = {}
    for path in sorted(paths):
        parent, _, name = path.rpartition("/")
        if name:
            children.setdefault(parent, []).append(name)
    return children


def _dataset(path: str, found: dict[str, Any]) -> _Dataset:
    stored = None if found["dtype"] is None else np.dtype(found["dtype"])
    kind = _KINDS.get(found["kind"])
    dtype = kind.dtype if kind and stored is not None and kind.itemsize == stored.itemsize else None
    info = TensorInfo(path, dtype, kind.name if kind else found["kind"], tuple(found["shape"]), found["nbytes"])
    return _Dataset(info, stored, found.get("offset"), found.get("spooled"), found["attributes"])
