"""Element types."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import cast as cast_to

__all__ = ["OPS"]


def cast(ctx: NodeContext) -> ir.Value:
    """`Cast`: floats are cut off towards zero to integers, all but 0 is true."""
    if ctx.flag("Truncate", False):
        raise RefusalError("Truncate is set")
    wanted = ctx.element_type("DstT")
    if ir.DataType.STRING in (wanted, ctx.inputs[0].dtype):
        raise RefusalError("it has strings, which Cast doesn't take")
    return cast_to(ctx, ctx.inputs[0], wanted)


OPS: dict[str, OpFunction] = {"Cast": cast}
