"""The child process that opens HDF5 files; see `hdf5.py`. A script of its own: it imports nothing of the project.

    python -P hdf5_child.py REQUEST        REQUEST and the answer on standard output are JSON

It lists groups, attributes and datasets, with the place in the file of those whose data lie there as they are; data
that don't (compressed, in chunks), or on request all, are written one behind the other to the file `spool`.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

__all__ = ["main"]

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
    h5py.h5z.FILTER_SCALEOFFSET,
}


_HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError)
"""What h5py makes of errors of the HDF5 library."""


class RefusedError(Exception):
    """Something that has an error class of ours: its name, the place in the file, what is wrong."""


class Window(io.RawIOBase):
    """A part of a file as a file of its own, as the weights in an archive are."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, out: Any) -> int:
        view = memoryview(out).cast("B")
        self._stream.seek(self._start + self._at)
        data = self._stream.read(max(0, min(len(view), self._size - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Lists everything that is in the file."""
    answer: dict[str, Any] = {"groups": {}, "datasets": {}}
    with open(request["path"], "rb") as stream, open(request["spool"], "wb") as spool:  # noqa: PTH123
        whole = request["start"] == 0
        source = request["path"] if whole else io.BufferedReader(Window(stream, request["start"], request["size"]))
        with h5py.File(source, "r") as file:
            for path, found in _objects(file, request):
                if isinstance(found, h5py.Group):
                    answer["groups"][path] = _attributes(path, found, request)
                else:
                    answer["datasets"][path] = _dataset(path, found, spool, request)
    return answer


def _objects(file: Any, request: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Groups and datasets by path, each once; only what hangs together by hard links is in the file itself."""
    seen = {h5py.h5o.get_info(file.id).addr: ""}
    waiting = [("", file)]
    yield "", file
    while waiting:
        parent, group = waiting.pop()
        for name in group:
            path = f"{parent}/{name}" if parent else name
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise RefusedError("UnsafeError", path, "a link, which may lead out of the file; Keras writes none")
            address = h5py.h5o.get_info(group.id, name.encode("utf-8")).addr
            if address in seen:
                raise RefusedError("CorruptError", path, f"the same object as '{seen[address]}'")
            seen[address] = path
            if len(seen) > request["most_objects"] or path.count("/") > request["deepest"]:
                raise RefusedError("LimitError", path, f"{len(seen)} objects, {path.count('/')} groups deep")
            found = group[name]
            if isinstance(found, h5py.Group):
                waiting.append((path, found))
            if isinstance(found, h5py.Group | h5py.Dataset):
                yield path, found


def _attributes(path: str, found: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Texts, numbers and lists of them; attributes of other types are left out."""
    values = {}
    for name in found.attrs:
        attribute = found.attrs.get_id(name)
        size = math.prod(attribute.shape or ()) * attribute.dtype.itemsize
        if size > request["largest_attribute"]:
            raise RefusedError("LimitError", path, f"its attribute '{name}' has {size} bytes")
        kind = attribute.dtype.kind
        if kind not in "OSUifub" or (kind == "O" and h5py.check_string_dtype(attribute.dtype) is None):
            continue
        value = found.attrs[name]
        if isinstance(value, h5py.Empty):
            continue
        try:
            values[name] = _plain(value)
        except UnicodeDecodeError as error:
            raise RefusedError("CorruptError", path, f"its attribute '{name}' isn't UTF-8 text") from error
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.reshape(-1)]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return value.item() if isinstance(value, np.generic) else value


def _dataset(path: str, found: Any, spool: BinaryIO, request: dict[str, Any]) -> dict[str, Any]:
    """What is known of a dataset; checked before `shape` is looked at, as that alone may open other files."""
    settings = found.id.get_create_plist()
    layout = settings.get_layout()
    if layout == h5py.h5d.VIRTUAL or settings.get_external_count():
        raise RefusedError("UnsafeError", path, "its data are in other files; Keras writes none such")
    attributes = _attributes(path, found, request)
    if found.shape is None or not _is_plain(found):
        shape = list(found.shape or ())
        return {"dtype": None, "kind": str(found.dtype), "shape": shape, "nbytes": 0, "attributes": attributes}
    if any(code not in _FILTERS for code in _filters(settings)):
        raise RefusedError("UnsupportedError", path, f"compressed by filters {_filters(settings)}")
    nbytes = math.prod(found.shape) * found.dtype.itemsize
    stored = found.id.get_storage_size()
    kind = str(found.dtype.name)
    if found.dtype.kind == "V":  # h5py gives bfloat16 as two opaque bytes, and Keras notes it in an attribute
        noted = found.attrs.get("dtype")
        kind = str(noted) if isinstance(noted, str) else "opaque"
    answer = {
        "dtype": found.dtype.str,
        "kind": kind,
        "shape": list(found.shape),
        "nbytes": nbytes,
        "attributes": attributes,
    }
    if layout == h5py.h5d.CONTIGUOUS and nbytes:
        offset = found.id.get_offset()
        if offset is None or stored != nbytes:
            raise RefusedError("CorruptError", path, f"{nbytes} bytes in shape {found.shape}, {stored} stored")
        if not request["copy"]:
            return {**answer, "offset": offset}
    if nbytes > max(request["free_bytes"], request["most_expansion"] * stored):
        raise RefusedError("LimitError", path, f"{stored} bytes that claim to expand to {nbytes}")
    answer["spooled"] = spool.tell()
    allowed = request["free_bytes_in_all"] + request["most_expansion_in_all"] * request["size"]
    if spool.tell() + nbytes > allowed:
        raise RefusedError("LimitError", path, f"all data up to it expand to {spool.tell() + nbytes} bytes")
    if nbytes:
        spool.write(np.ascontiguousarray(found[()]).tobytes())
    return answer


def _is_plain(found: Any) -> bool:
    """Whether the bytes in the file are those of a NumPy array: no compounds, no floats of another make."""
    stored = found.id.get_type()
    if found.dtype.kind == "V":
        return isinstance(stored, h5py.h5t.TypeOpaqueID)
    return found.dtype.kind in "fiubc" and h5py.h5t.py_create(found.dtype, logical=True) == stored


def _filters(settings: Any) -> list[int]:
    return [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]


def _limit_resources(request: dict[str, Any]) -> None:
    try:
        import resource
    except ImportError:  # Windows; the parent's clock is all there is
        return
    limits = {
        resource.RLIMIT_CPU: (request["cpu_seconds"], request["cpu_seconds"] + 1),
        resource.RLIMIT_AS: (request["memory_bytes"], request["memory_bytes"]),
        resource.RLIMIT_CORE: (0, 0),
    }
    for kind, (soft, hard) in limits.items():
        allowed = resource.getrlimit(kind)[1]
        if allowed != resource.RLIM_INFINITY:
            soft, hard = min(soft, allowed), min(hard, allowed)
        resource.setrlimit(kind, (soft, hard))


if __name__ == "__main__":
    _request = json.loads(sys.argv[1])
    _limit_resources(_request)
    try:
        _answer = main(_request)
    except RefusedError as _error:
        _answer = {"refused": _error.args}
    except MemoryError:
        _answer = {"refused": ("LimitError", "", "it asks for more memory than it may take")}
    except _HDF5_ERRORS as _error:
        _answer = {"broken": f"{type(_error).__name__}: {_error}"}
    json.dump(_answer, sys.stdout)
