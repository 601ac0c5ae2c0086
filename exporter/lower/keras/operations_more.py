"""Operations that are seldom between layers: running sums, the largest, parts, other functions of elements."""

from __future__ import annotations

from functools import partial
from math import log

import numpy as np
import onnx_ir as ir

from exporter.ir.dims import to_shape
from exporter.lower.keras.activations import FUNCTIONS
from exporter.lower.keras.context import LayerContext, Lower
from exporter.lower.keras.dtypes import FLOATS
from exporter.lower.keras.operands import argument, axes_of, numbers, pair, tensor, tensors
from exporter.lower.keras.operations_math import logical

__all__ = ["OPERATIONS"]


def unary(ctx: LayerContext, *, op_type: str) -> ir.Value:
    """One op on one tensor."""
    return ctx.ops(op_type, tensor(ctx, 0, "x"))


def logarithm(ctx: LayerContext, *, base: float) -> ir.Value:
    """The logarithm to a base: ln(x) / ln(base)."""
    return ctx.ops.compute("Div", ctx.ops("Log", tensor(ctx, 0, "x")), log(base))


def power_of_2(ctx: LayerContext) -> ir.Value:
    """2^x."""
    x = tensor(ctx, 0, "x")
    return ctx.ops("Pow", ctx.ops.scalar(2, x), x)


def remainder(ctx: LayerContext) -> ir.Value:
    """a - b floor(a / b): the sign is that of b."""
    a, b = pair(ctx)
    if a.dtype not in FLOATS:
        return ctx.ops("Mod", a, b)
    return ctx.ops("Sub", a, ctx.ops("Mul", b, ctx.ops("Floor", ctx.ops("Div", a, b))))


def running_sum(ctx: LayerContext) -> ir.Value:
    """The sum up to each place along an axis, of all in a row where Keras is given none."""
    ops, x = ctx.ops, tensor(ctx, 0, "x")
    axis = argument(ctx, 1, "axis", default=0 if ctx.layer.origin == "tf" else None)
    if axis is None:
        return ctx.refuse("a running sum over all axes")
    (place,) = axes_of(ctx, axis, ops.rank(x))
    flags = {"exclusive": argument(ctx, 2, "exclusive"), "reverse": argument(ctx, 3, "reverse")}
    options = {name: int(bool(flag)) for name, flag in flags.items()} if ctx.layer.origin == "tf" else {}
    return ops("CumSum", x, ops.builder.constant(np.array(place, np.int64)), **options)


def largest(ctx: LayerContext) -> tuple[ir.Value, ir.Value]:
    """The k largest along the last axis and where they are, in falling order."""
    x, count = tensor(ctx, 0, "x", "input"), argument(ctx, 1, "k", default=1)
    if type(count) is not int:
        return ctx.refuse("a number of largest elements that isn't known")
    argument(ctx, 2, "sorted")
    values, places = ctx.ops.builder.op_n("TopK", 2, x, ctx.ops.ints(count), axis=-1, largest=1, sorted=1)
    return values, ctx.ops.cast(places, ir.DataType.INT32)


def unstacked(ctx: LayerContext) -> tuple[ir.Value, ...]:
    """Each place along an axis as a tensor of its own."""
    ops, x = ctx.ops, tensor(ctx, 0, "x", "value")
    argument(ctx, 1, "num")
    (axis,) = axes_of(ctx, argument(ctx, 2, "axis", default=0), ops.rank(x))
    return tuple(ops.squeeze(each, axis) for each in ops.split(x, [1] * ctx.channels(x, axis), axis))


def part(ctx: LayerContext) -> ir.Value:
    """x from given places on, of given sizes; -1 is all that is left."""
    x = tensor(ctx, 0, "input_")
    begins = numbers(ctx, argument(ctx, 1, "begin"), "begin")
    sizes = numbers(ctx, argument(ctx, 2, "size"), "size")
    for axis, (begin, size) in enumerate(zip(begins, sizes, strict=True)):
        if begin or size != -1:
            x = ctx.ops.slice(x, axis, begin, None if size == -1 else begin + size)
            if size != -1:  # TensorFlow takes no fewer
                dims = ctx.ops.dims(x)
                x.shape = to_shape((*dims[:axis], size, *dims[axis + 1 :]))
    return x


