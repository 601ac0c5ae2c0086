"""Operations that calculate: arithmetic, comparisons, reductions, functions of single elements."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx_ir as ir

from exporter.lower.keras.activation_layers import rectified
from exporter.lower.keras.activations import FUNCTIONS, gelu
from exporter.lower.keras.context import LayerContext, Lower
from exporter.lower.keras.dtypes import FLOATS
from exporter.lower.keras.operands import argument, axes_of, pair, tensor

__all__ = ["OPERATIONS"]


_PLAIN = (
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "log_sigmoid",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "sparse_sigmoid",
    "tanh",
    "tanh_shrink",
)


def binary(ctx: LayerContext, *, op_type: str, floats: bool = False, negated: bool = False) -> ir.Value:
    """One op on two operands in a common type."""
    result = ctx.ops(op_type, *pair(ctx, floats=floats))
    return ctx.ops("Not", result) if negated else result


def logical(ctx: LayerContext, *, op_type: str) -> ir.Value:
    """One op on whether each of two operands is anything but 0."""
    a, b = pair(ctx)
    return ctx.ops(op_type, ctx.ops.cast(a, ir.DataType.BOOL), ctx.ops.cast(b, ir.DataType.BOOL))


def inverted(ctx: LayerContext) -> ir.Value:
    """Whether each element is 0."""
    return ctx.ops("Not", ctx.ops.cast(tensor(ctx, 0, "x"), ir.DataType.BOOL))


def floor_divide(ctx: LayerContext) -> ir.Value:
    """floor(a / b)."""
    a, b = pair(ctx)
    if a.dtype not in FLOATS:
        return ctx.refuse("floor division of integers")
    return ctx.ops("Floor", ctx.ops("Div", a, b))


def squared_difference(ctx: LayerContext) -> ir.Value:
    """(a - b)^2."""
    difference = ctx.ops("Sub", *pair(ctx))
    return ctx.ops("Mul", difference, difference)


def unary(ctx: LayerContext, *, op_type: str) -> ir.Value:
    """One op on one tensor."""
    return ctx.ops(op_type, tensor(ctx, 0, "x"))


def composed(ctx: LayerContext, *, function: Callable[[LayerContext, ir.Value], ir.Value]) -> ir.Value:
    """A function of one tensor that takes several ops."""
    return function(ctx, tensor(ctx, 0, "x"))


def _square(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return ctx.ops("Mul", x, x)


def _rsqrt(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return ctx.ops("Reciprocal", ctx.ops("Sqrt", x))


def _identity(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return x


def _log1p(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return ctx.ops("Log", ctx.ops.compute("Add", x, 1))


def _expm1(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return ctx.ops.compute("Sub", ctx.ops("Exp", x), 1)


def _zeros_like(ctx: LayerContext, x: ir.Value) -> ir.Value:
    zero = ctx.ops.scalar(0, x)
    return ctx.ops("Expand", zero, ctx.ops("Shape", x))


def _ones_like(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return ctx.ops("Expand", ctx.ops.scalar(1, x), ctx.ops("Shape", x))


def reduction(ctx: LayerContext, *, op_type: str) -> ir.Value:
    """One op over some axes, or all."""
    x = tensor(ctx, 0, "x", "input_tensor")
    axes = axes_of(ctx, argument(ctx, 1, "axis"), ctx.ops.rank(x))
    keepdims = bool(argument(ctx, 2, "keepdims", default=False))
    if op_type == "ReduceMean" and x.dtype not in FLOATS:
        x = ctx.ops.cast(x, ir.DataType.FLOAT)
    return ctx.ops.reduce(op_type, x, axes, keepdims=keepdims)


def variance(ctx: LayerContext, *, root: bool) -> ir.Value:
    """The mean of (x - mean)^2 over some axes, or its root."""
    ops, x = ctx.ops, tensor(ctx, 0, "x", "input_tensor")
    axes = axes_of(ctx, argument(ctx, 1, "axis"), ops.rank(x))
    keepdims = bool(argument(ctx, 2, "keepdims", default=False))
    centred = ops("Sub", x, ops.reduce("ReduceMean", x, axes, keepdims=True))
    result = ops.reduce("ReduceMean", ops("Mul", centred, centred), axes, keepdims=keepdims)
    return ops("Sqrt", result) if root else result


def truth(ctx: LayerContext, *, every: bool) -> ir.Value:
    """Whether any or all elements along some axes aren't 0."""
    ops, x = ctx.ops, tensor(ctx, 0, "x", "input_tensor")
    axes = axes_of(ctx, argument(ctx, 1, "axis"), ops.rank(x))
    keepdims = bool(argument(ctx, 2, "keepdims", default=False))
    flags = ops.cast(ops.cast(x, ir.DataType.BOOL), ir.DataType.INT32)
    result = ops.reduce("ReduceMin" if every else "ReduceMax", flags, axes, keepdims=keepdims)
    return ops.cast(result, ir.DataType.BOOL)


