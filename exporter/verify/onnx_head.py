"""An ONNX file without its weights: what is said of it, its nodes, inputs and outputs, read once for all who ask."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import onnx

__all__ = ["onnx_head", "with_more_outputs"]


def onnx_head(path: Path) -> onnx.ModelProto:
    """The model with initializers that have names, types and places of external data, but no contents.

    It is shared: it must not be changed.

    Raises:
        DecodeError: It is no ONNX file.
    """
    status = path.stat()
    return _read(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)
def _read(path: Path, *_: int) -> onnx.ModelProto:
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
            tensor.ClearField(field)
    return model


def with_more_outputs(path: Path, tensors: list[str]) -> bytes:
    """The file with more outputs, those of the tensors that there are: appended, as protobuf joins what is repeated."""
    graph = onnx_head(path).graph
    own, made = {value.name for value in graph.output}, {name for node in graph.node for name in node.output}
    more = [onnx.ValueInfoProto(name=name) for name in tensors if name in made - own]
    return path.read_bytes() + bytes(onnx.ModelProto(graph=onnx.GraphProto(output=more)).SerializeToString())
