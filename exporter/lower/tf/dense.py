"""Matrix products."""

from __future__ import annotations

import re

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import cast

__all__ = ["OPS", "matmul"]

_DENSE_EQUATION = re.compile(r"(?P<batch>(?:\.\.\.)?[A-Za-z]*)(?P<i>[A-Za-z]),(?P=i)(?P<o>[A-Za-z])->(?P=batch)(?P=o)")


def _swap(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """The tensor with its last two axes exchanged."""
    rank = ctx.rank(x)
    if rank < 2:
        raise RefusalError(f"a tensor of rank {rank} is no matrix")
    return ctx.op("Transpose", x, perm=[*range(rank - 2), rank - 1, rank - 2])


def _product(ctx: NodeContext, a: ir.Value, b: ir.Value) -> ir.Value:
    """a b over the last axis: `Dense` where b is a matrix of weights; small integers are multiplied as int32."""
    if not ctx.dtype(a).is_floating_point():
        return _of_integers(ctx, a, b, ctx.element_type("Tout") if ctx.node.op == "BatchMatMulV3" else ctx.dtype(a))
    left, right = ctx.shape(a), ctx.shape(b)
    by_weights = left is not None and right is not None and len(right) == 2 and ctx.is_constant(b)
    op_type = "Dense" if by_weights else "MatMul"
    return ctx.op(op_type, a, b)


_MULTIPLIED = frozenset({ir.DataType.INT32, ir.DataType.INT64})


def _of_integers(ctx: NodeContext, a: ir.Value, b: ir.Value, wanted: ir.DataType) -> ir.Value:
    wide = wanted if wanted in _MULTIPLIED else ir.DataType.INT32
    return cast(ctx, ctx.op("MatMul", cast(ctx, a, wide), cast(ctx, b, wide)), wanted)


def matmul(ctx: NodeContext) -> ir.Value:
    """`MatMul` of two matrices, each transposed on request."""
    a, b = (ctx.ranked(value, 2) for value in ctx.inputs)
    a = _swap(ctx, a) if ctx.flag("transpose_a", False) else a
    b = _swap(ctx, b) if ctx.flag("transpose_b", False) else b
    return _product(ctx, a, b)


def batch_matmul(ctx: NodeContext) -> ir.Value:
    """`BatchMatMul`: the axes before the last two are a batch, which broadcasts."""
    a, b = ctx.inputs
    a = _swap(ctx, a) if ctx.flag("adj_x", False) else a
    b = _swap(ctx, b) if ctx.flag("adj_y", False) else b
    return _product(ctx, a, b)


def einsum(ctx: NodeContext) -> ir.Value:
    """`Einsum`; a product over the last axis with a matrix of weights is `Dense`."""
    equation = ctx.text("equation").replace(" ", "")
    found = _DENSE_EQUATION.fullmatch(equation)
    if found and len(ctx.inputs) == 2 and found["o"] not in found["batch"] and found["i"] not in found["batch"]:
        return _product(ctx, *ctx.inputs)
    return ctx.op("Einsum", *ctx.inputs, equation=equation)


OPS: dict[str, OpFunction] = {
    "BatchMatMul": batch_matmul,
    "BatchMatMulV2": batch_matmul,
    "BatchMatMulV3": batch_matmul,
    "Einsum": einsum,
    "MatMul": matmul,
    "SparseMatMul": matmul,
}
