"""Keras's activation functions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Tensor
from exporter.lower.keras.ops import Ops
from exporter.sources.keras_config import read_layer

__all__ = ["FUNCTIONS", "activate", "activation_name", "gelu", "sparsemax"]


def activate(ctx: LayerContext, x: ir.Value, activation: object) -> ir.Value:
    """The activation of a layer on x: a name, a serialised function, or a layer; None is linear.

    Raises:
        UnsupportedError: For a function that isn't one of Keras's.
    """
    name = activation_name(activation)
    if name == "hard_sigmoid" and ctx.major < 3:
        return ctx.ops("HardSigmoid", x, alpha=0.2, beta=0.5)
    if name in FUNCTIONS:
        return FUNCTIONS[name](ctx.ops, x)
    if isinstance(activation, Mapping) and isinstance(activation.get("config"), Mapping):
        layer = read_layer({**activation, "name": f"{ctx.layer.name}/activation"}, ctx.settings.owner)
        (result,) = ctx.lower(layer, (*ctx.path, "activation"), [Tensor(x)])
        return result.value
    text, bare = f"activation {name[:60]!r} is not one of Keras's own", name.removeprefix("custom ")[:60]
    return ctx.refuse(f"{text}; where it is the same as one, say so with --custom {bare}=NAME")


def activation_name(activation: object) -> str:
    """What an activation is called, in whichever way it is written; `linear` for None."""
    if activation is None:
        return "linear"
    if isinstance(activation, Mapping):
        own = str(activation.get("module") or "builtins").split(".")[0] in ("builtins", "keras", "tf_keras")
        config = activation.get("config")
        written = config if isinstance(config, str) else activation.get("class_name")
        return str(written) if own and ">" not in str(activation.get("registered_name") or "") else f"custom {written}"
    return str(activation)


def _op(op_type: str, **attributes: Any) -> Callable[[Ops, ir.Value], ir.Value]:
    return lambda ops, x: ops(op_type, x, **attributes)


def gelu(ops: Ops, x: ir.Value, *, approximate: bool = False) -> ir.Value:
    """x * P(normal < x), or x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    if approximate:
        cube = ops("Mul", x, ops("Mul", x, x))
        inner = ops.compute("Mul", ops("Add", x, ops.compute("Mul", cube, 0.044715)), sqrt(2 / pi))
        spread = ops("Tanh", inner)
    else:
        spread = ops("Erf", ops.compute("Mul", x, sqrt(0.5)))
    return ops("Mul", ops.compute("Mul", x, 0.5), ops.compute("Add", spread, 1.0))


def _linear(ops: Ops, x: ir.Value) -> ir.Value:
    return x


def _clip(ops: Ops, x: ir.Value, low: float, high: float) -> ir.Value:
    return ops("Clip", x, ops.scalar(low, x), ops.scalar(high, x))


def _swish(ops: Ops, x: ir.Value) -> ir.Value:
    return ops("Mul", x, ops("Sigmoid", x))


