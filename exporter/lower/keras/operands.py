"""The arguments of operations: `keras.ops` as Keras 3 records them, TensorFlow functions as tf.keras does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Tensor
from exporter.lower.keras.dtypes import FLOATS
from exporter.lower.keras.ops import Size
from exporter.sources.keras_model import flatten

__all__ = ["argument", "axes_of", "numbers", "pair", "sizes_of", "tensor", "tensors"]

_WIDTH = [
    ir.DataType.BOOL,
    ir.DataType.UINT8,
    ir.DataType.INT8,
    ir.DataType.INT16,
    ir.DataType.INT32,
    ir.DataType.INT64,
]


def argument(ctx: LayerContext, position: int, *names: str, default: Any = None) -> Any:
    """An argument by position, by one of its names, or as a setting of the operation."""
    ctx.used.update((position, *names))
    if position < len(ctx.args):
        return ctx.args[position]
    for name in names:
        if name in ctx.kwargs:
            return ctx.kwargs[name]
        if name in ctx.settings:
            return ctx.settings.raw(name)
    return default


def tensor(ctx: LayerContext, position: int = 0, *names: str) -> ir.Value:
    """An argument that has to be a tensor; numbers become a constant."""
    given = argument(ctx, position, *names)
    if isinstance(given, Tensor):
        return given.value
    return _constant(ctx, given, None)


def tensors(ctx: LayerContext, position: int = 0, *names: str) -> list[ir.Value]:
    """An argument that is a list of tensors, in one type."""
    given = [leaf.value for leaf in flatten(argument(ctx, position, *names)) if isinstance(leaf, Tensor)]
    if not given:
        return ctx.refuse("it is called without tensors")
    target = reduce(partial(_common, ctx), [ctx.ops.dtype(value) for value in given])
    return [ctx.ops.cast(value, target) for value in given]


def pair(ctx: LayerContext, *, first: int = 0, floats: bool = False) -> tuple[ir.Value, ir.Value]:
    """Two operands in one type: numbers take that of the tensor, integers beside floats become floats."""
    one, other = argument(ctx, first, "x1", "x", "a"), argument(ctx, first + 1, "x2", "y", "b")
    a = one.value if isinstance(one, Tensor) else _constant(ctx, one, other)
    b = other.value if isinstance(other, Tensor) else _constant(ctx, other, one)
    target = _common(ctx, ctx.ops.dtype(a), ctx.ops.dtype(b))
    if floats and target not in FLOATS:
        target = ir.DataType.FLOAT
    return ctx.ops.cast(a, target), ctx.ops.cast(b, target)


def numbers(ctx: LayerContext, given: object, what: str) -> list[int]:
    """An argument that has to be known whole numbers."""
    items: Sequence[object] = given if isinstance(given, list | tuple) else [given]
    whole = [item for item in items if isinstance(item, int) and not isinstance(item, bool)]
    return whole if len(whole) == len(items) else ctx.refuse(f"{what} {str(given)[:60]!r}")


def axes_of(ctx: LayerContext, given: object, rank: int) -> list[int]:
    """Axes counted from 0; None is all of them."""
    if given is None:
        return list(range(rank))
    axes = numbers(ctx, given, "axis")
    if not all(-rank <= axis < rank for axis in axes):
        return ctx.refuse(f"axis {given!r} of a tensor of rank {rank}")
    return [axis % rank for axis in axes]


def sizes_of(ctx: LayerContext, given: object) -> list[Size]:
    """A shape: numbers (None is what is left) and tensors of one number each, or one tensor for all."""
    if isinstance(given, Tensor):
        count = ctx.channels(given.value, 0)
        vector = ctx.ops.cast(given.value, ir.DataType.INT64)
        return [ctx.ops.slice(vector, 0, i, i + 1) for i in range(count)]
    items: Sequence[object] = given if isinstance(given, list | tuple) else [given]
    return [_size(ctx, item) for item in items]


def _size(ctx: LayerContext, item: object) -> Size:
    if isinstance(item, Tensor):
        return ctx.ops.reshape(ctx.ops.cast(item.value, ir.DataType.INT64), [1])
    if item is None or type(item) is int:
        return -1 if item is None else int(item)
    return ctx.refuse(f"size {str(item)[:40]!r}")


def _constant(ctx: LayerContext, given: object, beside: object) -> ir.Value:
    """Numbers in the type of the tensor beside them; floats beside integers stay floats."""
    try:
        array = np.asarray(given)
    except ValueError:
        return ctx.refuse(f"argument {str(given)[:60]!r}")
    if array.dtype.kind not in "biuf":
        return ctx.refuse(f"argument {str(given)[:60]!r}")
    like = ctx.ops.dtype(beside.value) if isinstance(beside, Tensor) else None
    if array.dtype.kind == "f":
        kind = like if like in FLOATS else ir.DataType.FLOAT
    elif array.dtype.kind in "iu":
        kind = ir.DataType.INT32 if like is None or like is ir.DataType.BOOL else like
    else:
        kind = ir.DataType.BOOL
    assert kind is not None
    return ctx.ops.builder.constant(array.astype(kind.numpy()))


def _common(ctx: LayerContext, first: ir.DataType, second: ir.DataType) -> ir.DataType:
    """The type of a result of both, as Keras 3 has it: floats go before integers, of half types float32 is the next."""
    if first == second:
        return first
    floats = [kind for kind in (first, second) if kind in FLOATS]
    if len(floats) == 1:
        return floats[0]
    if floats:
        return ir.DataType.DOUBLE if ir.DataType.DOUBLE in floats else ir.DataType.FLOAT
    if first not in _WIDTH or second not in _WIDTH:
        return ctx.refuse(f"operands of types {first.name} and {second.name}")
    if {first, second} == {ir.DataType.UINT8, ir.DataType.INT8}:
        return ir.DataType.INT16
    return max(first, second, key=_WIDTH.index)
