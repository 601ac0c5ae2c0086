"""Convolutions whose kernel is another one at each place."""

from __future__ import annotations

from functools import partial
from itertools import product

import onnx_ir as ir

from exporter.lower.keras.activations import activate
from exporter.lower.keras.context import LayerContext, Lower

__all__ = ["LAYERS"]


def locally_connected(ctx: LayerContext, *, rank: int) -> ir.Value:
    """y[n, p] = patch[n, p] kernel[p] + bias[p], p being a place of the result; without padding."""
    ctx.settings.refuse("padding", "valid")
    if ctx.settings.integer("implementation", 1) != 1:
        return ctx.refuse("implementation 2 and 3, which store the kernel as one matrix")
    ops, filters = ctx.ops, ctx.settings.integer("filters")
    x = ops.to_last(ctx.x) if ctx.channels_first else ctx.x
    size, strides = ctx.settings.integers("kernel_size", rank), ctx.settings.integers("strides", rank, 1)
    out = [(ctx.channels(x, axis + 1) - size[axis]) // strides[axis] + 1 for axis in range(rank)]
    parts = []
    for offsets in product(*map(range, size)):
        part = x
        for axis, offset in enumerate(offsets):
            part = ops.slice(part, axis + 1, offset, offset + (out[axis] - 1) * strides[axis] + 1, strides[axis])
        parts.append(part)
    places, features = _product(out), _product(size) * ctx.channels(x)
    patches = ops.transpose(ops.reshape(ops.concat(parts, -1), [-1, places, features]), [1, 0, 2])
    y = ops("MatMul", patches, ctx.weight("kernel", (places, features, filters)))
    y = ops.reshape(ops.transpose(y, [1, 0, 2]), [-1, *out, filters])
    if ctx.settings.flag("use_bias", True):
        y = ops("Add", y, ctx.weight("bias", (*out, filters)))
    y = activate(ctx, y, ctx.settings.raw("activation"))
    return ops.to_first(y) if ctx.channels_first else y


def _product(sizes: list[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


LAYERS: dict[str, Lower] = {f"LocallyConnected{rank}D": partial(locally_connected, rank=rank) for rank in (1, 2)}
