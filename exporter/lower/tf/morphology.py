"""Grey-scale dilation."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.layout import Layout
from exporter.lower.tf.patches import cut_windows

__all__ = ["OPS"]


def dilation(ctx: NodeContext) -> ir.Value:
    """`Dilation2D`: the largest of x + kernel [h, w, c] over each window."""
    x, kernel = ctx.inputs
    layout = Layout(4, channels_first=False)
    window = ctx.sizes(kernel)
    if window is None:
        raise RefusalError("the size of its kernel is not known")
    strides, rates = (layout.spatial(ctx.integers(name), name) for name in ("strides", "rates"))
    lowest = ctx.const(np.asarray(-np.inf, ctx.numpy_dtype(x)))
    found = cut_windows(ctx, ctx.ranked(x, 4), window[:2], strides, rates, lowest)
    return ctx.op("ReduceMax", ctx.op("Add", found.elements, kernel), ctx.int64([3, 4]), keepdims=0)


OPS: dict[str, OpFunction] = {"Dilation2D": dilation}
