"""Diagonals of matrices: the last two axes of a tensor.

The diagonal d of a matrix holds the elements whose column is d more than their row. Several of them, from `low` to
`high`, are rows of a matrix, the highest first, each at the beginning or at the end of its row: `align` says so of
those above and below the main one. All of it is done by index, so that nothing is calculated with the elements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.logic import choose
from exporter.lower.tf.vectors import as_int64, dim_value, element, join, scalar

__all__ = ["OPS"]


@dataclass(frozen=True, slots=True)
class _Diagonals:
    """Which diagonals a node is about, of matrices of which size.

    Attributes:
        low: The lowest, an int64 vector of one element as all of these.
        high: The highest.
        single: Whether they have no axis of their own, as there is one only.
        rows: Of the matrices.
        columns: Of the matrices.
        right_above: Whether those above the main diagonal are at the end of their rows.
        right_below: Whether those below it are.
    """

    low: ir.Value
    high: ir.Value
    single: bool
    rows: ir.Value
    columns: ir.Value
    right_above: bool
    right_below: bool

    def count(self, ctx: NodeContext) -> ir.Value:
        """How many there are."""
        return ctx.op("Add", ctx.op("Sub", self.high, self.low), ctx.int64([1]))

    def longest(self, ctx: NodeContext) -> ir.Value:
        """The length of the longest, which the rows have that they are kept in."""
        zero = ctx.int64([0])
        below = ctx.op("Add", self.rows, ctx.op("Min", self.high, zero))
        above = ctx.op("Sub", self.columns, ctx.op("Max", self.low, zero))
        return ctx.op("Min", below, above)

    def start(self, ctx: NodeContext, d: ir.Value) -> ir.Value:
        """Where in its row the diagonal d begins."""
        zero = ctx.int64([0])
        length = ctx.op(
            "Min",
            ctx.op("Add", self.rows, ctx.op("Min", d, zero)),
            ctx.op("Sub", self.columns, ctx.op("Max", d, zero)),
        )
        gap = ctx.op("Sub", self.longest(ctx), length)
        if self.right_above and self.right_below:
            return gap
        if not self.right_above and not self.right_below:
            return ctx.op("Sub", gap, gap)
        right = ctx.op("GreaterOrEqual" if self.right_above else "LessOrEqual", d, zero)
        return ctx.op("Where", right, gap, zero)


def _diagonals(ctx: NodeContext, index: int | None, rows: ir.Value, columns: ir.Value) -> _Diagonals:
    low = high = ctx.int64([0])
    single = True
    if index is not None:
        low, high, single = _band(ctx, index)
    align = ctx.text("align", "RIGHT_LEFT") if ctx.node.op.endswith("V3") else "LEFT_LEFT"
    sides = align.split("_")
    if len(sides) != 2 or not {"LEFT", "RIGHT"}.issuperset(sides):
        raise RefusalError(f"align is {align!r}")
    return _Diagonals(low, high, single, rows, columns, sides[0] == "RIGHT", sides[1] == "RIGHT")


def _band(ctx: NodeContext, index: int) -> tuple[ir.Value, ir.Value, bool]:
    """The lowest and the highest diagonal in an input of one or two numbers, and whether they are one."""
    known = ctx.ints(index)
    if known is not None:
        return ctx.int64([known[0]]), ctx.int64([known[-1]]), known[0] == known[-1]
    if ctx.shape(ctx.inputs[index]) not in ((), (1,)):
        raise RefusalError("how many diagonals it is about depends on the model's inputs")
    place = join(ctx, [element(ctx, ctx.inputs[index], 0)])
    return place, place, True


def _version(ctx: NodeContext) -> int:
    return int(ctx.node.op[-1]) if ctx.node.op[-2:] in ("V2", "V3") else 1


def _places(ctx: NodeContext, count: ir.Value) -> ir.Value:
    """0, 1, ..., as many as an int64 vector of one element says."""
    return ctx.op("Range", ctx.int64(0), scalar(ctx, count), ctx.int64(1))


def _column(ctx: NodeContext, row: ir.Value) -> ir.Value:
    return ctx.op("Unsqueeze", row, ctx.int64([1]))


def _size(ctx: NodeContext, x: ir.Value, axis: int) -> ir.Value:
    return join(ctx, [dim_value(ctx, x, axis % ctx.rank(x))])


def _flat(ctx: NodeContext, x: ir.Value, axes: int) -> ir.Value:
    """x with its last axes as one."""
    rank = ctx.rank(x)
    if axes == 1:
        return x
    if rank < axes:
        raise RefusalError(f"a tensor of rank {rank} holds no matrices")
    sizes = [dim_value(ctx, x, axis) for axis in range(rank - axes)]
    return ctx.op("Reshape", x, join(ctx, [*sizes, -1]))


def _taken(ctx: NodeContext, x: ir.Value, valid: ir.Value, places: ir.Value) -> ir.Value:
    """The elements of x[..., n] at places, of which those that aren't valid are anything."""
    return ctx.op("Gather", x, ctx.op("Where", valid, places, ctx.int64(0)), axis=ctx.rank(x) - 1)


