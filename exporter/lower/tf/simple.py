"""Makes op functions of the ops that ONNX has under another name, or as a short chain."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction

__all__ = ["chain", "same"]


def same(op_type: str, **attributes: Any) -> OpFunction:
    """The op function of an op that takes the node's inputs as they are."""

    def lower(ctx: NodeContext) -> ir.Value:
        return ctx.op(op_type, *ctx.inputs, **attributes)

    return lower


def chain(*op_types: str) -> OpFunction:
    """The op function of one op on the node's inputs and others, of one input each, on the result."""

    def lower(ctx: NodeContext) -> ir.Value:
        y = ctx.op(op_types[0], *ctx.inputs)
        for op_type in op_types[1:]:
            y = ctx.op(op_type, y)
        return y

    return lower
