"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower, Tensor

__all__ = ["LAYERS"]


def merge(ctx: LayerContext, *, op_type: str) -> Tensor:
    """One op over all inputs, which broadcast; with a batch axis first where their ranks differ."""
    values = _same_rank(ctx, ctx.xs)
    if not values:
        return ctx.refuse("it is called without tensors")
    result = values[0]
    for value in values[1:]:
        result = ctx.ops(op_type, result, value)
    return Tensor(result, _joined(ctx))


def multiply(ctx: LayerContext) -> Tensor:
    """The product; Keras 3 takes 1 for what is masked of an input, and gives 0 for what is masked of all of them."""
    if ctx.major < 3 or all(tensor.mask is None for tensor in ctx.tensors):
        return merge(ctx, op_type="Mul")
    ops = ctx.ops
    values = _same_rank(ctx, ctx.xs)
    masks = [_over(ctx, tensor, value) for tensor, value in zip(ctx.tensors, values, strict=True)]
    result: ir.Value | None = None
    for value, mask in zip(values, masks, strict=True):
        factor = value if mask is None else ops("Where", mask, value, ops.scalar(1, value))
        result = factor if result is None else ops("Mul", result, factor)
    assert result is not None
    if None in masks:
        return Tensor(result, _joined(ctx))
    return Tensor(ops("Where", ops.any_of(*masks), result, ops.scalar(0, result)), _joined(ctx))


def _over(ctx: LayerContext, tensor: Tensor, value: ir.Value) -> ir.Value | None:
    """The mask with an axis for the channels; none of a tensor that has been given more axes."""
    if tensor.mask is None or value is not tensor.value:
        return None
    if ctx.ops.rank(tensor.mask) != ctx.ops.rank(value) - 1:
        return ctx.refuse("a mask of another rank than its input's")
    return ctx.ops.unsqueeze(tensor.mask, -1)


def extreme(ctx: LayerContext, *, op_type: str) -> Tensor:
    """The largest or smallest; in Keras 3, of two the other where one is masked."""
    if ctx.major < 3 or all(tensor.mask is None for tensor in ctx.tensors):
        return merge(ctx, op_type=op_type)
    ops = ctx.ops
    values = _same_rank(ctx, ctx.xs)
    masks = [_over(ctx, tensor, value) for tensor, value in zip(ctx.tensors, values, strict=True)]
    result, covered = values[0], masks[0]
    for value, mask in zip(values[1:], masks[1:], strict=True):
        other = value if mask is None else ops("Where", mask, value, result)
        result = ops(op_type, result if covered is None else ops("Where", covered, result, other), other)
        covered = None if covered is None or mask is None else ops("Or", covered, mask)
    return Tensor(result, _joined(ctx))


def average(ctx: LayerContext) -> Tensor:
    """The sum over the number of inputs."""
    total = merge(ctx, op_type="Add")
    return Tensor(ctx.ops.compute("Div", total.value, len(ctx.xs)), total.mask)


def _same_rank(ctx: LayerContext, values: Sequence[ir.Value]) -> list[ir.Value]:
    """Values of lower rank with axes of size 1 after the batch."""
    highest = max((ctx.ops.rank(value) for value in values), default=0)
    return [
        value
        if ctx.ops.rank(value) == highest
        else ctx.ops.unsqueeze(value, *range(1, 1 + highest - ctx.ops.rank(value)))
        for value in values
    ]


def _joined(ctx: LayerContext) -> ir.Value | None:
    """The mask of a merge: Keras 2 joins those there are by And, Keras 3 all of them by Or, or drops them."""
    masks = [tensor.mask for tensor in ctx.tensors]
    if ctx.major < 3:
        return ctx.ops.all_of(*masks)
    return None if None in masks else ctx.ops.any_of(*masks)


def concatenate(ctx: LayerContext) -> Tensor:
    """The inputs one after another along an axis."""
    axis = ctx.settings.integer("axis", -1)
    result = ctx.ops.concat(ctx.xs, axis)
    masks = [tensor.mask for tensor in ctx.tensors]
    if all(mask is None for mask in masks):
        return Tensor(result)
    rank = ctx.ops.rank(result)
    if any(mask is not None and ctx.ops.rank(mask) != rank - 1 for mask in masks):
        return ctx.refuse("masks of another rank than its inputs'")
    if axis % rank == rank - 1:
        return Tensor(result, _joined(ctx))
    whole = [_true(ctx, x) if mask is None else mask for x, mask in zip(ctx.xs, masks, strict=True)]
    return Tensor(result, ctx.ops.concat(whole, axis % rank))


def _true(ctx: LayerContext, x: ir.Value) -> ir.Value:
    """A mask of x that lets everything through."""
    sizes = [ctx.ops.size(x, axis) for axis in range(ctx.ops.rank(x) - 1)]
    return ctx.ops("Expand", ctx.ops.builder.constant(np.array(True)), ctx.ops.vector(sizes))


def dot(ctx: LayerContext) -> ir.Value:
    """The sum of products over one axis of each of two inputs; with `normalize`, of vectors of length 1."""
    ops = ctx.ops
    if len(ctx.xs) != 2:
        return ctx.refuse(f"it is called with {len(ctx.xs)} tensors, expected two")
    a, b = ctx.xs
    axes = ctx.settings.raw("axes")
    first, second = axes if isinstance(axes, list | tuple) else (axes, axes)
    first, second = first % ops.rank(a), second % ops.rank(b)
    if ctx.settings.flag("normalize", False):
        a, b = _unit(ctx, a, first), _unit(ctx, b, second)
    flat = [rank == 2 for rank in (ops.rank(a), ops.rank(b))]
    a = ops.unsqueeze(a, 1) if flat[0] else ops.move_axis(a, first, -1)
    b = ops.unsqueeze(b, 2) if flat[1] else ops.move_axis(b, second, 1)
    if ops.rank(a) > 3 or ops.rank(b) > 3:
        return ctx.refuse("inputs of more than three axes")
    y = ops("MatMul", a, b)
    if all(flat):
        return ops.squeeze(y, 1)
    return ops.squeeze(y, 1) if flat[0] else ops.squeeze(y, 2) if flat[1] else y


def _unit(ctx: LayerContext, x: ir.Value, axis: int) -> ir.Value:
    ops = ctx.ops
    total = ops.reduce("ReduceSum", ops("Mul", x, x), [axis], keepdims=True)
    return ops("Div", x, ops("Sqrt", ops("Max", total, ops.scalar(1e-12, x))))


LAYERS: dict[str, Lower] = {
    "Add": partial(merge, op_type="Add"),
    "Average": average,
    "Concatenate": concatenate,
    "Dot": dot,
    "Maximum": partial(extreme, op_type="Max"),
    "Minimum": partial(extreme, op_type="Min"),
    "Multiply": multiply,
    "Subtract": partial(merge, op_type="Sub"),
}