def matrix_diag_part(ctx: NodeContext) -> ir.Value:
    """`MatrixDiagPart`: diagonals of matrices, with the padding where a row is longer than its diagonal."""
    x, first = ctx.inputs[0], _version(ctx) > 1
    padding = ctx.inputs[2] if first else ctx.scalar(0, x)
    band = _diagonals(ctx, 1 if first else None, _size(ctx, x, -2), _size(ctx, x, -1))
    d = _column(ctx, ctx.op("Sub", band.high, _places(ctx, band.count(ctx))))
    place = ctx.op("Sub", _places(ctx, band.longest(ctx)), band.start(ctx, d))
    zero = ctx.int64([0])
    row = ctx.op("Sub", place, ctx.op("Min", d, zero))
    column = ctx.op("Add", place, ctx.op("Max", d, zero))
    before = ctx.op("And", ctx.op("Less", row, band.rows), ctx.op("Less", column, band.columns))
    valid = ctx.op("And", ctx.op("GreaterOrEqual", place, zero), before)
    places = ctx.op("Add", ctx.op("Mul", row, band.columns), column)
    if band.single:
        valid, places = (ctx.op("Squeeze", value, zero) for value in (valid, places))
    y = _taken(ctx, _flat(ctx, x, 2), valid, places)
    return y if ctx.builder.elements(valid) is not None and _all(ctx, valid) else choose(ctx, valid, y, padding)


def _all(ctx: NodeContext, valid: ir.Value) -> bool:
    known = ctx.builder.elements(valid)
    return known is not None and known.dtype != object and bool(np.all(known))


def _spread(ctx: NodeContext, diagonal: ir.Value, band: _Diagonals) -> tuple[ir.Value, ir.Value]:
    """Which elements [rows, columns] of a matrix are on the diagonals, and those as matrices."""
    r, c = _column(ctx, _places(ctx, band.rows)), _places(ctx, band.columns)
    d = ctx.op("Sub", c, r)
    valid = ctx.op("And", ctx.op("GreaterOrEqual", d, band.low), ctx.op("LessOrEqual", d, band.high))
    place = ctx.op("Add", ctx.op("Min", r, c), band.start(ctx, d))
    line = ctx.op("Mul", ctx.op("Sub", band.high, d), band.longest(ctx))
    return valid, _taken(ctx, _flat(ctx, diagonal, 1 if band.single else 2), valid, ctx.op("Add", line, place))


def matrix_diag(ctx: NodeContext) -> ir.Value:
    """`MatrixDiag`: matrices with these diagonals, and the padding elsewhere."""
    x = ctx.inputs[0]
    if _version(ctx) == 1:
        length = _size(ctx, x, -1)
        band = _diagonals(ctx, None, length, length)
        padding = ctx.scalar(0, x)
    else:
        band = _diagonals(ctx, 1, *_matrix_sizes(ctx))
        padding = ctx.inputs[4]
    valid, elements = _spread(ctx, x, band)
    return choose(ctx, valid, elements, padding)


