"""Tensors inside of graphs: the value of a constant, as raw bytes or as a list of values.

tensor_content given    exactly the elements, little-endian, in C order
a list of values        fewer values than elements: the last one repeats; none at all: zeros

A tensor all of whose elements are one stored value takes no memory for them: it is a view of that value.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from exporter.errors import CorruptError, LimitError, UnsupportedError
from exporter.formats import limits
from exporter.formats.dtypes import DataType, data_type
from exporter.formats.files import empty
from exporter.formats.places import within
from exporter.formats.records import Array
from exporter.formats.tensor_shape import shape_from_proto
from exporter.formats.tensor_values import VALUE_LISTS, from_numbers, value_list
from exporter.formats.tf_protos import TensorProto

__all__ = ["expansion", "to_array"]


def to_array(proto: TensorProto, *, what: str, limit: int = limits.MAX_CONST_BYTES) -> Array:
    """The tensor; it may be read-only or repeat one element, and strings are an object array of `bytes`.

    Args:
        proto: As in the attribute `value` of a constant.
        what: Where it is from, for errors: `node conv1/kernel`.
        limit: Most bytes that fewer stored values may be expanded to.

    Raises:
        CorruptError: Type, shape and values contradict each other.
        LimitError: A few values stand for more than `limit` bytes.
        UnsupportedError: Resources and variants.
    """
    with within(what):
        kind = data_type(proto.dtype, reference=True)
        shape = shape_from_proto(proto.tensor_shape)
        if kind.dtype is None:
            raise UnsupportedError(f"there are no arrays of type {kind.name}")
        count = math.prod(shape)
        if proto.tensor_content:
            content = proto.tensor_content
            if not kind.itemsize or len(content) != count * kind.itemsize:
                needed = f"which takes {count * kind.itemsize}" if kind.itemsize else "which is never stored so"
                raise CorruptError(f"{len(content)} bytes for {count} elements of type {kind.name}, {needed}")
            raw, is_big = np.frombuffer(content, np.uint8), sys.byteorder == "big"
            return kind.from_bytes(raw.copy() if is_big else raw, swapped=is_big).reshape(shape)
        values = _values(proto, kind, count)
        if values.size < 2 and values.size < count:
            _check_size(kind, count, values, limit)
            value = values if values.size else np.array([b"" if kind.name == "string" else 0], values.dtype)
            return np.broadcast_to(value.reshape(()), shape)
        return _expand(kind, count, values, limit).reshape(shape)


def expansion(proto: TensorProto) -> int:
    """The bytes that `to_array` makes of fewer stored ones; 0 where it makes none, or refuses.

    Args:
        proto: As in the attribute `value` of a constant.
    """
    dims = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_content or not dims or min(dims) < 1:
        return 0
    stored = max(len(getattr(proto, name)) for name, _ in VALUE_LISTS)
    return 0 if stored < 2 else max(math.prod(dims) - stored, 0) * 8


def _values(proto: TensorProto, kind: DataType, count: int) -> Array:
    holder = value_list(kind)
    stored = getattr(proto, holder.name)
    if not stored and count:
        others = [name for name, _ in VALUE_LISTS if name != holder.name and getattr(proto, name)]
        if others:
            raise CorruptError(f"its values are in {others[0]}, where those of type {kind.name} are in {holder.name}")
    if holder.stored == "u1":
        return from_numbers(kind, np.frombuffer(stored, np.uint8))
    if holder.stored == "object":
        strings = np.empty(len(stored), object)
        strings[:] = list(stored)
        return strings
    return from_numbers(kind, np.fromiter(stored, holder.stored, len(stored)))


def _expand(kind: DataType, count: int, values: Array, limit: int) -> Array:
    """All elements, where the last value stands for those that are left out."""
    if values.size == count:
        return values
    if values.size > count:
        raise CorruptError(f"{values.size} values for {count} elements")
    _check_size(kind, count, values, limit)
    array = empty((count,), values.dtype, "its values")
    array[: values.size] = values
    array[values.size :] = values[-1]
    return array


def _check_size(kind: DataType, count: int, values: Array, limit: int) -> None:
    size = count * values.itemsize
    if kind.name == "string":
        size += count * max(map(len, values), default=0)
        limit = min(limit, limits.MAX_TEXT_BYTES)
    if size > limit:
        found = f"{values.size} values stand for {count} of type {kind.name}, {size} bytes"
        raise LimitError(f"{found}; {limit} are allowed")
