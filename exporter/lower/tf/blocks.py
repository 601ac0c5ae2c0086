"""Blocks of pixels into channels and back."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.layout import layout_of
from exporter.lower.tf.vectors import cast

__all__ = ["OPS"]

_MOVED_AS = {
    **dict.fromkeys((ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16), ir.DataType.FLOAT),
    **dict.fromkeys((ir.DataType.INT32, ir.DataType.UINT32), ir.DataType.DOUBLE),
}
"""Floats that hold every number of integers that runtimes don't move."""


def _blocks(op_type: str) -> OpFunction:
    def blocks(ctx: NodeContext) -> ir.Value:
        layout = layout_of(ctx, 4)
        x = layout.channels_last(ctx, ctx.ranked(ctx.inputs[0], 4))
        kind = ctx.dtype(x)
        moved = cast(ctx, x, _MOVED_AS.get(kind, kind))
        moved = ctx.op(op_type, moved, blocksize=ctx.integer("block_size"))
        return layout.restore(ctx, cast(ctx, moved, kind))

    return blocks


OPS: dict[str, OpFunction] = {"DepthToSpace": _blocks("DepthToSpace"), "SpaceToDepth": _blocks("SpaceToDepth")}
