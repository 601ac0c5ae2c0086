"""The bytes of an ONNX file, written with one weight in memory at a time.

A message that holds all weights would need them twice more, once as a message and once as bytes. Here protobuf
serialises everything but the weights, and they are put between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import IO

import onnx
import onnx_ir as ir

from exporter.formats.varint import varint

__all__ = ["is_small", "raw_size", "weights", "without_weights", "write_data", "write_onnx"]

_ALIGNMENT = 64
_SMALL = 1024
_RAW_DATA, _INITIALIZER, _GRAPH = 9, 5, 7


def write_onnx(model: ir.Model, file: IO[bytes], *, data_name: str | None = None) -> None:
    """Writes an ONNX model, one weight in memory at a time; the same model gives the same bytes.

    Args:
        model: As `onnx_model` makes it.
        file: Where to write.
        data_name: The name of the file beside it that holds the large weights; None if they are in this one.
    """
    message = without_weights(model)
    # the serialised graph, in two parts between which its weights go
    outer = onnx.GraphProto(input=message.graph.input, output=message.graph.output)
    inner = onnx.GraphProto()
    inner.CopyFrom(message.graph)
    inner.ClearField("input")
    inner.ClearField("output")
    nodes, ends = (part.SerializeToString(deterministic=True) for part in (inner, outer))
    message.ClearField("graph")
    offsets = {} if data_name is None else _offsets(model)
    parts = [(_tensor_start(name, tensor, data_name, offsets), name, tensor) for name, tensor in weights(model)]
    size = sum(len(start) + (0 if name in offsets else raw_size(tensor)) for start, name, tensor in parts)
    file.write(message.SerializeToString(deterministic=True))
    file.write(_field(_GRAPH, len(nodes) + size + len(ends)))
    file.write(nodes)
    for start, name, tensor in parts:
        file.write(start)
        if name not in offsets and raw_size(tensor):
            file.write(tensor.tobytes())
    file.write(ends)


def write_data(model: ir.Model, write: Callable[[bytes], object]) -> None:
    """Gives `write` the file beside the model, piece by piece: its large weights, each at a multiple of 64 bytes."""
    offsets, end = _offsets(model), 0
    for name, tensor in weights(model):
        if name in offsets:
            write(bytes(offsets[name] - end))
            write(tensor.tobytes())
            end = offsets[name] + tensor.nbytes


def weights(model: ir.Model) -> Iterator[tuple[str, ir.TensorProtocol]]:
    """The initializers."""
    for name, value in model.graph.initializers.items():
        if value.const_value is not None:
            yield name, value.const_value


def is_small(tensor: ir.TensorProtocol) -> bool:
    """Whether a tensor stays in the model, since it may be a shape or a parameter rather than a weight."""
    return raw_size(tensor) <= _SMALL


def raw_size(tensor: ir.TensorProtocol) -> int:
    """The bytes of the elements in `raw_data`, which strings aren't stored in."""
    return 0 if tensor.dtype == ir.DataType.STRING else tensor.nbytes


def _offsets(model: ir.Model) -> dict[str, int]:
    """Where in the file beside the model each large weight starts."""
    offsets: dict[str, int] = {}
    end = 0
    for name, tensor in weights(model):
        if not is_small(tensor):
            offsets[name] = -(-end // _ALIGNMENT) * _ALIGNMENT
            end = offsets[name] + tensor.nbytes
    return offsets


def without_weights(model: ir.Model) -> onnx.ModelProto:
    """The message of a model, all but its initializers."""
    graph = model.graph
    proto = onnx.ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        opset_import=[onnx.helper.make_opsetid(domain, version) for domain, version in graph.opset_imports.items()],
    )
    onnx.helper.set_model_props(proto, dict(model.metadata_props))
    proto.graph.name = graph.name or "model"
    proto.graph.node.extend(ir.serde.serialize_node(node) for node in graph)
    proto.graph.input.extend(ir.serde.serialize_value(value) for value in graph.inputs)
    proto.graph.output.extend(ir.serde.serialize_value(value) for value in graph.outputs)
    return proto


def _tensor_start(name: str, tensor: ir.TensorProtocol, data_name: str | None, offsets: Mapping[str, int]) -> bytes:
    """An initializer up to the bytes of its elements, which come last."""
    if tensor.dtype == ir.DataType.STRING:
        proto = ir.serde.serialize_tensor(tensor)
        proto.name = name
    else:
        proto = onnx.TensorProto(name=name, data_type=tensor.dtype.value, dims=tensor.shape.numpy())
    inside = name not in offsets and raw_size(tensor) > 0
    if name in offsets:
        proto.data_location = onnx.TensorProto.EXTERNAL
        entries = {"location": data_name, "offset": offsets[name], "length": tensor.nbytes}
        proto.external_data.extend(onnx.StringStringEntryProto(key=k, value=str(v)) for k, v in entries.items())
    head = bytes(proto.SerializeToString(deterministic=True)) + (_field(_RAW_DATA, tensor.nbytes) if inside else b"")
    return _field(_INITIALIZER, len(head) + (raw_size(tensor) if inside else 0)) + head


def _field(number: int, size: int) -> bytes:
    """What stands before a protobuf field of so many bytes."""
    return varint(number << 3 | 2) + varint(size)
