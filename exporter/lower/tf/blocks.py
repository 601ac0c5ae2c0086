"""Blocks of pixels into channels and back."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.layout import layout_of

__all__ = ["OPS"]


def _blocks(op_type: str) -> OpFunction:
    def blocks(ctx: NodeContext) -> ir.Value:
        layout = layout_of(ctx, 4)
        x = layout.channels_last(ctx, ctx.ranked(ctx.inputs[0], 4))
        return layout.restore(ctx, ctx.op(op_type, x, blocksize=ctx.integer("block_size")))

    return blocks


OPS: dict[str, OpFunction] = {"DepthToSpace": _blocks("DepthToSpace"), "SpaceToDepth": _blocks("SpaceToDepth")}
