"""Pools over windows, over everything, and to a given size."""

from __future__ import annotations

from functools import partial

import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower
from exporter.lower.keras.windows import padding_attributes
from exporter.nn import layers

__all__ = ["LAYERS"]

_PADDINGS = {"valid": "valid", "same": "same"}


def pool(ctx: LayerContext, *, op_type: str, rank: int) -> ir.Value:
    """The largest value or the mean of each window; padding never counts."""
    x = ctx.ops.to_last(ctx.x) if ctx.channels_first else ctx.x
    size = ctx.settings.integers("pool_size", rank, 2)
    strides = size if ctx.settings.raw("strides") is None else ctx.settings.integers("strides", rank)
    padding = ctx.settings.choice("padding", _PADDINGS, "valid")
    pads = padding_attributes(ctx.ops, x, padding, size, strides, [1] * rank)
    y = layers.pool(ctx.ops.builder, op_type, x, size=size, strides=strides, padding=pads)
    return ctx.ops.to_first(y) if ctx.channels_first else y


def global_pool(ctx: LayerContext, *, op_type: str, rank: int) -> ir.Value:
    """The largest value or the mean of each channel."""
    first = 2 if ctx.channels_first else 1
    keepdims = ctx.settings.flag("keepdims", False)
    if op_type == "ReduceMean" and rank == 1 and ctx.mask is not None:
        return _masked_mean(ctx, ctx.mask, axis=first, keepdims=keepdims)
    return ctx.ops.reduce(op_type, ctx.x, range(first, first + rank), keepdims=keepdims)


def _masked_mean(ctx: LayerContext, mask: ir.Value, *, axis: int, keepdims: bool) -> ir.Value:
    """The mean over the steps that the mask lets through."""
    ops = ctx.ops
    weight = ops.unsqueeze(ops.cast(mask, ops.dtype(ctx.x)), 3 - axis)
    total = ops.reduce("ReduceSum", ops("Mul", ctx.x, weight), [axis], keepdims=keepdims)
    return ops("Div", total, ops.reduce("ReduceSum", weight, [axis], keepdims=keepdims))


def adaptive_pool(ctx: LayerContext, *, op_type: str, rank: int) -> ir.Value:
    """A pool to a given size, where that divides the size there is."""
    x = ctx.ops.to_last(ctx.x) if ctx.channels_first else ctx.x
    wanted = ctx.settings.integers("output_size", rank)
    window = []
    for axis, count in enumerate(wanted):
        size = ctx.channels(x, axis + 1)
        if count < 1 or size % count:
            return ctx.refuse(f"output size {count} doesn't divide {size}")
        window.append(size // count)
    y = ctx.ops(op_type, x, kernel_shape=window, strides=window)
    return ctx.ops.to_first(y) if ctx.channels_first else y


def _table() -> dict[str, Lower]:
    table: dict[str, Lower] = {}
    for rank in (1, 2, 3):
        for names, windowed, reduced in (
            (("Average", "Avg"), "AveragePool", "ReduceMean"),
            (("Max",), "MaxPool", "ReduceMax"),
        ):
            for name in (*[f"{n}Pooling" for n in names[:1]], *[f"{n}Pool" for n in names[-1:]]):
                table[f"{name}{rank}D"] = partial(pool, op_type=windowed, rank=rank)
                table[f"Global{name}{rank}D"] = partial(global_pool, op_type=reduced, rank=rank)
            table[f"Adaptive{names[0]}Pooling{rank}D"] = partial(adaptive_pool, op_type=windowed, rank=rank)
    return table


LAYERS: dict[str, Lower] = _table()
