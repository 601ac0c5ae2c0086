"""Which sizes are the same: the number of a loop's steps, and the length of the sequences that it reads."""

from __future__ import annotations

import onnx_ir as ir

from exporter.ir.dims import Dim, same_dim
from exporter.ir.edit import constant_array
from exporter.ir.ops import is_op

__all__ = ["size_of", "source", "trips_cover"]

_COPIES = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def source(value: ir.Value | None) -> ir.Value | None:
    """The number behind other types and shapes of it."""
    while value is not None:
        node = value.producer()
        if not is_op(node, *_COPIES):
            return value
        assert node is not None
        value = node.inputs[0]
    return None


def size_of(value: ir.Value | None) -> Dim | None:
    """The size that an integer is, as a number or a symbol; None where it isn't one of a tensor."""
    value = source(value)
    array = constant_array(value)
    if array is not None:
        return int(array.reshape(-1)[0]) if array.size == 1 else None
    node = None if value is None else value.producer()
    if is_op(node, "Shape"):
        return _one_of_shape(node, 0)
    if is_op(node, "Gather"):
        assert node is not None
        index = constant_array(node.inputs[1])
        if index is not None and index.size == 1:
            return _one_of_shape(_producer(source(node.inputs[0])), int(index.reshape(-1)[0]))
    if is_op(node, "Slice"):
        assert node is not None
        numbers = [constant_array(each) for each in node.inputs[1:3]]
        if all(each is not None and each.size == 1 for each in numbers):
            start, stop = (int(each.reshape(-1)[0]) for each in numbers if each is not None)
            if stop == start + 1:
                return _one_of_shape(_producer(source(node.inputs[0])), start)
    return None


def _producer(value: ir.Value | None) -> ir.Node | None:
    return None if value is None else value.producer()


def _one_of_shape(node: ir.Node | None, place: int) -> Dim | None:
    """One of the sizes that a `Shape` gives."""
    if not is_op(node, "Shape") or node is None or node.inputs[0] is None or node.inputs[0].shape is None:
        return None
    start = node.attributes["start"].as_int() if "start" in node.attributes else 0
    stop = node.attributes["end"].as_int() if "end" in node.attributes else None
    dims = node.inputs[0].shape.dims[start:stop]
    return dims[place] if -len(dims) <= place < len(dims) else None


_DEEPEST = 20


def trips_cover(trips: ir.Value | None, length: Dim, lengths: ir.Value | None, depth: int = 0) -> bool:
    """Whether a number is that of all rows of a sequence, or at least of those before all sequences' ends, or more."""
    size = size_of(trips)
    if size is not None and same_dim(size, length):
        return True
    value = source(trips)
    node = None if value is None else value.producer()
    if node is None or depth > _DEEPEST:
        return False
    parts = [trips_cover(part, length, lengths, depth + 1) for part in node.inputs if part is not None]
    if is_op(node, "Min"):
        return all(parts)
    if is_op(node, "Max"):
        return any(parts)
    if is_op(node, "Clip"):
        high = node.inputs[2] if len(node.inputs) > 2 else None
        return any(parts[:2]) and (high is None or parts[-1])
    return is_op(node, "ReduceMax") and lengths is not None and source(node.inputs[0]) is source(lengths)