def _matrix_sizes(ctx: NodeContext) -> tuple[ir.Value, ir.Value]:
    """The rows and columns that are given, or the smallest that the diagonals fit into, of both if neither is given."""
    low, high, _ = _band(ctx, 1)
    length, zero = _size(ctx, ctx.inputs[0], -1), ctx.int64([0])
    rows = ctx.op("Sub", length, ctx.op("Min", high, zero))
    columns = ctx.op("Add", length, ctx.op("Max", low, zero))
    given = [ctx.fixed_int(index, "the size of its matrix") for index in (2, 3)]
    if given == [-1, -1]:
        both = ctx.op("Max", rows, columns)
        return both, both
    return (
        rows if given[0] == -1 else ctx.int64([given[0]]),
        columns if given[1] == -1 else ctx.int64([given[1]]),
    )


def matrix_set_diag(ctx: NodeContext) -> ir.Value:
    """`MatrixSetDiag`: matrices with other diagonals."""
    x, diagonal = ctx.inputs[:2]
    band = _diagonals(ctx, 2 if _version(ctx) > 1 else None, _size(ctx, x, -2), _size(ctx, x, -1))
    valid, elements = _spread(ctx, diagonal, band)
    return choose(ctx, valid, elements, x)


def band_part(ctx: NodeContext) -> ir.Value:
    """`MatrixBandPart`: so many diagonals below and above the main one, all of them where the number is negative."""
    x, lower, upper = ctx.inputs[0], ctx.ints(1), ctx.ints(2)
    if lower is None or upper is None:
        return _computed_band(ctx)
    if upper[0] >= 0:
        x = ctx.op("Trilu", x, ctx.int64(upper[0]), upper=0)
    return ctx.op("Trilu", x, ctx.int64(-lower[0]), upper=1) if lower[0] >= 0 else x


def _computed_band(ctx: NodeContext) -> ir.Value:
    x, zero = ctx.inputs[0], ctx.int64(0)
    r, c = _column(ctx, _places(ctx, _size(ctx, x, -2))), _places(ctx, _size(ctx, x, -1))
    kept = []
    for index, distance in ((1, ctx.op("Sub", r, c)), (2, ctx.op("Sub", c, r))):
        number = as_int64(ctx, ctx.inputs[index])
        near = ctx.op("LessOrEqual", distance, number)
        kept.append(ctx.op("Or", near, ctx.op("Less", number, zero)))
    return choose(ctx, ctx.op("And", *kept), x, ctx.scalar(0, x))


def diag(ctx: NodeContext) -> ir.Value:
    """`Diag`: y[i..., i...] = x[i...], 0 elsewhere."""
    (x,) = ctx.inputs
    sizes = [dim_value(ctx, x, axis) for axis in range(ctx.rank(x))]
    flat = ctx.op("Reshape", x, ctx.int64([-1]))
    places = _places(ctx, _size(ctx, flat, 0))
    on = ctx.op("Equal", _column(ctx, places), places)
    return ctx.op("Reshape", choose(ctx, on, flat, ctx.scalar(0, x)), join(ctx, [*sizes, *sizes]))


def diag_part(ctx: NodeContext) -> ir.Value:
    """`DiagPart`: y[i...] = x[i..., i...]."""
    (x,) = ctx.inputs
    sizes = [dim_value(ctx, x, axis) for axis in range(ctx.rank(x) // 2)]
    count = ctx.op("ReduceProd", join(ctx, sizes), ctx.int64([0]), keepdims=1)
    step = ctx.op("Add", count, ctx.int64([1]))
    places = ctx.op("Mul", _places(ctx, count), step)
    flat = ctx.op("Gather", ctx.op("Reshape", x, ctx.int64([-1])), places, axis=0)
    return ctx.op("Reshape", flat, join(ctx, sizes))


OPS: dict[str, OpFunction] = {
    **{f"MatrixDiag{version}": matrix_diag for version in ("", "V2", "V3")},
    **{f"MatrixDiagPart{version}": matrix_diag_part for version in ("", "V2", "V3")},
    **{f"MatrixSetDiag{version}": matrix_set_diag for version in ("", "V2", "V3")},
    "BatchMatrixBandPart": band_part,
    "BatchMatrixDiag": matrix_diag,
    "BatchMatrixDiagPart": matrix_diag_part,
    "BatchMatrixSetDiag": matrix_set_diag,
    "Diag": diag,
    "DiagPart": diag_part,
    "MatrixBandPart": band_part,
}
