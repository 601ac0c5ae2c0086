"""Lookup tables: ONNX's `LabelEncoder`, from integers or strings to integers, floats or strings.

LookupTableFindV2(keys, default)      LabelEncoder, where it has the type of the values and the default is known
                                      otherwise Gather(values + [default], LabelEncoder(key to place, N))
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.inference.inputs.lookup_tables import TABLE, TABLE_OPS, Table
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.texts import texts

__all__ = ["OPS"]

_INTEGERS = frozenset({ir.DataType.INT32, ir.DataType.INT64})


def find(ctx: NodeContext) -> ir.Value:
    """The value of each key; the default for a key that the table hasn't got."""
    table = _table(ctx)
    key, default = ctx.inputs
    if not table.keys.size:
        return _default_for_all(ctx, key, default)
    values = texts(table.values) if table.values.dtype == object else table.values
    known = ctx.constant(1) if default.dtype != ir.DataType.STRING else _string(default)
    if values.ndim == 1 and known is not None and known.size == 1 and (fitting := _labels(values, known)) is not None:
        kind, listed, otherwise = fitting
        found = _encoded(ctx, key, table, **{f"values_{kind}s": listed, f"default_{kind}": otherwise})
        return found if default.dtype in (found.dtype, None) else ctx.op("Cast", found, to=default.dtype.value)
    places = list(range(len(values)))
    place = _encoded(ctx, key, table, values_int64s=places, default_int64=len(values))
    row = ctx.op("Reshape", default, ctx.int64([1, *values.shape[1:]]))
    return ctx.op("Gather", ctx.op("Concat", ctx.const(values), row, axis=0), place, axis=0)


def size(ctx: NodeContext) -> ir.Value:
    """How many keys a table has."""
    return ctx.const(np.array(len({*_table(ctx).keys.tolist()}), np.int64))


def table(ctx: NodeContext) -> ir.Value:
    """A table of which nothing is known."""
    raise RefusalError("nothing in the file says what the table holds")


def _table(ctx: NodeContext) -> Table:
    found = ctx.node.attribute(TABLE)
    if not isinstance(found, Table):
        raise RefusalError("nothing in the file says what the table holds")
    return found


def _string(value: ir.Value) -> npt.NDArray[Any] | None:
    return None if value.const_value is None else texts(value.const_value.numpy().reshape(-1))


def _labels(values: npt.NDArray[Any], default: npt.NDArray[Any]) -> tuple[str, list[Any], Any] | None:
    """How `LabelEncoder` calls the type of the values, these, and the default; None for a type that it hasn't."""
    for kind, dtypes in (("int64", (np.int64, np.int32)), ("float", (np.float32,)), ("string", (object,))):
        if values.dtype in dtypes:
            return kind, values.tolist(), default.reshape(-1)[0].item() if kind != "string" else default.reshape(-1)[0]
    return None


def _encoded(ctx: NodeContext, key: ir.Value, table: Table, **values: Any) -> ir.Value:
    if table.keys.dtype == object:
        return ctx.op("LabelEncoder", key, keys_strings=texts(table.keys).tolist(), **values)
    if key.dtype not in _INTEGERS:
        raise RefusalError(f"a table with keys of type {table.keys.dtype}")
    wide = key if key.dtype == ir.DataType.INT64 else ctx.op("Cast", key, to=ir.DataType.INT64.value)
    return ctx.op("LabelEncoder", wide, keys_int64s=[int(item) for item in table.keys], **values)


def _default_for_all(ctx: NodeContext, key: ir.Value, default: ir.Value) -> ir.Value:
    rank = ctx.rank(default)
    shape = ctx.op("Shape", key)
    if rank:
        shape = ctx.op("Concat", shape, ctx.op("Shape", default), axis=0)
    return ctx.op("Expand", default, shape)


OPS: dict[str, OpFunction] = {
    **dict.fromkeys(sorted(TABLE_OPS), table),
    "LookupTableFind": find,
    "LookupTableFindV2": find,
    "LookupTableSize": size,
    "LookupTableSizeV2": size,
}
