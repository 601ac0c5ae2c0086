"""Makes op functions of the ops that ONNX has under another name, or as a short chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction

__all__ = ["chain", "in_int32", "same"]

_SMALL_INTEGERS = (ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16)


def same(op_type: str, **attributes: Any) -> OpFunction:
    """The op function of an op that takes the node's inputs as they are."""

    def lower(ctx: NodeContext) -> ir.Value:
        return ctx.op(op_type, *ctx.inputs, **attributes)

    return lower


def in_int32(op_type: str, **attributes: Any) -> Callable[[NodeContext], ir.Value]:
    """The same, where ONNX has no integers of 8 and 16 bits: int32's last bits are those of their sums and products."""

    def lower(ctx: NodeContext) -> ir.Value:
        dtype = ctx.inputs[0].dtype
        if dtype not in _SMALL_INTEGERS:
            return ctx.op(op_type, *ctx.inputs, **attributes)
        wide = [ctx.op("Cast", x, to=ir.DataType.INT32.value) if x.dtype == dtype else x for x in ctx.inputs]
        return ctx.op("Cast", ctx.op(op_type, *wide, **attributes), to=dtype.value)

    return lower


def chain(*op_types: str) -> OpFunction:
    """The op function of one op on the node's inputs and others, of one input each, on the result."""

    def lower(ctx: NodeContext) -> ir.Value:
        y = ctx.op(op_types[0], *ctx.inputs)
        for op_type in op_types[1:]:
            y = ctx.op(op_type, y)
        return y

    return lower
