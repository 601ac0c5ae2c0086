"""Ops that an older opset doesn't have, as several that it has."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt

import numpy as np
import onnx_ir as ir

from exporter.targets.call import Call, Target

__all__ = ["gelu", "hard_swish", "layer_normalization", "mish", "trilu"]


def gelu(target: Target, call: Call) -> Sequence[ir.Value]:
    """`x / 2 * (1 + erf(x / sqrt(2)))`, or with `tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))` for erf."""
    x = call.input(0)
    if call.plain("approximate", "none") == "tanh":
        cube = target.step(call, "Mul", target.step(call, "Mul", x, x), x)
        scaled = target.step(call, "Mul", cube, target.scalar(0.044715, x))
        inner = target.step(call, "Mul", target.step(call, "Add", x, scaled), target.scalar(sqrt(2 / pi), x))
        gate = target.step(call, "Tanh", inner)
    else:
        gate = target.step(call, "Erf", target.step(call, "Div", x, target.scalar(sqrt(2), x)))
    half = target.step(call, "Mul", x, target.scalar(0.5, x))
    return target.last(call, "Mul", half, target.step(call, "Add", gate, target.scalar(1, x)))


def hard_swish(target: Target, call: Call) -> Sequence[ir.Value]:
    """`x * max(0, min(1, x / 6 + 1 / 2))`."""
    x = call.input(0)
    return target.last(call, "Mul", x, target.step(call, "HardSigmoid", x, alpha=1 / 6, beta=0.5))


def mish(target: Target, call: Call) -> Sequence[ir.Value]:
    """`x * tanh(ln(1 + e^x))`."""
    x = call.input(0)
    return target.last(call, "Mul", x, target.step(call, "Tanh", target.step(call, "Softplus", x)))


def layer_normalization(target: Target, call: Call) -> Sequence[ir.Value]:
    """`(x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias`, the mean over the last axes, from `axis` on.

    Half-precision tensors are normalised in float32, as the op does it unless `stash_type` says otherwise.
    """
    x, scale, bias = call.input(0), call.input(1), call.input(2)
    axis = call.plain("axis", -1)
    if len(call.outputs) > 1 or x is None or (axis >= 0 and x.shape is None):
        return target.append(call)
    half = x.dtype in {ir.DataType.FLOAT16, ir.DataType.BFLOAT16} and call.plain("stash_type", 1) == 1
    wide = target.step(call, "Cast", x, to=ir.DataType.FLOAT.value) if half else x
    axes = target.ints(list(range(axis if axis < 0 else axis - len(x.shape or ()), 0)))
    centred = target.step(call, "Sub", wide, target.step(call, "ReduceMean", wide, axes))
    variance = target.step(call, "ReduceMean", target.step(call, "Mul", centred, centred), axes)
    epsilon = target.scalar(call.plain("epsilon", 1e-5), wide)
    deviation = target.step(call, "Sqrt", target.step(call, "Add", variance, epsilon))
    normal = target.step(call, "Div", centred, deviation)
    if half and x.dtype is not None:
        normal = target.step(call, "Cast", normal, to=x.dtype.value)
    if bias is None:
        return target.last(call, "Mul", normal, scale)
    return target.last(call, "Add", target.step(call, "Mul", normal, scale), bias)


def trilu(target: Target, call: Call) -> Sequence[ir.Value]:
    """`where(triangle, x, 0)`, if the last two sizes and the diagonal are known."""
    x, k = call.input(0), call.constant(1)
    if x is None or x.shape is None or (k is None and call.input(1) is not None):
        return target.append(call)
    rows, columns = x.shape[-2], x.shape[-1]
    if not isinstance(rows, int) or not isinstance(columns, int):
        return target.append(call)
    ones = np.ones((rows, columns), np.bool_)
    diagonal = 0 if k is None else int(k.reshape(-1)[0])
    triangle = np.triu(ones, diagonal) if call.plain("upper", 1) else np.tril(ones, diagonal)
    return target.last(call, "Where", target.array(triangle, f"{call.name}/triangle"), x, target.scalar(0, x))
