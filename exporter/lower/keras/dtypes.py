"""Keras's dtype names and policies as element types."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from exporter.errors import UnsupportedError
from exporter.sources.keras_settings import Settings

__all__ = ["FLOATS", "data_type", "is_mixed", "variable_dtype"]

FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})

_TYPES = {
    "bfloat16": ir.DataType.BFLOAT16,
    "bool": ir.DataType.BOOL,
    "float16": ir.DataType.FLOAT16,
    "float32": ir.DataType.FLOAT,
    "float64": ir.DataType.DOUBLE,
    "int16": ir.DataType.INT16,
    "int32": ir.DataType.INT32,
    "int64": ir.DataType.INT64,
    "int8": ir.DataType.INT8,
    "uint16": ir.DataType.UINT16,
    "uint32": ir.DataType.UINT32,
    "uint64": ir.DataType.UINT64,
    "uint8": ir.DataType.UINT8,
}


def data_type(name: object, owner: str) -> ir.DataType:
    """The element type of that name; UnsupportedError for strings and what isn't known."""
    if not isinstance(name, str) or name not in _TYPES:
        raise UnsupportedError(f"{owner}: dtype {str(name)[:40]!r} has no translation")
    return _TYPES[name]


def variable_dtype(settings: Settings) -> ir.DataType:
    """The type of a layer's weights; a mixed policy keeps float32, and so does the exported model."""
    name = _policy(settings)
    return ir.DataType.FLOAT if name is None or is_mixed(settings) else data_type(name, settings.owner)


def is_mixed(settings: Settings) -> bool:
    """Whether the layer computes in half precision on float32 weights."""
    return str(_policy(settings)).startswith("mixed_")


def _policy(settings: Settings) -> object:
    """The policy's name; a policy may be written as an object."""
    dtype = settings.raw("dtype")
    if isinstance(dtype, Mapping):
        config = dtype.get("config")
        return config.get("name") if isinstance(config, Mapping) else str(dtype.get("class_name"))
    return dtype
