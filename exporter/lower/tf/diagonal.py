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
from exporter.lower.tf.vectors import FAR, as_int64, dim_value, join, scalar, vector

__all__ = ["OPS"]


@dataclass(frozen=True, slots=True)
class _Diagonals:
    """Which diagonals a node is about, of matrices of which size.

    Attributes:
        low: The lowest, an int64 vector of one element as all of these.
        high: The highest.
        single: Whether they have no axis of their own, as there is one only; None if the model's inputs decide on it.
        rows: Of the matrices.
        columns: Of the matrices.
        right_above: Whether those above the main diagonal are at the end of their rows.
        right_below: Whether those below it are.
    """

    low: ir.Value
    high: ir.Value
    single: bool | None
    rows: ir.Value
    columns: ir.Value
    right_above: bool
    right_below: bool

    def count(self, ctx: NodeContext) -> ir.Value:
        """How many there are."""
        return ctx.op("Add", ctx.op("Sub", self.high, self.low), ctx.int64([1]))

    def axis(self, ctx: NodeContext, size: ir.Value) -> ir.Value:
        """The sizes of the axes that diagonals have: that of their own, `size`, if there is one."""
        if self.single is not None:
            return ctx.int64([]) if self.single else size
        return ctx.op("Slice", size, as_int64(ctx, ctx.op("Equal", self.count(ctx), ctx.int64([1]))), ctx.int64([1]))

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


def _diagonals(ctx: NodeContext, band: _Band, rows: ir.Value, columns: ir.Value) -> _Diagonals:
    align = ctx.text("align", "RIGHT_LEFT") if ctx.node.op.endswith("V3") else "LEFT_LEFT"
    sides = align.split("_")
    if len(sides) != 2 or not {"LEFT", "RIGHT"}.issuperset(sides):
        raise RefusalError(f"align is {align!r}")
    return _Diagonals(*band, rows, columns, sides[0] == "RIGHT", sides[1] == "RIGHT")


_Band = tuple[ir.Value, ir.Value, "bool | None"]


def _band(ctx: NodeContext, index: int | None) -> _Band:
    """The lowest and the highest diagonal in an input of one or two numbers, and whether they are one."""
    if index is None:
        return ctx.int64([0]), ctx.int64([0]), True
    known = ctx.ints(index)
    if known is not None:
        return ctx.int64([known[0]]), ctx.int64([known[-1]]), known[0] == known[-1]
    numbers = as_int64(ctx, vector(ctx, ctx.inputs[index]))
    if ctx.shape(numbers) == (1,):
        return numbers, numbers, True
    low = ctx.op("Slice", numbers, ctx.int64([0]), ctx.int64([1]))
    high = ctx.op("Slice", numbers, ctx.int64([-1]), ctx.int64([FAR]))
    one = ctx.int64([1])
    return ctx.op("Reshape", low, one), ctx.op("Reshape", high, one), None


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
    band = _diagonals(ctx, _band(ctx, 1 if first else None), _size(ctx, x, -2), _size(ctx, x, -1))
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
    y = y if ctx.builder.elements(valid) is not None and _all(ctx, valid) else choose(ctx, valid, y, padding)
    if band.single is not None:
        return y
    return ctx.op("Reshape", y, _dims(ctx, x, 2, band.axis(ctx, band.count(ctx)), band.longest(ctx)))


def _dims(ctx: NodeContext, x: ir.Value, axes: int, *more: ir.Value) -> ir.Value:
    """A shape: the sizes of x but those of its last axes, and more."""
    first = [dim_value(ctx, x, axis) for axis in range(ctx.rank(x) - axes)]
    return ctx.op("Concat", *([join(ctx, first)] if first else []), *more, axis=0)


def _all(ctx: NodeContext, valid: ir.Value) -> bool:
    known = ctx.builder.elements(valid)
    return known is not None and known.dtype != object and bool(np.all(known))