def total(ctx: LayerContext) -> ir.Value:
    """The sum of several tensors."""
    return ctx.ops("Sum", *tensors(ctx, 0, "inputs"))


def moved_axis(ctx: LayerContext) -> ir.Value:
    """x with one axis in another place."""
    x = tensor(ctx, 0, "x")
    rank = ctx.ops.rank(x)
    (source,) = axes_of(ctx, argument(ctx, 1, "source"), rank)
    (target,) = axes_of(ctx, argument(ctx, 2, "destination"), rank)
    return ctx.ops.move_axis(x, source, target)


def repeated(ctx: LayerContext) -> ir.Value:
    """Each place along an axis a number of times."""
    ops, x = ctx.ops, tensor(ctx, 0, "x", "input")
    times, axis = argument(ctx, 1, "repeats"), argument(ctx, 2, "axis")
    if type(times) is not int or axis is None:
        return ctx.refuse("repeats that aren't one number along one axis")
    (place,) = axes_of(ctx, axis, ops.rank(x))
    counts = [1] * (ops.rank(x) + 1)
    counts[place + 1] = times
    sizes = [ops.size(x, i) for i in range(ops.rank(x))]
    size = sizes[place]
    sizes[place] = size * times if isinstance(size, int) else -1
    return ops.reshape(ops("Tile", ops.unsqueeze(x, place + 1), ops.ints(*counts)), sizes)


def rolled(ctx: LayerContext) -> ir.Value:
    """x turned around by a number of places along an axis."""
    ops, x = ctx.ops, tensor(ctx, 0, "x", "input")
    shift, axis = argument(ctx, 1, "shift"), argument(ctx, 2, "axis")
    if type(shift) is not int or type(axis) is not int:
        return ctx.refuse("a shift that isn't one number along one axis")
    size = ctx.channels(x, axis)
    cut = -shift % size
    return ops.concat([ops.slice(x, axis, cut), ops.slice(x, axis, 0, cut)], axis) if cut else x


def length(ctx: LayerContext) -> ir.Value:
    """The root of the sum of squares along some axes."""
    ops, x = ctx.ops, tensor(ctx, 0, "x", "tensor", "input_tensor")
    short = str(ctx.settings.raw("function")).endswith("euclidean_norm")
    order = None if short else argument(ctx, 1, "ord", default=None)
    axes = axes_of(ctx, argument(ctx, 1 if short else 2, "axis"), ops.rank(x))
    if order not in (None, 2, "euclidean", "fro") or (order == 2 and len(axes) != 1):
        return ctx.refuse(f"a norm of order {order!r}")
    keepdims = bool(argument(ctx, 2 if short else 3, "keepdims", default=False))
    return ops.reduce("ReduceL2", x, axes, keepdims=keepdims)


def flat(ctx: LayerContext) -> ir.Value:
    """All elements in a row."""
    return ctx.ops.reshape(tensor(ctx, 0, "x"), [-1])


def triangle(ctx: LayerContext, *, upper: bool) -> ir.Value:
    """What lies above or below a diagonal, zeros elsewhere."""
    k = argument(ctx, 1, "k", default=0)
    place = ctx.ops.builder.constant(np.array(k, np.int64))
    return ctx.ops("Trilu", tensor(ctx, 0, "x"), place, upper=int(upper))


def threshold(ctx: LayerContext) -> ir.Value:
    """x above a limit, else another number."""
    ops, x = ctx.ops, tensor(ctx, 0, "x")
    limit, other = argument(ctx, 1, "threshold"), argument(ctx, 2, "default_value")
    return ops("Where", ops("Greater", x, ops.scalar(float(limit), x)), x, ops.scalar(float(other), x))


def shrink(ctx: LayerContext, *, soft: bool) -> ir.Value:
    """0 within a limit; outside of it x, or what is over the limit."""
    limit = float(argument(ctx, 1, "threshold", default=0.5))
    return ctx.ops("Shrink", tensor(ctx, 0, "x"), lambd=limit, bias=limit if soft else 0.0)


