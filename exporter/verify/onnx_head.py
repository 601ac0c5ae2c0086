"""An ONNX file without its weights: what is said of it, its nodes, inputs and outputs, read once for all who ask."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from pathlib import Path

import numpy as np
import onnx

from exporter.errors import CorruptError
from exporter.formats.varint import varint
from exporter.formats.wire import LENGTH, fields
from exporter.verify.compare import Array

__all__ = ["onnx_head", "with_more_outputs"]

_CONTENTS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_LARGE_FILE = 1 << 24


def onnx_head(path: Path) -> onnx.ModelProto:
    """The model with initializers that have names, types and places of external data, but no contents.

    It is shared: it must not be changed.

    Raises:
        DecodeError: It is no ONNX file.
    """
    return _opened(path).head


def with_more_outputs(path: Path, tensors: list[str]) -> tuple[bytes, dict[str, Array]]:
    """A model with more outputs, those of the tensors that there are.

    Returns:
        The file's bytes with more at the end, and nothing besides; of a large file, all but its largest weights, which
        are said to be elsewhere, and these weights by name.
    """
    opened = _opened(path)
    graph = opened.head.graph
    own, made = {value.name for value in graph.output}, {name for node in graph.node for name in node.output}
    more = [onnx.ValueInfoProto(name=name) for name in tensors if name in made - own]
    end = bytes(onnx.ModelProto(graph=onnx.GraphProto(output=more)).SerializeToString())
    if not opened.large:  # protobuf joins what is repeated
        return path.read_bytes() + end, {}
    found = {name: np.frombuffer(view, "<f4").reshape(shape).copy() for name, (view, shape) in opened.large.items()}
    return opened.rest + end, found


@dataclass(frozen=True)
class _Opened:
    """A file that has been looked at.

    Attributes:
        head: The model without contents.
        rest: The model without those of the large weights; nothing where there are none.
        large: Contents and shapes of the large weights.
    """

    head: onnx.ModelProto
    rest: bytes
    large: Mapping[str, tuple[memoryview, tuple[int, ...]]]


def _opened(path: Path) -> _Opened:
    status = path.stat()
    return _read(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)
def _read(path: Path, *_: int) -> _Opened:
    with path.open("rb") as file:
        content, large = b"", dict[str, tuple[memoryview, tuple[int, ...]]]()
        if path.stat().st_size >= _LARGE_FILE:
            with suppress(CorruptError):  # protobuf says what is wrong with it, or reads it all the same
                mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                content = _message(mapped, {_GRAPH: partial(_graph, large)})
        model = onnx.ModelProto.FromString(content or file.read())
    for tensor in model.graph.initializer:
        for field in _CONTENTS:
            tensor.ClearField(field)
    return _Opened(model, content if large else b"", large)


_GRAPH, _INITIALIZER, _RAW = 7, 5, 9
_LARGE = 1 << 20


def _graph(large: dict[str, tuple[memoryview, tuple[int, ...]]], data: memoryview) -> bytes:
    return _message(data, {_INITIALIZER: partial(_tensor, large)})


def _tensor(large: dict[str, tuple[memoryview, tuple[int, ...]]], data: memoryview) -> bytes:
    """An initializer; one of many floats is said to be elsewhere, and is put into `large`."""
    if len(data) < _LARGE:
        return bytes(data)
    raw = [field.data for field in fields(data) if (field.number, field.wire_type) == (_RAW, LENGTH)]
    tensor = onnx.TensorProto.FromString(_message(data, {_RAW: None}))
    shape = tuple(tensor.dims)
    if tensor.data_type != onnx.TensorProto.FLOAT or len(raw) != 1 or len(raw[0]) != 4 * prod(shape):
        return bytes(data)
    if not tensor.name or tensor.name in large:
        return bytes(data)
    large[tensor.name] = raw[0], shape
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    return bytes(tensor.SerializeToString())


def _message(data: memoryview, inner: Mapping[int, Callable[[memoryview], bytes] | None]) -> bytes:
    """A message with some of its fields replaced by what a function makes of them, or left out where that is None."""
    parts = []
    for field in fields(data):
        kept: bytes | memoryview = field.data
        if field.wire_type == LENGTH and field.number in inner:
            change = inner[field.number]
            if change is None:
                continue
            kept = change(field.data)
        size = varint(len(kept)) if field.wire_type == LENGTH else b""
        parts += [varint(field.number << 3 | field.wire_type), size, kept]
    return b"".join(parts)