def position(ctx: LayerContext, *, op_type: str) -> ir.Value:
    """Where the largest or smallest element is; the last axis of a vector, or the one given."""
    x, axis = tensor(ctx, 0, "x", "input"), argument(ctx, 1, "axis", "dimension")
    if type(axis) is not int:
        return ctx.refuse("a position over all axes")
    keepdims = int(bool(argument(ctx, 2, "keepdims", default=False)))
    index = ctx.ops(op_type, x, axis=axis, keepdims=keepdims)
    wide = ctx.layer.origin == "tf" and argument(ctx, 2, "output_type") in (None, "int64")
    return index if wide else ctx.ops.cast(index, ir.DataType.INT32)


def clip(ctx: LayerContext) -> ir.Value:
    """x between two numbers."""
    x = tensor(ctx, 0, "x", "t")
    low = argument(ctx, 1, "x_min", "clip_value_min")
    high = argument(ctx, 2, "x_max", "clip_value_max")
    if not all(isinstance(limit, int | float) for limit in (low, high)):
        return ctx.refuse("limits that are no numbers")
    return ctx.ops("Clip", x, ctx.ops.scalar(low, x), ctx.ops.scalar(high, x))


def where(ctx: LayerContext) -> ir.Value:
    """a where the condition holds, else b."""
    condition = ctx.ops.cast(tensor(ctx, 0, "condition"), ir.DataType.BOOL)
    return ctx.ops("Where", condition, *pair(ctx, first=1))


def softmax(ctx: LayerContext, *, op_type: str) -> ir.Value:
    """Softmax or its logarithm along one axis, by default the last."""
    axis = argument(ctx, 1, "axis", default=-1)
    if axis is not None and type(axis) is not int:
        return ctx.refuse(f"axis {axis!r}")
    return ctx.ops(op_type, tensor(ctx, 0, "x", "logits"), axis=-1 if axis is None else axis)


def activation(ctx: LayerContext, *, name: str) -> ir.Value:
    """One of Keras's activation functions with its default parameters."""
    return FUNCTIONS[name](ctx.ops, tensor(ctx, 0, "x", "features"))


def leaky_relu(ctx: LayerContext) -> ir.Value:
    """x, or slope * x below 0."""
    slope = argument(ctx, 1, "negative_slope", "alpha", default=0.2)
    return ctx.ops("LeakyRelu", tensor(ctx, 0, "x", "features"), alpha=float(slope))


def general_relu(ctx: LayerContext) -> ir.Value:
    """Keras's relu function with its parameters."""
    maximum = argument(ctx, 2, "max_value")
    slope = argument(ctx, 1, "negative_slope", "alpha", default=0.0)
    threshold = float(argument(ctx, 3, "threshold", default=0.0))
    x = tensor(ctx, 0, "x", "features")
    return rectified(ctx, x, float(slope), None if maximum is None else float(maximum), threshold)


def gelu_of(ctx: LayerContext, *, approximate: bool) -> ir.Value:
    """Exact, or by tanh; the defaults differ between Keras and TensorFlow."""
    chosen = argument(ctx, 1, "approximate", default=approximate)
    return gelu(ctx.ops, tensor(ctx, 0, "x", "features"), approximate=bool(chosen))


def elu(ctx: LayerContext) -> ir.Value:
    """x, or alpha * (exp(x) - 1) below 0."""
    return ctx.ops("Elu", tensor(ctx, 0, "x", "features"), alpha=float(argument(ctx, 1, "alpha", default=1.0)))