def _spread(ctx: NodeContext, lines: ir.Value, band: _Diagonals) -> tuple[ir.Value, ir.Value]:
    """Which elements [rows, columns] of a matrix are on the diagonals, and those as matrices; lines[..., all]."""
    r, c = _column(ctx, _places(ctx, band.rows)), _places(ctx, band.columns)
    d = ctx.op("Sub", c, r)
    valid = ctx.op("And", ctx.op("GreaterOrEqual", d, band.low), ctx.op("LessOrEqual", d, band.high))
    place = ctx.op("Add", ctx.op("Min", r, c), band.start(ctx, d))
    line = ctx.op("Mul", ctx.op("Sub", band.high, d), band.longest(ctx))
    return valid, _taken(ctx, lines, valid, ctx.op("Add", line, place))


def matrix_diag(ctx: NodeContext) -> ir.Value:
    """`MatrixDiag`: matrices with these diagonals, and the padding elsewhere."""
    x = ctx.inputs[0]
    low, high, single = found = _band(ctx, None if _version(ctx) == 1 else 1)
    if single is None and ctx.rank(x) == 1:
        single = True
    length = _size(ctx, x, -1)
    if _version(ctx) == 1:
        band = _diagonals(ctx, found, length, length)
        padding = ctx.scalar(0, x)
    else:
        band = _diagonals(ctx, (low, high, single), *_matrix_sizes(ctx, low, high))
        padding = ctx.inputs[4]
    if band.single is not None:
        return choose(ctx, *_spread(ctx, _flat(ctx, x, 1 if band.single else 2), band), padding)
    whole = ctx.op("Mul", band.count(ctx), length)
    lines = ctx.op("Reshape", x, ctx.op("Concat", ctx.int64([-1]), whole, axis=0))
    matrices = choose(ctx, *_spread(ctx, lines, band), padding)
    is_one = as_int64(ctx, ctx.op("Equal", band.count(ctx), ctx.int64([1])))
    before = ctx.op("Slice", join(ctx, [dim_value(ctx, x, ctx.rank(x) - 2)]), ctx.int64([0]), is_one)
    return ctx.op("Reshape", matrices, _dims(ctx, x, 2, before, band.rows, band.columns))


def _matrix_sizes(ctx: NodeContext, low: ir.Value, high: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The rows and columns that are given, or the smallest that the diagonals fit into, of both if neither is given."""
    length, zero = _size(ctx, ctx.inputs[0], -1), ctx.int64([0])
    rows = ctx.op("Sub", length, ctx.op("Min", high, zero))
    columns = ctx.op("Add", length, ctx.op("Max", low, zero))
    known = ctx.ints(2), ctx.ints(3)
    if known == ([-1], [-1]):
        both = ctx.op("Max", rows, columns)
        return both, both
    if known[0] is not None and known[1] is not None:
        return (
            rows if known[0] == [-1] else ctx.int64(known[0]),
            columns if known[1] == [-1] else ctx.int64(known[1]),
        )
    given = [as_int64(ctx, vector(ctx, ctx.inputs[index])) for index in (2, 3)]
    open_rows, open_columns = (ctx.op("Equal", size, ctx.int64([-1])) for size in given)
    neither = ctx.op("And", open_rows, open_columns)
    both = ctx.op("Max", rows, columns)
    return (
        ctx.op("Where", neither, both, ctx.op("Where", open_rows, rows, given[0])),
        ctx.op("Where", neither, both, ctx.op("Where", open_columns, columns, given[1])),
    )


def matrix_set_diag(ctx: NodeContext) -> ir.Value:
    """`MatrixSetDiag`: matrices with other diagonals."""
    x, diagonal = ctx.inputs[:2]
    low, high, single = _band(ctx, 2 if _version(ctx) > 1 else None)
    if single is None:
        single = ctx.rank(diagonal) < ctx.rank(x)
    band = _diagonals(ctx, (low, high, single), _size(ctx, x, -2), _size(ctx, x, -1))
    return choose(ctx, *_spread(ctx, _flat(ctx, diagonal, 1 if single else 2), band), x)


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