def _glu(ops: Ops, x: ir.Value) -> ir.Value:
    """a * sigmoid(b) of both halves of the last axis."""
    size = ops.size(x, -1)
    assert isinstance(size, int)
    a, b = ops.split(x, [size // 2, size - size // 2], -1)
    return ops("Mul", a, ops("Sigmoid", b))


def _log_sigmoid(ops: Ops, x: ir.Value) -> ir.Value:
    return ops("Neg", ops("Softplus", ops("Neg", x)))


def _squareplus(ops: Ops, x: ir.Value) -> ir.Value:
    """(x + sqrt(x^2 + 4)) / 2."""
    root = ops("Sqrt", ops.compute("Add", ops("Mul", x, x), 4.0))
    return ops.compute("Mul", ops("Add", x, root), 0.5)


def _tanh_shrink(ops: Ops, x: ir.Value) -> ir.Value:
    return ops("Sub", x, ops("Tanh", x))


def _sparse_plus(ops: Ops, x: ir.Value) -> ir.Value:
    """0 below -1, x above 1, (x + 1)^2 / 4 between."""
    shifted = ops.compute("Add", x, 1.0)
    between = ops.compute("Mul", ops("Mul", shifted, shifted), 0.25)
    above = ops("GreaterOrEqual", x, ops.scalar(1, x))
    below = ops("LessOrEqual", x, ops.scalar(-1, x))
    return ops("Where", below, ops.scalar(0, x), ops("Where", above, x, between))


def _sparse_sigmoid(ops: Ops, x: ir.Value) -> ir.Value:
    """(x + 1) / 2 within 0 and 1."""
    return _clip(ops, ops.compute("Mul", ops.compute("Add", x, 1.0), 0.5), 0, 1)


def sparsemax(ops: Ops, x: ir.Value) -> ir.Value:
    """max(x - t, 0) over the last axis, t = (s_1 + ... + s_k - 1) / k.

    s_i is the sum of the i largest x, and k the number of those with 1 + i x_i > s_i. The function of that name in the
    literature has s_k alone for the sum; what counts is what Keras computes, in training as well.
    """
    size = ops.size(x, -1)
    assert isinstance(size, int)
    ordered = ops.builder.op_n("TopK", 2, x, ops.ints(size), axis=-1, largest=1, sorted=1)[0]
    numbers = ops.builder.constant(np.arange(1, size + 1, dtype=ops.dtype(x).numpy()))
    totals = ops("CumSum", ordered, ops.builder.constant(np.array(ops.rank(x) - 1, np.int64)))
    counts = ops("Greater", ops.compute("Add", ops("Mul", ordered, numbers), 1.0), totals)
    zero = ops.scalar(0, x)
    total = ops.reduce("ReduceSum", ops("Where", counts, totals, zero), [-1], keepdims=True)
    number = ops.reduce("ReduceSum", ops.cast(counts, ops.dtype(x)), [-1], keepdims=True)
    return ops("Relu", ops("Sub", x, ops("Div", ops.compute("Sub", total, 1.0), number)))


def _hard_sigmoid(ops: Ops, x: ir.Value) -> ir.Value:
    """relu6(x + 3) / 6, as in Keras 3."""
    return ops("HardSigmoid", x, alpha=1 / 6, beta=0.5)


FUNCTIONS: dict[str, Callable[[Ops, ir.Value], ir.Value]] = {
    "celu": _op("Celu", alpha=1.0),
    "elu": _op("Elu", alpha=1.0),
    "exponential": _op("Exp"),
    "gelu": gelu,
    "glu": _glu,
    "hard_shrink": _op("Shrink", lambd=0.5, bias=0.0),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _op("HardSwish"),
    "hard_swish": _op("HardSwish"),
    "hard_tanh": lambda ops, x: _clip(ops, x, -1, 1),
    "leaky_relu": _op("LeakyRelu", alpha=0.2),
    "linear": _linear,
    "log_sigmoid": _log_sigmoid,
    "log_softmax": _op("LogSoftmax", axis=-1),
    "mish": _op("Mish"),
    "relu": _op("Relu"),
    "relu6": lambda ops, x: _clip(ops, x, 0, 6),
    "selu": _op("Selu"),
    "sigmoid": _op("Sigmoid"),
    "silu": _swish,
    "soft_shrink": _op("Shrink", lambd=0.5, bias=0.5),
    "softmax": _op("Softmax", axis=-1),
    "softmax_v2": _op("Softmax", axis=-1),
    "softplus": _op("Softplus"),
    "softsign": _op("Softsign"),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "sparsemax": sparsemax,
    "squareplus": _squareplus,
    "swish": _swish,
    "tanh": _op("Tanh"),
    "tanh_shrink": _tanh_shrink,
}
"""Each built-in function with its default arguments, by its name."""
