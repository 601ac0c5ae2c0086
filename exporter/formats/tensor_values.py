"""The value lists of a TensorProto: which list holds which element type, and in what form.

| list           | field | form                 | element types                                   |
|----------------|-------|----------------------|-------------------------------------------------|
| float_val      | 5     | 4 bytes              | float                                           |
| double_val     | 6     | 8 bytes              | double                                          |
| int_val        | 7     | varint               | int32, int16, int8, uint16, uint8, q*, int4 ... |
| string_val     | 8     | bytes                | string                                          |
| scomplex_val   | 9     | 4 bytes, two of them | complex64                                       |
| int64_val      | 10    | varint               | int64                                           |
| bool_val       | 11    | varint               | bool                                            |
| dcomplex_val   | 12    | 8 bytes, two of them | complex128                                      |
| half_val       | 13    | varint of the bits   | half, bfloat16                                  |
| uint32_val     | 16    | varint               | uint32                                          |
| uint64_val     | 17    | varint               | uint64                                          |
| float8_val     | 18    | one byte each        | float8_*, float4_e2m1fn                         |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from exporter.errors import CorruptError, UnsupportedError
from exporter.formats.dtypes import DATA_TYPES, DataType
from exporter.formats.records import Array
from exporter.formats.varint import read_packed
from exporter.formats.wire import FIXED32, FIXED64, LENGTH, VARINT, Field

__all__ = ["VALUE_LISTS", "ValueList", "from_numbers", "from_wire", "value_list"]


@dataclass(frozen=True, slots=True)
class ValueList:
    """One of the lists.

    Attributes:
        name: Of the field.
        number: Of the field.
        stored: NumPy type of what the field holds: `<f4`, `<f8`, `i8` and `u8` for varints, `u1`, `object`.
        wire_type: Of a single value outside of a packed list.
    """

    name: str
    number: int
    stored: Literal["<f4", "<f8", "i8", "u8", "u1", "object"]
    wire_type: int


_FLOAT = ValueList("float_val", 5, "<f4", FIXED32)
_INT = ValueList("int_val", 7, "i8", VARINT)
_HALF = ValueList("half_val", 13, "i8", VARINT)
_BYTES = ValueList("float8_val", 18, "u1", LENGTH)
_NAMED: Final[dict[str, ValueList]] = {
    "float": _FLOAT,
    "double": ValueList("double_val", 6, "<f8", FIXED64),
    "string": ValueList("string_val", 8, "object", LENGTH),
    "complex64": ValueList("scomplex_val", 9, "<f4", FIXED32),
    "int64": ValueList("int64_val", 10, "i8", VARINT),
    "bool": ValueList("bool_val", 11, "u8", VARINT),
    "complex128": ValueList("dcomplex_val", 12, "<f8", FIXED64),
    "half": _HALF,
    "bfloat16": _HALF,
    "uint32": ValueList("uint32_val", 16, "u8", VARINT),
    "uint64": ValueList("uint64_val", 17, "u8", VARINT),
}
_BY_TYPE: Final = {
    kind.name: _NAMED.get(kind.name, _BYTES if kind.name.startswith("float") else _INT)
    for kind in DATA_TYPES.values()
    if kind.numpy_name
}

VALUE_LISTS: Final = tuple(sorted({(entry.name, entry.number) for entry in _BY_TYPE.values()}))


def value_list(kind: DataType) -> ValueList:
    """The list that holds elements of a type; UnsupportedError for resources and variants."""
    if kind.name not in _BY_TYPE:
        raise UnsupportedError(f"there are no arrays of type {kind.name}")
    return _BY_TYPE[kind.name]


def from_wire(kind: DataType, found: list[Field]) -> Array:
    """The flat elements in all occurrences of the type's list in a message, packed or not.

    Raises:
        CorruptError: Another wire type, half an element, or a value that the type doesn't have.
    """
    holder = value_list(kind)
    if any(field.wire_type not in (LENGTH, holder.wire_type) for field in found):
        raise CorruptError(f"its {holder.name} doesn't hold values of type {kind.name}")
    if holder.stored == "object":
        strings = np.empty(len(found), object)
        strings[:] = [field.data.tobytes() for field in found]
        return strings
    data = found[0].data if len(found) == 1 else memoryview(b"".join(field.data for field in found))
    if holder.wire_type == VARINT:
        return from_numbers(kind, read_packed(data).view(holder.stored))
    size = np.dtype(holder.stored).itemsize
    if len(data) % size:
        raise CorruptError(f"its {holder.name} has {len(data)} bytes for values of {size} bytes")
    return from_numbers(kind, np.frombuffer(data, holder.stored))


def from_numbers(kind: DataType, numbers: Array) -> Array:
    """Flat elements, freshly allocated, from what the type's list holds.

    Raises:
        CorruptError: A value that the type doesn't have, or half a complex number.
    """
    dtype = kind.dtype
    assert dtype is not None
    if dtype.kind == "c":
        if numbers.size % 2:
            raise CorruptError(f"{numbers.size} real numbers for values of type {kind.name}")
        return np.array(numbers, f"f{kind.component}").view(dtype)
    if kind.name in ("half", "bfloat16"):
        return _in_range(kind, numbers, 0, 0xFFFF).astype(np.uint16).view(dtype)
    if numbers.dtype == np.uint8:
        return numbers.copy().view(dtype)
    if dtype.kind in "fO":
        return numbers.astype(dtype)
    if kind.name == "bool":
        return _in_range(kind, numbers, 0, 1).astype(dtype)
    bits = int(kind.name[-1]) if kind.name in ("int4", "uint4", "int2", "uint2") else 8 * dtype.itemsize
    if dtype.kind == "i" or kind.name in ("int4", "int2"):
        return _in_range(kind, numbers, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(dtype)
    return _in_range(kind, numbers, 0, 2**bits - 1).astype(dtype)


def _in_range(kind: DataType, numbers: Array, low: int, high: int) -> Array:
    if numbers.size and (int(numbers.min()) < low or int(numbers.max()) > high):
        worst = int(numbers.min()) if int(numbers.min()) < low else int(numbers.max())
        raise CorruptError(f"the value {worst}, which type {kind.name} doesn't have")
    return numbers
