"""Rows written or reduced into a tensor by index."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext
from exporter.lower.tf.vectors import as_int64, cast

__all__ = ["scattered"]

_REDUCED_IN = {
    ir.DataType.FLOAT16: ir.DataType.FLOAT,
    ir.DataType.BFLOAT16: ir.DataType.FLOAT,
    **dict.fromkeys((ir.DataType.INT8, ir.DataType.INT16, ir.DataType.UINT8, ir.DataType.UINT16), ir.DataType.INT32),
    ir.DataType.UINT32: ir.DataType.INT64,
}
"""Wider types for those that runtimes don't reduce; integers cut off afterwards are those that have wrapped around."""


def scattered(ctx: NodeContext, x: ir.Value, indices: ir.Value, updates: ir.Value, reduction: str) -> ir.Value:
    """x with the updates at the places that `indices` [..., depth] say, or reduced with what is there."""
    kind = ctx.dtype(x)
    wide = kind if reduction == "none" else _REDUCED_IN.get(kind, kind)
    indices, x, updates = as_int64(ctx, indices), cast(ctx, x, wide), cast(ctx, updates, wide)
    return cast(ctx, ctx.op("ScatterND", x, indices, updates, reduction=reduction), kind)
