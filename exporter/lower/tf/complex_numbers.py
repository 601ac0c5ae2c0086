"""Complex tensors, which neither ONNX's runtimes nor the bundle have, as two real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from exporter.lower.tf import casts, indexing, joining, pads, reduction, shapes, slicing
from exporter.lower.tf.arithmetic import atan2
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError, merge
from exporter.lower.tf.lists import Operand

__all__ = ["COMPLEX_OPS", "Complex", "ComplexFunction", "constant"]


@dataclass(frozen=True, slots=True)
class Complex:
    """A tensor of complex numbers: real + i imaginary, two tensors of one shape and element type."""

    real: ir.Value
    imaginary: ir.Value


ComplexOperand = Operand | Complex
ComplexFunction = Callable[[NodeContext, tuple[ComplexOperand, ...]], ComplexOperand | tuple[ComplexOperand, ...]]


def constant(ctx: NodeContext) -> Complex:
    """`Const` of complex numbers."""
    array = np.asarray(ctx.attribute("value"))
    return Complex(ctx.const(array.real.copy()), ctx.const(array.imag.copy()))


def as_complex(ctx: NodeContext, operand: ComplexOperand) -> Complex:
    """A complex operand, or a real one with imaginary parts of 0."""
    if isinstance(operand, Complex):
        return operand
    if not isinstance(operand, ir.Value):
        raise RefusalError("it works on a TensorArray")
    zeros = ctx.op("Sub", operand, operand) if ctx.shape(operand) != () else ctx.scalar(0, operand)
    return Complex(operand, zeros)


def _made(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
    """`Complex`: real and imaginary parts, which broadcast."""
    real, imaginary = ctx.inputs
    if ctx.shape(real) != ctx.shape(imaginary):
        zero = ctx.scalar(0, real)
        real, imaginary = (
            ctx.op("Add", real, ctx.op("Mul", imaginary, zero)),
            ctx.op("Add", imaginary, ctx.op("Mul", real, zero)),
        )
    return Complex(real, imaginary)


def _real(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ir.Value:
    return as_complex(ctx, operands[0]).real


def _imaginary(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ir.Value:
    return as_complex(ctx, operands[0]).imaginary


def _conjugate(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ComplexOperand:
    z = operands[0]
    return Complex(z.real, ctx.op("Neg", z.imaginary)) if isinstance(z, Complex) else z


def _absolute(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ir.Value:
    """|z| = sqrt(real^2 + imaginary^2)."""
    return ctx.op("Sqrt", _square_of_absolute(ctx, as_complex(ctx, operands[0])))


def _square_of_absolute(ctx: NodeContext, z: Complex) -> ir.Value:
    squares = (ctx.op("Mul", part, part) for part in (z.real, z.imaginary))
    return ctx.op("Add", *squares)


def _angle(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ir.Value:
    z = as_complex(ctx, operands[0])
    return atan2(replace(ctx, inputs=(z.imaginary, z.real)))


def _exponential(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
    """e^real (cos imaginary + i sin imaginary)."""
    z = as_complex(ctx, operands[0])
    size = ctx.op("Exp", z.real)
    cosine, sine = (ctx.op("Mul", size, ctx.op(op_type, z.imaginary)) for op_type in ("Cos", "Sin"))
    return Complex(cosine, sine)


def _product(ctx: NodeContext, a: Complex, b: Complex, op_type: str = "Mul") -> Complex:
    """(a.real b.real - a.imaginary b.imaginary) + i (a.real b.imaginary + a.imaginary b.real)."""
    real = ctx.op("Sub", ctx.op(op_type, a.real, b.real), ctx.op(op_type, a.imaginary, b.imaginary))
    imaginary = ctx.op("Add", ctx.op(op_type, a.real, b.imaginary), ctx.op(op_type, a.imaginary, b.real))
    return Complex(real, imaginary)


def _multiplied(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
    a, b = operands
    if isinstance(a, Complex) and isinstance(b, Complex):
        return _product(ctx, a, b)
    raise RefusalError("it multiplies a complex tensor by a real one")


def _squared(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
    z = as_complex(ctx, operands[0])
    return _product(ctx, z, z)


def _quotient(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
    """a / b = a conj(b) / |b|^2."""
    a, b = (as_complex(ctx, operand) for operand in operands)
    size = _square_of_absolute(ctx, b)
    above = _product(ctx, a, Complex(b.real, ctx.op("Neg", b.imaginary)))
    return Complex(ctx.op("Div", above.real, size), ctx.op("Div", above.imaginary, size))


def _matrices(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> Complex:
    """`BatchMatMulV2`, `MatMul`; an adjoint is conjugate."""
    a, b = (as_complex(ctx, operand) for operand in operands)
    flags = [("adj_x", "adj_y"), ("transpose_a", "transpose_b")][ctx.node.op == "MatMul"]
    a, b = (_turned(ctx, z, ctx.flag(flag, False)) for z, flag in zip((a, b), flags, strict=True))
    return _product(ctx, a, b, "MatMul")


def _turned(ctx: NodeContext, z: Complex, turned: bool) -> Complex:
    if not turned:
        return z
    rank = ctx.rank(z.real)
    perm = [*range(rank - 2), rank - 1, rank - 2]
    real, imaginary = (ctx.op("Transpose", part, perm=perm) for part in (z.real, z.imaginary))
    return Complex(real, imaginary if ctx.node.op == "MatMul" else ctx.op("Neg", imaginary))


def _cast(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ComplexOperand:
    """`Cast` from or to complex numbers: real ones have an imaginary part of 0, which is cut off on the way back."""
    (z,) = operands
    kinds = {8: ir.DataType.FLOAT, 18: ir.DataType.DOUBLE}
    number = ctx.integer("DstT")
    if number not in kinds:
        return casts.OPS["Cast"](replace(ctx, inputs=(as_complex(ctx, z).real,)))  # type: ignore[return-value]
    parts = as_complex(ctx, z)
    real, imaginary = (
        part if part.dtype == kinds[number] else ctx.op("Cast", part, to=kinds[number].value)
        for part in (parts.real, parts.imaginary)
    )
    return Complex(real, imaginary)


def _by_parts(function: OpFunction) -> ComplexFunction:
    """What is done to real and imaginary parts alike."""

    def lower(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ComplexOperand | tuple[ComplexOperand, ...]:
        lowered = []
        for part in ("real", "imaginary"):
            given = [getattr(z, part) if isinstance(z, Complex) else z for z in operands]
            inputs = tuple(value for value in given if isinstance(value, ir.Value))
            if len(inputs) < len(given):
                raise RefusalError("it works on a TensorArray")
            found = function(replace(ctx, inputs=inputs))
            lowered.append(found if isinstance(found, tuple) else (found,))
        pairs = tuple(Complex(real, imaginary) for real, imaginary in zip(*lowered, strict=True))
        return pairs if len(pairs) > 1 else pairs[0]

    return lower


def _of_first(function: OpFunction) -> ComplexFunction:
    """What only asks for the shape."""

    def lower(ctx: NodeContext, operands: tuple[ComplexOperand, ...]) -> ComplexOperand | tuple[ComplexOperand, ...]:
        inputs = tuple(z.real if isinstance(z, Complex) else z for z in operands)
        return function(replace(ctx, inputs=inputs))  # type: ignore[arg-type]

    return lower


def _plain(op_type: str) -> OpFunction:
    return lambda ctx: ctx.op(op_type, *ctx.inputs)


def _passed(ctx: NodeContext) -> ir.Value:
    return ctx.inputs[0]


_MOVES = merge(joining.OPS, slicing.OPS, pads.OPS)
_MOVED = {
    **_MOVES,
    **{
        name: shapes.OPS[name]
        for name in ("BroadcastTo", "ExpandDims", "Fill", "Reshape", "Squeeze", "Tile", "Transpose", "ZerosLike")
    },
    **{name: indexing.OPS[name] for name in ("Gather", "GatherNd", "GatherV2", "ScatterNd", "TensorScatterUpdate")},
    **{name: reduction.OPS[name] for name in ("Mean", "Sum")},
    **{name: _plain(op_type) for name, op_type in (("Add", "Add"), ("AddV2", "Add"), ("Sub", "Sub"), ("Neg", "Neg"))},
    **dict.fromkeys(("Identity", "IdentityN", "Snapshot", "StopGradient", "PreventGradient", "EnsureShape"), _passed),
}

COMPLEX_OPS: dict[str, ComplexFunction] = {
    **{name: _by_parts(function) for name, function in _MOVED.items()},
    **{name: _of_first(shapes.OPS[name]) for name in ("Rank", "Shape", "ShapeN", "Size")},
    "Angle": _angle,
    "BatchMatMul": _matrices,
    "BatchMatMulV2": _matrices,
    "BatchMatMulV3": _matrices,
    "Cast": _cast,
    "Complex": _made,
    "ComplexAbs": _absolute,
    "Conj": _conjugate,
    "Div": _quotient,
    "Exp": _exponential,
    "Imag": _imaginary,
    "MatMul": _matrices,
    "Mul": _multiplied,
    "Real": _real,
    "RealDiv": _quotient,
    "Square": _squared,
}
"""What ops become that are given complex numbers, or make them."""
