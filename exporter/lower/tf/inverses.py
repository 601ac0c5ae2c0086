"""Inverses of matrices and the solutions of linear equations, by elimination."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import cast, dim_value, join

__all__ = ["OPS"]

_LARGEST = 32
"""Rows up to which matrices are solved: each takes a dozen nodes."""


def _rows(ctx: NodeContext, a: ir.Value) -> int:
    dims = ctx.shape(a)
    size = None if dims is None or len(dims) < 2 else dims[-1]
    if not isinstance(size, int) or not 1 <= size <= _LARGEST:
        raise RefusalError(f"its matrices have {size} rows, expected a known number from 1 to {_LARGEST}")
    return size


def _transposed(ctx: NodeContext, a: ir.Value) -> ir.Value:
    rank = ctx.rank(a)
    return ctx.op("Transpose", a, perm=[*range(rank - 2), rank - 1, rank - 2])


def _eliminated(ctx: NodeContext, a: ir.Value, b: ir.Value) -> ir.Value:
    """a^-1 b, by Gauss and Jordan: for each column the row with its largest element is swapped up, scaled, taken away.

    In float64 where it is float32, so that what is lost is about what LAPACK loses.
    """
    kind = ctx.dtype(a)
    n = _rows(ctx, a)
    both = ctx.op("Concat", *(cast(ctx, part, ir.DataType.DOUBLE) for part in (a, b)), axis=-1)
    numbers = ctx.const(np.arange(n, dtype=np.int64).reshape(n, 1))
    zero = ctx.const(np.float64(0))
    for k in range(n):
        column = ctx.op("Slice", both, ctx.int64([k]), ctx.int64([k + 1]), ctx.int64([-1]))
        size = ctx.op("Abs", ctx.op("Slice", column, ctx.int64([k]), ctx.int64([n]), ctx.int64([-2])))
        best = ctx.op("Add", ctx.op("ArgMax", size, axis=-2, keepdims=1), ctx.int64(k))
        chosen, current = ctx.op("Equal", numbers, best), ctx.op("Equal", numbers, ctx.int64(k))
        pivot = ctx.op("ReduceSum", ctx.op("Where", chosen, both, zero), ctx.int64([-2]), keepdims=1)
        moved = ctx.op("Slice", both, ctx.int64([k]), ctx.int64([k + 1]), ctx.int64([-2]))
        both = ctx.op("Where", chosen, moved, both)
        scaled = ctx.op("Div", pivot, ctx.op("Slice", pivot, ctx.int64([k]), ctx.int64([k + 1]), ctx.int64([-1])))
        factor = ctx.op("Slice", both, ctx.int64([k]), ctx.int64([k + 1]), ctx.int64([-1]))
        both = ctx.op("Where", current, scaled, ctx.op("Sub", both, ctx.op("Mul", factor, scaled)))
    end = ctx.op("Shape", both, start=ctx.rank(both) - 1)
    return cast(ctx, ctx.op("Slice", both, ctx.int64([n]), end, ctx.int64([-1])), kind)


def inverse(ctx: NodeContext) -> ir.Value:
    """`MatrixInverse`, of the adjoint if that is asked for."""
    a = ctx.inputs[0]
    n, rank = _rows(ctx, a), ctx.rank(a)
    a = _transposed(ctx, a) if ctx.flag("adjoint", False) else a
    shape = join(ctx, [dim_value(ctx, a, axis) for axis in range(rank)])
    return _eliminated(ctx, a, ctx.op("Expand", ctx.const(np.eye(n, dtype=ctx.numpy_dtype(a))), shape))


def solve(ctx: NodeContext) -> ir.Value:
    """`MatrixSolve`: a^-1 b."""
    a, b = ctx.inputs
    return _eliminated(ctx, _transposed(ctx, a) if ctx.flag("adjoint", False) else a, b)


def triangular_solve(ctx: NodeContext) -> ir.Value:
    """`MatrixTriangularSolve`: a^-1 b of the lower or upper half of a."""
    a, b = ctx.inputs
    a = ctx.op("Trilu", a, ctx.int64(0), upper=int(not ctx.flag("lower", True)))
    return _eliminated(ctx, _transposed(ctx, a) if ctx.flag("adjoint", False) else a, b)


def determinant(ctx: NodeContext) -> ir.Value:
    """`MatrixDeterminant`."""
    return ctx.op("Det", ctx.inputs[0])


def cholesky(ctx: NodeContext) -> ir.Value:
    """`Cholesky`: the lower triangle l with l l^T = a, column by column."""
    (a,) = ctx.inputs
    n, kind = _rows(ctx, a), ctx.dtype(a)
    wide = cast(ctx, a, ir.DataType.DOUBLE)
    numbers = ctx.const(np.arange(n, dtype=np.int64).reshape(n, 1))
    columns: list[ir.Value] = []
    for j in range(n):
        column = ctx.op("Slice", wide, ctx.int64([j]), ctx.int64([j + 1]), ctx.int64([-1]))
        for done in columns:
            own = ctx.op("Slice", done, ctx.int64([j]), ctx.int64([j + 1]), ctx.int64([-2]))
            column = ctx.op("Sub", column, ctx.op("Mul", done, own))
        root = ctx.op("Sqrt", ctx.op("Slice", column, ctx.int64([j]), ctx.int64([j + 1]), ctx.int64([-2])))
        below = ctx.op("GreaterOrEqual", numbers, ctx.int64(j))
        columns.append(ctx.op("Where", below, ctx.op("Div", column, root), ctx.const(np.float64(0))))
    return cast(ctx, columns[0] if n == 1 else ctx.op("Concat", *columns, axis=-1), kind)


OPS: dict[str, OpFunction] = {
    "BatchCholesky": cholesky,
    "BatchMatrixDeterminant": determinant,
    "BatchMatrixInverse": inverse,
    "BatchMatrixSolve": solve,
    "Cholesky": cholesky,
    "MatrixDeterminant": determinant,
    "MatrixInverse": inverse,
    "MatrixSolve": solve,
    "MatrixTriangularSolve": triangular_solve,
}
