"""Activation functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction

__all__ = ["ACTIVATIONS", "FUSED_ACTIVATIONS", "OPS"]


Activation = Callable[[NodeContext, ir.Value], ir.Value]


def _plain(op_type: str, **attributes: Any) -> Activation:
    return lambda ctx, x: ctx.op(op_type, x, **attributes)


def _relu(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """max(x, 0), for integers too."""
    dtype = ctx.dtype(x)
    if dtype.is_floating_point():
        return ctx.op("Relu", x)
    return ctx.op("Identity", x) if dtype.numpy().kind == "u" else ctx.op("Max", x, ctx.scalar(0, x))


def _relu6(ctx: NodeContext, x: ir.Value) -> ir.Value:
    """min(max(x, 0), 6)."""
    return ctx.op("Clip", x, ctx.scalar(0, x), ctx.scalar(6, x))


def _gelu(approximate: str) -> Activation:
    """x P(normal < x), or its approximation by a tanh, in ops of every opset."""

    def gelu(ctx: NodeContext, x: ir.Value) -> ir.Value:
        if approximate == "none":
            inner = ctx.op("Erf", ctx.op("Mul", x, ctx.scalar(math.sqrt(0.5), x)))
        else:
            cube = ctx.op("Mul", ctx.op("Mul", x, x), x)
            bent = ctx.op("Add", x, ctx.op("Mul", cube, ctx.scalar(0.044715, x)))
            inner = ctx.op("Tanh", ctx.op("Mul", bent, ctx.scalar(math.sqrt(2 / math.pi), x)))
        half = ctx.op("Mul", x, ctx.scalar(0.5, x))
        return ctx.op("Mul", half, ctx.op("Add", inner, ctx.scalar(1, x)))

    return gelu


def leaky_relu(ctx: NodeContext) -> ir.Value:
    """x, or alpha x where x is negative."""
    return ctx.op("LeakyRelu", ctx.inputs[0], alpha=ctx.number("alpha", 0.2))


def _of_input(activation: Activation) -> OpFunction:
    return lambda ctx: activation(ctx, ctx.inputs[0])


ACTIVATIONS: dict[str, Activation] = {
    "Elu": _plain("Elu"),
    "LogSoftmax": _plain("LogSoftmax", axis=-1),
    "Relu": _relu,
    "Relu6": _relu6,
    "Selu": _plain("Selu"),
    "Sigmoid": _plain("Sigmoid"),
    "Softmax": _plain("Softmax", axis=-1),
    "Softplus": _plain("Softplus"),
    "Softsign": _plain("Softsign"),
    "Tanh": _plain("Tanh"),
}
"""Activation functions by TensorFlow's name, without those that have attributes."""

FUSED_ACTIVATIONS: dict[str, Activation] = {
    **ACTIVATIONS,
    "GeluApproximate": _gelu("tanh"),
    "GeluExact": _gelu("none"),
}
"""Those that `fused_ops` may name."""

OPS: dict[str, OpFunction] = {
    **{name: _of_input(activation) for name, activation in ACTIVATIONS.items()},
    "LeakyRelu": leaky_relu,
}