def l2_normalize(ctx: LayerContext) -> ir.Value:
    """x / sqrt(max(sum of x^2, epsilon)) along some axes."""
    ops, x = ctx.ops, tensor(ctx, 0, "x")
    axes = axes_of(ctx, argument(ctx, 1, "axis", default=-1), ops.rank(x))
    if argument(ctx, 2, "order", default=2) != 2:
        return ctx.refuse("a norm that isn't of order 2")
    epsilon = argument(ctx, 3, "epsilon", default=1e-12) or 1e-12
    total = ops.reduce("ReduceSum", ops("Mul", x, x), axes, keepdims=True)
    return ops("Div", x, ops("Sqrt", ops("Max", total, ops.scalar(float(epsilon), x))))


OPERATIONS: dict[str, Lower] = {
    "abs": partial(unary, op_type="Abs"),
    "add": partial(binary, op_type="Add"),
    "all": partial(truth, every=True),
    "any": partial(truth, every=False),
    "argmax": partial(position, op_type="ArgMax"),
    "argmin": partial(position, op_type="ArgMin"),
    "ceil": partial(unary, op_type="Ceil"),
    "clip": clip,
    "cos": partial(unary, op_type="Cos"),
    "divide": partial(binary, op_type="Div", floats=True),
    "elu": elu,
    "equal": partial(binary, op_type="Equal"),
    "erf": partial(unary, op_type="Erf"),
    "exp": partial(unary, op_type="Exp"),
    "expm1": partial(composed, function=_expm1),
    "floor": partial(unary, op_type="Floor"),
    "floor_divide": floor_divide,
    "greater": partial(binary, op_type="Greater"),
    "greater_equal": partial(binary, op_type="GreaterOrEqual"),
    "identity": partial(composed, function=_identity),
    "l2_normalize": l2_normalize,
    "leaky_relu": leaky_relu,
    "less": partial(binary, op_type="Less"),
    "less_equal": partial(binary, op_type="LessOrEqual"),
    "log": partial(unary, op_type="Log"),
    "log1p": partial(composed, function=_log1p),
    "log_softmax": partial(softmax, op_type="LogSoftmax"),
    "logical_and": partial(logical, op_type="And"),
    "logical_not": inverted,
    "logical_or": partial(logical, op_type="Or"),
    "logsumexp": partial(reduction, op_type="ReduceLogSumExp"),
    "max": partial(reduction, op_type="ReduceMax"),
    "maximum": partial(binary, op_type="Max"),
    "mean": partial(reduction, op_type="ReduceMean"),
    "min": partial(reduction, op_type="ReduceMin"),
    "minimum": partial(binary, op_type="Min"),
    "multiply": partial(binary, op_type="Mul"),
    "negative": partial(unary, op_type="Neg"),
    "not_equal": partial(binary, op_type="Equal", negated=True),
    "ones_like": partial(composed, function=_ones_like),
    "power": partial(binary, op_type="Pow"),
    "prod": partial(reduction, op_type="ReduceProd"),
    "reciprocal": partial(unary, op_type="Reciprocal"),
    "relu": general_relu,
    "round": partial(unary, op_type="Round"),
    "rsqrt": partial(composed, function=_rsqrt),
    "sign": partial(unary, op_type="Sign"),
    "sin": partial(unary, op_type="Sin"),
    "softmax": partial(softmax, op_type="Softmax"),
    "sqrt": partial(unary, op_type="Sqrt"),
    "square": partial(composed, function=_square),
    "squared_difference": squared_difference,
    "std": partial(variance, root=True),
    "subtract": partial(binary, op_type="Sub"),
    "sum": partial(reduction, op_type="ReduceSum"),
    "var": partial(variance, root=False),
    "where": where,
    "zeros_like": partial(composed, function=_zeros_like),
    "gelu": partial(gelu_of, approximate=True),
    "tf_gelu": partial(gelu_of, approximate=False),
    **{name: partial(activation, name=name) for name in _PLAIN},
}
"""By our own name for each; `operations` says which version calls what so."""
