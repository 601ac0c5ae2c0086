"""TensorFlow's element types: their numbers in files, their names, and NumPy's types for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from exporter.errors import CorruptError, UnsupportedError
from exporter.formats.records import Array

__all__ = ["BY_NAME", "DATA_TYPES", "STRING", "DataType", "data_type", "dtype_of"]

_REF = 100


@dataclass(frozen=True, slots=True)
class DataType:
    """One value of TensorFlow's enum `DataType`.

    Attributes:
        number: In the file; a reference type, which graphs of TensorFlow 1 use for variables, has 100 more.
        name: In TensorFlow's spelling: `float`, `half`, `bfloat16`.
        numpy_name: Its NumPy type, from `ml_dtypes` where NumPy has none; None where there is no array of it.
        component: Bytes of what is swapped when a file has the other byte order: half an element for complex types.
    """

    number: int
    name: str
    numpy_name: str | None
    component: int = 0

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The NumPy type; None for resources and variants."""
        if self.numpy_name is None:
            return None
        if self.number in _FROM_ML_DTYPES:
            import ml_dtypes

            small: type[np.generic] = getattr(ml_dtypes, self.numpy_name)
            return np.dtype(small)
        return np.dtype(self.numpy_name)

    @property
    def itemsize(self) -> int:
        """Bytes of one element in a file; 0 for strings, resources and variants, which have no fixed size."""
        return self.component * (2 if self.name in ("complex64", "complex128") else 1)

    def from_bytes(self, raw: Array, *, swapped: bool = False) -> Array:
        """The elements in raw bytes, without a copy where none is needed.

        Args:
            raw: Contiguous uint8, a whole number of elements; changed in place if `swapped`.
            swapped: The bytes have the order that this machine doesn't.

        Raises:
            CorruptError: A bool that is neither 0 nor 1.
        """
        if self.dtype is None or not self.component:
            raise UnsupportedError(f"elements of type {self.name} can't be read as numbers")
        if swapped and self.component > 1:
            raw.view(f"u{self.component}").byteswap(inplace=True)
        if self.name == "bool" and raw.size and int(raw.max()) > 1:
            raise CorruptError(f"a bool of value {int(raw.max())}, where only 0 and 1 exist")
        if self.name in ("int4", "uint4", "int2", "uint2"):
            low = raw.view(np.int8) if self.name.startswith("int") else raw
            bits = 8 - int(self.name[-1])
            return ((low << bits) >> bits).astype(self.dtype)
        return raw.view(self.dtype)


_FROM_ML_DTYPES: Final = frozenset({14, *range(24, 34)})

DATA_TYPES: Final[dict[int, DataType]] = {
    kind.number: kind
    for kind in (
        DataType(1, "float", "float32", 4),
        DataType(2, "double", "float64", 8),
        DataType(3, "int32", "int32", 4),
        DataType(4, "uint8", "uint8", 1),
        DataType(5, "int16", "int16", 2),
        DataType(6, "int8", "int8", 1),
        DataType(7, "string", "object"),
        DataType(8, "complex64", "complex64", 4),
        DataType(9, "int64", "int64", 8),
        DataType(10, "bool", "bool", 1),
        DataType(11, "qint8", "int8", 1),
        DataType(12, "quint8", "uint8", 1),
        DataType(13, "qint32", "int32", 4),
        DataType(14, "bfloat16", "bfloat16", 2),
        DataType(15, "qint16", "int16", 2),
        DataType(16, "quint16", "uint16", 2),
        DataType(17, "uint16", "uint16", 2),
        DataType(18, "complex128", "complex128", 8),
        DataType(19, "half", "float16", 2),
        DataType(20, "resource", None),
        DataType(21, "variant", None),
        DataType(22, "uint32", "uint32", 4),
        DataType(23, "uint64", "uint64", 8),
        DataType(24, "float8_e5m2", "float8_e5m2", 1),
        DataType(25, "float8_e4m3fn", "float8_e4m3fn", 1),
        DataType(26, "float8_e4m3fnuz", "float8_e4m3fnuz", 1),
        DataType(27, "float8_e4m3b11fnuz", "float8_e4m3b11fnuz", 1),
        DataType(28, "float8_e5m2fnuz", "float8_e5m2fnuz", 1),
        DataType(29, "int4", "int4", 1),
        DataType(30, "uint4", "uint4", 1),
        DataType(31, "int2", "int2", 1),
        DataType(32, "uint2", "uint2", 1),
        DataType(33, "float4_e2m1fn", "float4_e2m1fn", 1),
    )
}

BY_NAME: Final[dict[str, DataType]] = {kind.name: kind for kind in DATA_TYPES.values()}

STRING: Final = BY_NAME["string"]


def data_type(number: int, *, reference: bool = False) -> DataType:
    """The type of a number in a file.

    Args:
        number: As stored.
        reference: Whether a reference type may stand there; it gives the type that it refers to.

    Raises:
        CorruptError: No type has this number.
    """
    if reference and number > _REF:
        number -= _REF
    if number not in DATA_TYPES:
        raise CorruptError(f"{number} is not the number of an element type")
    return DATA_TYPES[number]


def dtype_of(number: int) -> np.dtype[Any]:
    """The NumPy type of a number in a graph, references included.

    Raises:
        CorruptError: No type has this number.
        UnsupportedError: There are no arrays of this type.
    """
    kind = data_type(number, reference=True)
    if kind.dtype is None:
        raise UnsupportedError(f"there are no arrays of type {kind.name}")
    return kind.dtype
