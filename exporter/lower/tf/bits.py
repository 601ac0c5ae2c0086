"""Bits of integers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.simple import same
from exporter.lower.tf.vectors import as_int64, cast

__all__ = ["OPS"]


def _distance(ctx: NodeContext, x: ir.Value, y: ir.Value) -> ir.Value:
    """How far to shift, at most to the last bit."""
    bits = ctx.numpy_dtype(x).itemsize * 8
    return ctx.op("Clip", as_int64(ctx, y), ctx.int64(0), ctx.int64(bits - 1))


def _powers(ctx: NodeContext, distance: ir.Value, dtype: np.dtype[np.generic]) -> ir.Value:
    """2^distance."""
    bits = dtype.itemsize * 8 - int(dtype.kind == "i")
    table = np.array([1 << i for i in range(bits)] + [1 << (bits - 1)] * (dtype.kind == "i"), dtype)
    return ctx.op("Gather", ctx.const(table), distance, axis=0)


def left_shift(ctx: NodeContext) -> ir.Value:
    """`LeftShift`: x 2^y, of which the bits that fit are kept."""
    x, y = ctx.inputs
    wide = ir.DataType.UINT64 if ctx.dtype(x) == ir.DataType.UINT64 else ir.DataType.INT64
    product = ctx.op("Mul", cast(ctx, x, wide), _powers(ctx, _distance(ctx, x, y), np.dtype(wide.numpy())))
    return cast(ctx, product, ctx.dtype(x))


def right_shift(ctx: NodeContext) -> ir.Value:
    """`RightShift`: floor(x / 2^y); the sign stays."""
    x, y = ctx.inputs
    distance = _distance(ctx, x, y)
    if ctx.dtype(x) == ir.DataType.UINT64:
        return ctx.op("BitShift", x, cast(ctx, distance, ir.DataType.UINT64), direction="RIGHT")
    wide = as_int64(ctx, x)
    power = _powers(ctx, distance, np.dtype(np.int64))
    return cast(ctx, ctx.op("Div", ctx.op("Sub", wide, ctx.op("Mod", wide, power)), power), ctx.dtype(x))


def invert(ctx: NodeContext) -> ir.Value:
    """`Invert`: -1 - x, of unsigned numbers the largest one less x."""
    (x,) = ctx.inputs
    kind = ctx.numpy_dtype(x)
    all_set = -1 if kind.kind == "i" else int(np.iinfo(kind).max)
    if kind.itemsize < 4:
        wide = ctx.op("Sub", ctx.const(np.int32(all_set)), cast(ctx, x, ir.DataType.INT32))
        return cast(ctx, wide, ctx.dtype(x))
    return ctx.op("Sub", ctx.const(np.asarray(all_set, kind)), x)


_FLOATS = {ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.BFLOAT16}


def bitcast(ctx: NodeContext) -> ir.Value:
    """`Bitcast` between signed and unsigned integers of one size, or of known numbers."""
    x, wanted = ctx.inputs[0], ctx.element_type("type")
    known = ctx.constant(0)
    if known is not None and known.ndim:
        size, new = known.dtype.itemsize, np.dtype(wanted.numpy()).itemsize
        if new <= size or known.shape[-1] * size == new:
            viewed = np.ascontiguousarray(known).view(wanted.numpy())
            shape = known.shape if new == size else (*known.shape, size // new) if new < size else known.shape[:-1]
            return ctx.const(viewed.reshape(shape))
    if wanted == ctx.dtype(x):
        return x
    if wanted.bitwidth != ctx.dtype(x).bitwidth or {wanted, ctx.dtype(x)} & _FLOATS:
        raise RefusalError(f"it takes the bits of {ctx.dtype(x).name.lower()} for {wanted.name.lower()}")
    return cast(ctx, x, wanted)


OPS: dict[str, OpFunction] = {
    "Bitcast": bitcast,
    "BitwiseAnd": same("BitwiseAnd"),
    "BitwiseOr": same("BitwiseOr"),
    "BitwiseXor": same("BitwiseXor"),
    "Invert": invert,
    "LeftShift": left_shift,
    "RightShift": right_shift,
}
