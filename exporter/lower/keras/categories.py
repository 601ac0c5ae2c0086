"""Preprocessing of numbers into categories and of categories into vectors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower

__all__ = ["LAYERS"]


def discretization(ctx: LayerContext) -> ir.Value:
    """The number of boundaries that are not above x: its bin."""
    if ctx.settings.text("output_mode", "int") != "int":
        return ctx.refuse(f"output_mode {ctx.settings.raw('output_mode')!r}")
    bounds = ctx.settings.raw("bin_boundaries")
    if not isinstance(bounds, list | tuple) or not bounds:
        return ctx.refuse("bin boundaries that aren't in the configuration")
    ops = ctx.ops
    x = ops.unsqueeze(ops.cast(ctx.x, ir.DataType.FLOAT), -1)
    limits = ops.builder.constant(np.array(bounds, np.float32), f"{ctx.name}/bin_boundaries")
    reached = ops.cast(ops("GreaterOrEqual", x, limits), ir.DataType.INT64)
    index = ops.reduce("ReduceSum", reached, [-1], keepdims=False)
    return index if ctx.dtype is ir.DataType.INT64 else ops.cast(index, ir.DataType.INT32)


def category_encoding(ctx: LayerContext) -> ir.Value:
    """One-hot vectors of single indices, multi-hot ones or counts of several, in the layer's float type."""
    ops, mode = ctx.ops, ctx.settings.text("output_mode", "multi_hot")
    depth = ctx.settings.integer("num_tokens")
    if ctx.argument("count_weights", 1) is not None or ctx.settings.raw("sparse"):
        return ctx.refuse("weights or sparse results")
    ends = ops.builder.constant(np.array([0, 1], ctx.dtype.numpy()))
    vectors = ops("OneHot", ops.cast(ctx.x, ir.DataType.INT64), ops.ints(depth), ends, axis=-1)
    if ops.rank(ctx.x) == 1 and mode in ("one_hot", "multi_hot", "count"):
        return vectors
    if mode == "one_hot":
        last = ops.size(ctx.x, -1)
        return ops.squeeze(vectors, -2) if last == 1 else vectors
    if mode in ("multi_hot", "count"):
        op_type = "ReduceMax" if mode == "multi_hot" else "ReduceSum"
        return ops.reduce(op_type, vectors, [-2], keepdims=False)
    return ctx.refuse(f"output_mode {mode!r}")


LAYERS: dict[str, Lower] = {"CategoryEncoding": category_encoding, "Discretization": discretization}
