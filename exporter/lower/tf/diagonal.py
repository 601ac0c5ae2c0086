"""Diagonals of matrices: the last two axes of a tensor."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import dim_value, join, scalar

__all__ = ["OPS"]


def _places(ctx: NodeContext, x: ir.Value, axis: int) -> ir.Value:
    """0, 1, ... along an axis of x."""
    size = scalar(ctx, join(ctx, [dim_value(ctx, x, axis % ctx.rank(x))]))
    return ctx.op("Range", ctx.int64(0), size, ctx.int64(1))


def _on_diagonal(ctx: NodeContext, rows: ir.Value, columns: ir.Value) -> ir.Value:
    return ctx.op("Equal", ctx.op("Unsqueeze", rows, ctx.int64([1])), columns)


def _main_only(ctx: NodeContext, index: int) -> None:
    """Refused where another diagonal than the main one is meant."""
    if len(ctx.inputs) > index and any(ctx.fixed_ints(index, "its diagonal")):
        raise RefusalError("it is about another diagonal than the main one")


def matrix_diag(ctx: NodeContext) -> ir.Value:
    """`MatrixDiag`: a vector as the diagonal of a square matrix."""
    x = ctx.inputs[0]
    _main_only(ctx, 1)
    if len(ctx.inputs) > 2 and [ctx.ints(2), ctx.ints(3)] != [[-1], [-1]]:
        raise RefusalError("the size of its matrix is given")
    padding = ctx.inputs[4] if len(ctx.inputs) > 4 else ctx.scalar(0, x)
    places = _places(ctx, x, -1)
    return ctx.op("Where", _on_diagonal(ctx, places, places), ctx.op("Unsqueeze", x, ctx.int64([-1])), padding)


def matrix_diag_part(ctx: NodeContext) -> ir.Value:
    """`MatrixDiagPart`: the diagonal of each matrix; its length is the smaller of both sizes."""
    x = ctx.inputs[0]
    _main_only(ctx, 1)
    found = ctx.op("Where", _on_diagonal(ctx, _places(ctx, x, -2), _places(ctx, x, -1)), x, ctx.scalar(0, x))
    y = ctx.op("ReduceSum", found, ctx.int64([-1]), keepdims=0)
    rank = ctx.rank(x)
    sizes = [join(ctx, [dim_value(ctx, x, axis)]) for axis in (rank - 2, rank - 1)]
    return ctx.op("Slice", y, ctx.int64([0]), ctx.op("Min", *sizes), ctx.int64([-1 % (rank - 1)]))


def matrix_set_diag(ctx: NodeContext) -> ir.Value:
    """`MatrixSetDiag`: matrices with another diagonal."""
    x, diagonal = ctx.inputs[:2]
    _main_only(ctx, 2)
    sizes = ctx.shape(x)
    if sizes is None or not isinstance(sizes[-1], int) or sizes[-1] != sizes[-2]:
        raise RefusalError("its matrices are not known to be square")
    places = ctx.const(np.arange(sizes[-1], dtype=np.int64))
    return ctx.op("Where", _on_diagonal(ctx, places, places), ctx.op("Unsqueeze", diagonal, ctx.int64([-1])), x)


OPS: dict[str, OpFunction] = {
    **{f"MatrixDiag{version}": matrix_diag for version in ("", "V2", "V3")},
    **{f"MatrixDiagPart{version}": matrix_diag_part for version in ("", "V2", "V3")},
    **{f"MatrixSetDiag{version}": matrix_set_diag for version in ("", "V2", "V3")},
}
