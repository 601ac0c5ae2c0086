"""TensorFlow's element types as the IR's."""

from __future__ import annotations

import onnx_ir as ir

from exporter.formats.dtypes import DATA_TYPES

__all__ = ["dtype_of_kind", "dtype_of_number"]

_KINDS: dict[str, ir.DataType] = {
    "bfloat16": ir.DataType.BFLOAT16,
    "bool": ir.DataType.BOOL,
    "double": ir.DataType.DOUBLE,
    "float": ir.DataType.FLOAT,
    "half": ir.DataType.FLOAT16,
    "int16": ir.DataType.INT16,
    "int32": ir.DataType.INT32,
    "int64": ir.DataType.INT64,
    "int8": ir.DataType.INT8,
    "string": ir.DataType.STRING,
    "uint16": ir.DataType.UINT16,
    "uint32": ir.DataType.UINT32,
    "uint64": ir.DataType.UINT64,
    "uint8": ir.DataType.UINT8,
}

_REFERENCE = 100


def dtype_of_number(number: int) -> ir.DataType | None:
    """The type for a number of TensorFlow's `DataType` enum (or its `_ref` twin); None for what the IR doesn't have."""
    kind = DATA_TYPES.get(number - _REFERENCE if number > _REFERENCE else number)
    return None if kind is None else dtype_of_kind(kind.name)


def dtype_of_kind(kind: str) -> ir.DataType | None:
    """The type for TensorFlow's spelling of it, as in `float`; None for what the IR doesn't have."""
    return _KINDS.get(kind)
