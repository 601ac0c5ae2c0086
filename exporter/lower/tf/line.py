"""Convolutions along one axis, which TensorFlow writes as ones along two."""

from __future__ import annotations

import onnx_ir as ir

from exporter.ir.evaluate import attributes_of
from exporter.ir.ops import is_op
from exporter.lower.tf.context import NodeContext

__all__ = ["narrowed"]


def narrowed(ctx: NodeContext, y: ir.Value, axis: int) -> ir.Value | None:
    """`Squeeze(Conv(Unsqueeze(x), Unsqueeze(w)))` of one spatial axis as `Conv(x, w)` along the other.

    None where y isn't such a convolution: the axis has to be the one that was added to the input and, with size 1, to
    the kernel.
    """
    node = y.producer()
    if node is None or not is_op(node, "Conv") or ctx.rank(y) != 4 or axis not in (1, 2):
        return None
    x = _before_unsqueeze(ctx, node.inputs[0], axis)
    kernel = _before_unsqueeze(ctx, node.inputs[1], axis - 1)
    if x is None or kernel is None:
        return None
    attributes = attributes_of(node)
    for name in ("strides", "dilations", "pads"):
        if name in attributes:
            attributes[name] = [n for i, n in enumerate(attributes[name]) if i % 2 != axis - 1]
    with ctx.builder.source(node.metadata_props["source"]):
        return ctx.op("Conv", x, kernel, **attributes)


def _before_unsqueeze(ctx: NodeContext, value: ir.Value | None, axis: int) -> ir.Value | None:
    """What got this one new axis to be the value."""
    node = None if value is None else value.producer()
    if value is None or node is None or not is_op(node, "Unsqueeze") or node.inputs[1] is None:
        return None
    known = ctx.builder.elements(node.inputs[1])
    if known is None or known.dtype == object or known.size != 1:
        return None
    return node.inputs[0] if int(known.reshape(-1)[0]) % ctx.rank(value) == axis else None
