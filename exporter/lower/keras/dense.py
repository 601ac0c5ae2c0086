"""Layers that are a matrix product: Dense, EinsumDense, Embedding."""

from __future__ import annotations

import re

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.activations import activate
from exporter.lower.keras.context import LayerContext, Lower, Tensor

__all__ = ["LAYERS"]

_LAST_AXIS = re.compile(r"^([a-z]*|\.\.\.)([a-z]),\2([a-z])->\1\3$")


def dense(ctx: LayerContext) -> ir.Value:
    """x W + b over the last axis, W[I, units]."""
    ctx.settings.refuse("lora_rank")
    ctx.settings.refuse("quantization_config")
    units = ctx.settings.integer("units")
    kernel = ctx.weight("kernel", (ctx.channels(ctx.x), units))
    bias = ctx.weight("bias", (units,)) if ctx.settings.flag("use_bias", True) else None
    return activate(ctx, ctx.ops("Dense", ctx.x, kernel, bias), ctx.settings.raw("activation"))


def einsum_dense(ctx: LayerContext) -> ir.Value:
    """The products that an equation names, plus a bias along some axes of the result."""
    ctx.settings.refuse("lora_rank")
    ctx.settings.refuse("quantization_config")
    ops, equation = ctx.ops, ctx.settings.text("equation").replace(" ", "")
    left, _, result = equation.partition("->")
    x_axes, _, kernel_axes = left.partition(",")
    if not result or not kernel_axes:
        return ctx.refuse(f"equation {equation[:80]!r} isn't of the form x,kernel->result")
    sizes = _axis_sizes(ctx, x_axes, result)
    if any(axis not in sizes for axis in kernel_axes):
        return ctx.refuse(f"the sizes of the kernel's axes don't follow from equation {equation[:80]!r}")
    kernel = ctx.weight("kernel", [sizes[axis] for axis in kernel_axes])
    if _LAST_AXIS.match(equation):
        y = ops("Dense", ctx.x, kernel, None)
    else:
        y = ops("Einsum", ctx.x, kernel, equation=equation)
    bias_axes = ctx.settings.raw("bias_axes")
    if bias_axes:
        bias = ctx.weight("bias", [sizes[axis] for axis in result if axis in bias_axes])
        y = ops("Add", y, _bias_over(ctx, bias, str(bias_axes), result, sizes))
    return activate(ctx, y, ctx.settings.raw("activation"))


def _axis_sizes(ctx: LayerContext, x_axes: str, result: str) -> dict[str, int]:
    """The size of each axis letter, from the input and from `output_shape` (counted from the end)."""
    sizes: dict[str, int] = {}
    dims = ctx.ops.dims(ctx.x)
    for letters, known in ((x_axes, list(dims)), (result, _output_shape(ctx))):
        before, dots, after = letters.partition("...")
        pairs = [*zip(before, known, strict=False)] if dots else []
        pairs += zip(reversed(after if dots else letters), reversed(known), strict=False)
        for letter, size in pairs:
            if isinstance(size, int):
                sizes.setdefault(letter, size)
    return sizes


def _output_shape(ctx: LayerContext) -> list[object]:
    shape = ctx.settings.raw("output_shape")
    return list(shape) if isinstance(shape, list | tuple) else [shape]


def _bias_over(ctx: LayerContext, bias: ir.Value, axes: str, result: str, sizes: dict[str, int]) -> ir.Value:
    """The bias with size 1 on the axes of the result, from its first, that it doesn't run along."""
    letters = result.partition("...")[2] if "..." in result else result
    first = min(i for i, letter in enumerate(letters) if letter in axes)
    shape = [sizes[letter] if letter in axes else 1 for letter in letters[first:]]
    return bias if len(shape) == len(axes) else ctx.ops.reshape(bias, shape)


def embedding(ctx: LayerContext) -> Tensor:
    """Rows of a table by index; with mask_zero, index 0 is masked."""
    ctx.settings.refuse("lora_rank")
    ctx.settings.refuse("quantization_config")
    ops = ctx.ops
    shape = (ctx.settings.integer("input_dim"), ctx.settings.integer("output_dim"))
    table = ctx.weight("embeddings", shape)
    indices = ctx.x if ctx.x.dtype in (ir.DataType.INT32, ir.DataType.INT64) else ops.cast(ctx.x, ir.DataType.INT32)
    mask = None
    if ctx.settings.flag("mask_zero", False):
        mask = ops("Not", ops("Equal", indices, ops.builder.constant(np.array(0, ops.dtype(indices).numpy()))))
    return Tensor(ops("Gather", table, indices, axis=0), mask)


def reversible_embedding(ctx: LayerContext) -> Tensor:
    """Rows of a table by index or, called with `reverse`, the products of vectors with each row."""
    if not ctx.argument("reverse", 1):
        return embedding(ctx)
    ctx.settings.refuse("reverse_dtype", "float32")
    rows, columns = ctx.settings.integer("input_dim"), ctx.settings.integer("output_dim")
    if ctx.settings.flag("tie_weights", True):
        kernel = ctx.ops.transpose(ctx.weight("embeddings", (rows, columns)), [1, 0])
    else:
        kernel = ctx.weight("reverse_embeddings", (columns, rows))
    y = ctx.ops("Dense", ctx.x, kernel, None)
    if ctx.settings.raw("logit_soft_cap") is not None:
        cap = ctx.settings.number("logit_soft_cap")
        y = ctx.ops.compute("Mul", ctx.ops("Tanh", ctx.ops.compute("Div", y, cap)), cap)
    return Tensor(y, ctx.mask)


LAYERS: dict[str, Lower] = {
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
    "ReversibleEmbedding": reversible_embedding,
}
