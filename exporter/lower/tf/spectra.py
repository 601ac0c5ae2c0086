"""Discrete Fourier transforms, as products with matrices of cosines and sines.

    y[k] = sum over n of x[n] (cos(2 pi n k / L) - i sin(2 pi n k / L))

The angles are those of n k mod L, so that they stay exact for long transforms. Where the length depends on the model's
inputs the model makes the matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.lower.tf.complex_numbers import Complex, ComplexFunction, ComplexOperand, as_complex
from exporter.lower.tf.context import NodeContext, RefusalError
from exporter.lower.tf.vectors import cast, dim_value, element, join, scalar

__all__ = ["SPECTRA"]

_LONGEST = 4096
"""Lengths up to which a transform is one product: its matrices have as many elements as the square of it."""

Length = int | ir.Value
"""A number, or an int64 vector of one element."""


@dataclass(frozen=True, slots=True)
class _Waves:
    """cos(2 pi n k / length) and sin(2 pi n k / length) as [rows, columns], for n < rows and k < columns."""

    cosines: ir.Value
    sines: ir.Value


def _waves(ctx: NodeContext, length: Length, rows: Length, columns: Length, like: ir.Value) -> _Waves:
    if isinstance(length, int) and isinstance(rows, int) and isinstance(columns, int):
        _check(length)
        known = np.outer(np.arange(rows), np.arange(columns)) % length * (2 * pi / length)
        kind = ctx.numpy_dtype(like)
        return _Waves(ctx.const(_exact(np.cos(known), kind)), ctx.const(_exact(np.sin(known), kind)))
    whole = join(ctx, [length])
    n = ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [rows])), ctx.int64(1))
    k = ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [columns])), ctx.int64(1))
    turns = ctx.op("Mod", ctx.op("Mul", ctx.op("Unsqueeze", n, ctx.int64([1])), k), whole)
    step = ctx.op("Div", ctx.scalar(2 * pi, like), cast(ctx, whole, ctx.dtype(like)))
    angles = ctx.op("Mul", cast(ctx, turns, ctx.dtype(like)), step)
    return _Waves(ctx.op("Cos", angles), ctx.op("Sin", angles))


def _exact(values: npt.NDArray[Any], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Waves whose zeros are zeros."""
    return np.asarray(np.where(np.abs(values) < 1e-15, 0.0, values), kind)


def _check(length: int) -> None:
    if not 1 <= length <= _LONGEST:
        raise RefusalError(f"its length is {length}, expected 1 to {_LONGEST}")


def _half(ctx: NodeContext, length: Length) -> Length:
    """length // 2 + 1."""
    if isinstance(length, int):
        return length // 2 + 1
    return ctx.op("Add", ctx.op("Div", length, ctx.int64([2])), ctx.int64([1]))


def _first(ctx: NodeContext, x: ir.Value, count: Length, axis: int) -> ir.Value:
    """The first elements along an axis; the axis itself where it has as many."""
    if isinstance(count, int) and dim_value(ctx, x, axis) == count:
        return x
    return ctx.op("Slice", x, ctx.int64([0]), join(ctx, [count]), ctx.int64([axis]))


def _last_swapped(ctx: NodeContext, x: ir.Value, axis: int) -> ir.Value:
    """x with an axis in the place of the last one, and that in its place."""
    rank = ctx.rank(x)
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    return x if axis == rank - 1 else ctx.op("Transpose", x, perm=order)


def _transformed(ctx: NodeContext, z: Complex, axis: int, *, length: Length, inverse: bool) -> Complex:
    """The transform of a whole axis."""
    real, imaginary = (_last_swapped(ctx, part, axis) for part in (z.real, z.imaginary))
    waves = _waves(ctx, length, length, length, real)
    forward, back = ("Sub", "Add") if inverse else ("Add", "Sub")
    parts = (
        ctx.op(forward, ctx.op("MatMul", real, waves.cosines), ctx.op("MatMul", imaginary, waves.sines)),
        ctx.op(back, ctx.op("MatMul", imaginary, waves.cosines), ctx.op("MatMul", real, waves.sines)),
    )
    if inverse:
        count = cast(ctx, join(ctx, [length]), ctx.dtype(real))
        parts = tuple(ctx.op("Div", part, count) for part in parts)  # type: ignore[assignment]
    return Complex(*(_last_swapped(ctx, part, axis) for part in parts))