def function(ctx: LayerContext, *, name: str) -> ir.Value:
    """One of Keras's activations over the last axis."""
    if argument(ctx, 1, "axis", default=-1) != -1:
        return ctx.refuse("another axis than the last")
    return FUNCTIONS[name](ctx.ops, tensor(ctx, 0, "x"))


def celu(ctx: LayerContext) -> ir.Value:
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)."""
    return ctx.ops("Celu", tensor(ctx, 0, "x"), alpha=float(argument(ctx, 1, "alpha", default=1.0)))


def squareplus(ctx: LayerContext) -> ir.Value:
    """(x + sqrt(x^2 + b)) / 2."""
    ops, x = ctx.ops, tensor(ctx, 0, "x")
    root = ops("Sqrt", ops.compute("Add", ops("Mul", x, x), float(argument(ctx, 1, "b", default=4.0))))
    return ops.compute("Mul", ops("Add", x, root), 0.5)


def scaled(ctx: LayerContext) -> ir.Value:
    """A number times a tensor."""
    number, x = argument(ctx, 0, "scalar"), tensor(ctx, 1, "x")
    if not isinstance(number, int | float):
        return ctx.refuse("a factor that is no number")
    return ctx.ops.compute("Mul", x, number)


def matrix_product(ctx: LayerContext) -> ir.Value:
    """a b of the last two axes, either of them transposed on request."""
    a, b = pair(ctx)
    if ctx.layer.origin == "tf":
        a = _transposed(ctx, a) if argument(ctx, 2, "transpose_a") or argument(ctx, 4, "adjoint_a") else a
        b = _transposed(ctx, b) if argument(ctx, 3, "transpose_b") or argument(ctx, 5, "adjoint_b") else b
    return ctx.ops("MatMul", a, b)


def _transposed(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return ctx.ops.move_axis(x, -1, -2)


def tensor_product(ctx: LayerContext) -> ir.Value:
    """The sum of products over the last axis of a and the first of b, a matrix or vector."""
    if argument(ctx, 2, "axes") not in (1, [1]) or ctx.ops.rank(pair(ctx)[1]) > 2:
        return ctx.refuse("other axes than the last of the first tensor and the first of a matrix")
    return ctx.ops("MatMul", *pair(ctx))


def bias_add(ctx: LayerContext) -> ir.Value:
    """x plus a vector over its channels."""
    if str(argument(ctx, 2, "data_format") or "NHWC").startswith("NC"):
        return ctx.refuse("channels before the spatial axes")
    return ctx.ops("Add", tensor(ctx, 0, "value"), tensor(ctx, 1, "bias"))


_UNARY = {
    "arccos": "Acos",
    "arccosh": "Acosh",
    "arcsin": "Asin",
    "arcsinh": "Asinh",
    "arctan": "Atan",
    "arctanh": "Atanh",
    "cosh": "Cosh",
    "isinf": "IsInf",
    "isnan": "IsNaN",
    "sinh": "Sinh",
    "tan": "Tan",
}

OPERATIONS: dict[str, Lower] = {
    "add_n": total,
    "bias_add": bias_add,
    "celu": celu,
    "cumsum": running_sum,
    "exp2": power_of_2,
    "glu": partial(function, name="glu"),
    "hard_shrink": partial(shrink, soft=False),
    "log10": partial(logarithm, base=10),
    "log2": partial(logarithm, base=2),
    "logical_xor": partial(logical, op_type="Xor"),
    "matmul": matrix_product,
    "mod": remainder,
    "moveaxis": moved_axis,
    "norm": length,
    "ravel": flat,
    "repeat": repeated,
    "roll": rolled,
    "scalar_mul": scaled,
    "slice": part,
    "soft_shrink": partial(shrink, soft=True),
    "sparse_plus": partial(function, name="sparse_plus"),
    "sparsemax": partial(function, name="sparsemax"),
    "squareplus": squareplus,
    "tensordot": tensor_product,
    "threshold": threshold,
    "top_k": largest,
    "tril": partial(triangle, upper=False),
    "triu": partial(triangle, upper=True),
    "unstack": unstacked,
    **{name: partial(unary, op_type=op_type) for name, op_type in _UNARY.items()},
}
"""By our own name for each; `operations` says which version calls what so."""