def _from_real(ctx: NodeContext, x: ir.Value, length: Length) -> Complex:
    """The first half of the transform of real numbers along the last axis; the other half are its conjugates."""
    x = _first(ctx, x, length, ctx.rank(x) - 1)
    waves = _waves(ctx, length, length, _half(ctx, length), x)
    zero = ctx.scalar(0, x)  # less 0 is 0, not -0, whose angle is another
    return Complex(ctx.op("MatMul", x, waves.cosines), ctx.op("Sub", zero, ctx.op("MatMul", x, waves.sines)))


def _to_real(ctx: NodeContext, z: Complex, length: Length) -> ir.Value:
    """Real numbers from the first half of their transform: all but its ends count twice, for their conjugates too."""
    half = _half(ctx, length)
    real, imaginary = (_first(ctx, part, half, ctx.rank(part) - 1) for part in (z.real, z.imaginary))
    waves = _waves(ctx, length, half, length, real)
    numbers = ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [half])), ctx.int64(1))
    ends = ctx.op("Equal", ctx.op("Mod", ctx.op("Mul", numbers, ctx.int64(2)), join(ctx, [length])), ctx.int64(0))
    times = ctx.op("Where", ends, ctx.scalar(1, real), ctx.scalar(2, real))
    weights = ctx.op("Div", times, cast(ctx, join(ctx, [length]), ctx.dtype(real)))
    parts = (ctx.op("Mul", part, weights) for part in (real, imaginary))
    cosines, sines = (
        ctx.op("MatMul", part, wave) for part, wave in zip(parts, (waves.cosines, waves.sines), strict=True)
    )
    return ctx.op("Sub", cosines, sines)


def _lengths(ctx: NodeContext, index: int, axes: int) -> list[Length]:
    return [element(ctx, ctx.inputs[index], i) for i in range(axes)]


def _real_operand(operand: ComplexOperand) -> ir.Value:
    if not isinstance(operand, ir.Value):
        raise RefusalError("its input is not a tensor of real numbers")
    return operand


def _fft(axes: int, *, inverse: bool) -> ComplexFunction:
    def lower(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
        z = as_complex(ctx, operands[0])
        rank = ctx.rank(z.real)
        for axis in range(rank - axes, rank):
            length: Length = dim_value(ctx, z.real, axis)
            z = _transformed(ctx, z, axis, length=length, inverse=inverse)
        return z

    return lower


def _rfft(axes: int) -> ComplexFunction:
    def lower(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
        x, rank = _real_operand(operands[0]), ctx.rank(_real_operand(operands[0]))
        lengths = _lengths(ctx, 1, axes)
        for axis, length in zip(range(rank - axes, rank - 1), lengths, strict=False):
            x = _first(ctx, x, length, axis)
        z = _from_real(ctx, x, lengths[-1])
        for axis, length in zip(range(rank - axes, rank - 1), lengths, strict=False):
            z = _transformed(ctx, z, axis, length=length, inverse=False)
        return z

    return lower


def _irfft(axes: int) -> ComplexFunction:
    def lower(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ir.Value:
        z = as_complex(ctx, operands[0])
        rank = ctx.rank(z.real)
        lengths = [element(ctx, _real_operand(operands[1]), i) for i in range(axes)]
        for axis, length in zip(range(rank - axes, rank - 1), lengths, strict=False):
            z = Complex(_first(ctx, z.real, length, axis), _first(ctx, z.imaginary, length, axis))
            z = _transformed(ctx, z, axis, length=length, inverse=True)
        return _to_real(ctx, z, lengths[-1])

    return lower


SPECTRA: dict[str, ComplexFunction] = {
    f"{batch}{name}{suffix}": function
    for axes, suffix in ((1, ""), (2, "2D"), (3, "3D"))
    for batch, name, function in (
        ("", "FFT", _fft(axes, inverse=False)),
        ("", "IFFT", _fft(axes, inverse=True)),
        ("", "RFFT", _rfft(axes)),
        ("", "IRFFT", _irfft(axes)),
        ("Batch", "FFT", _fft(axes, inverse=False)),
        ("Batch", "IFFT", _fft(axes, inverse=True)),
    )
}
