"""Writes the weights of a linear op that has taken affine maps: computed in float64, rounded once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.evaluate import Constants
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.linear import LINEAR
from exporter.passes.affine.refusal import Refused
from exporter.passes.affine.weighted import Weighted
from exporter.passes.naming import Namer, bias_name

__all__ = ["Ledger", "Taken", "check_range", "folded_weights", "storage", "write_weights"]


@dataclass(frozen=True)
class Taken:
    """What a linear op has taken so far: y = after(op(before(x)))."""

    before: Affine
    after: Affine


class Ledger:
    """What each linear op has taken so far; nothing is written into its weights yet, so that they are rounded once."""

    def __init__(self) -> None:
        self._taken: dict[ir.Node, tuple[Weighted, Taken]] = {}
        self._biases: dict[ir.Node, str] = {}

    def __iter__(self) -> Iterator[tuple[Weighted, Taken]]:
        return iter(self._taken.values())

    def with_output(self, op: Weighted, affine: Affine) -> Taken:
        """What an op has taken if its output is mapped now."""
        taken = self.so_far(op)
        return Taken(taken.before, taken.after.then(affine))

    def with_input(self, op: Weighted, affine: Affine) -> Taken:
        """What an op has taken if its input is mapped now."""
        taken = self.so_far(op)
        return Taken(affine.then(taken.before), taken.after)

    def write(self, op: Weighted, taken: Taken) -> None:
        """Notes that the op has taken this."""
        self._taken[op.node] = op, taken

    def suggest_bias(self, op: Weighted, name: str | None) -> None:
        """What a bias that the op gets may be called; the first suggestion counts."""
        if name is not None:
            self._biases.setdefault(op.node, name)

    def bias_name(self, op: Weighted) -> str:
        """The suggested name, or one after the kernel's."""
        source = op.node.metadata_props.get("source") or str(op.node.name)
        return self._biases.get(op.node) or bias_name(op.weights.name, source)

    def so_far(self, op: Weighted) -> Taken:
        """What an op has taken."""
        if op.node in self._taken:
            return self._taken[op.node][1]
        return Taken(_identity(op.node.inputs[op.x]), _identity(op.node.outputs[0]))


def _identity(value: ir.Value | None) -> Affine:
    if value is None or value.shape is None:
        raise Refused("a shape isn't known")
    return Affine.of(1.0, 0.0, len(value.shape))


def storage(value: ir.Value) -> np.dtype[Any]:
    """The NumPy type that a value's numbers are stored in."""
    assert value.dtype is not None
    return value.dtype.numpy()


def write_weights(op: Weighted, taken: Taken, constants: Constants, namer: Namer, new_bias: str) -> None:
    """Gives the node its folded kernel and bias; the old ones go, if nobody else uses them.

    A bias that the node already has keeps its name; one that it hasn't is called `new_bias`.
    """
    linear = LINEAR[op.node.op_type]
    old = op.weights
    bias = _bias(op, constants)
    dtype = storage(old)
    kernel, shift = folded_weights(op, taken, constants)
    op.node.replace_input_with(op.kernel, _replacement(op, kernel, old, str(old.name), namer))
    if linear.bias is None or (shift is None and bias is None):
        return
    assert shift is not None
    value = op.node.inputs[linear.bias] if len(op.node.inputs) > linear.bias else None
    if len(op.node.inputs) <= linear.bias:
        op.node.resize_inputs(linear.bias + 1)
    name = new_bias if value is None else str(value.name)
    op.node.replace_input_with(linear.bias, None)
    rounded = shift.astype(dtype)
    op.node.replace_input_with(linear.bias, _replacement(op, rounded, value, name, namer))


def _replacement(op: Weighted, array: Array, old: ir.Value | None, name: str, namer: Namer) -> ir.Value:
    """A new initializer; it inherits the name of the old one if that is not used any more."""
    if old is not None:
        for index, value in enumerate(op.node.inputs):
            if value is old:
                op.node.replace_input_with(index, None)
        namer.drop_unused(old)
    return namer.constant(name, array)


def _bias(op: Weighted, constants: Constants) -> Array | None:
    index = LINEAR[op.node.op_type].bias
    value = op.node.inputs[index] if index is not None and len(op.node.inputs) > index else None
    return None if value is None else constants.compute(value)


def folded_weights(op: Weighted, taken: Taken, constants: Constants) -> tuple[Array, Array | None]:
    """The kernel, rounded, and the bias in float64; None if there is none."""
    linear = LINEAR[op.node.op_type]
    bias = _bias(op, constants)
    stored = constant_array(op.weights)
    w = constants.compute(op.weights) if stored is None else stored
    factor = linear.factor(op, w.shape, taken.before.scale, taken.after.scale)
    added = None if linear.adds is None else linear.adds(op, taken.after.shift)
    kernel = _scaled(w, factor, added, storage(op.weights))
    if linear.bias is None or (bias is None and not taken.before.has_shift and not taken.after.has_shift):
        return kernel, None
    channels = int(w.shape[-2] * op.group if op.node.op_type == "ConvTranspose" else w.shape[-1])
    shift = np.zeros(channels) if bias is None else bias
    if taken.before.has_shift and linear.input_shift is not None:
        shift = shift + linear.input_shift(op, w, taken.before.shift.reshape(-1))
    return kernel, shift * taken.after.scale.reshape(-1) + taken.after.shift.reshape(-1)


def _scaled(w: Array, factor: Array, added: Array | None, dtype: np.dtype[Any]) -> Array:
    """w factor + added, rounded once; without a copy in float64 where NumPy can round block by block."""
    if np.all(factor == 1) and (added is None or not added.any()):
        return w.astype(dtype, copy=False)
    with np.errstate(over="ignore", under="ignore"):
        if added is None and dtype.kind == "f" and w.dtype == dtype:
            result = np.empty(w.shape, dtype)
            np.multiply(w, factor, out=result, dtype=np.float64, casting="same_kind")
            return result
        product = w.astype(np.float64) * factor
        return (product if added is None else product + added).astype(dtype)


_WIDE = 1e18


def check_range(op: Weighted, taken: Taken, constants: Constants) -> None:
    """Refused if the folded weights don't fit the type they are stored in: overflow, or digits lost near 0.

    The largest error of a weight must stay within one rounding error of the largest weight of its channel. Ordinary
    scales can't fail that in float32, so weights are looked at only in half precision or for extreme scales.
    """
    dtype = storage(op.weights)
    scales = np.abs(np.concatenate([taken.before.scale.reshape(-1), taken.after.scale.reshape(-1)]))
    shifts = np.abs(np.concatenate([taken.before.shift.reshape(-1), taken.after.shift.reshape(-1)]))
    positive = scales[scales > 0]
    extreme = bool(np.any(positive > _WIDE) or np.any(positive < 1 / _WIDE) or np.any(shifts > _WIDE))
    if not extreme and dtype.itemsize != 2:
        return
    kernel, shift = folded_weights(op, taken, constants)
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    largest, eps = float(info.max), float(info.eps)
    if not np.isfinite(kernel.astype(np.float64)).all() or (shift is not None and np.any(np.abs(shift) > largest)):
        raise Refused(f"the folded weights of {op.name} would overflow {dtype.name}")
    w = constants.compute(op.weights)
    linear = LINEAR[op.node.op_type]
    exact = w * linear.factor(op, w.shape, taken.before.scale, taken.after.scale)
    if linear.adds is not None:
        exact = exact + linear.adds(op, taken.after.shift)
    axes = tuple(range(exact.ndim - 1))
    error, size = np.abs(kernel - exact).max(axis=axes), np.abs(exact).max(axis=axes)
    if np.any(error > eps * size):
        raise Refused(f"the folded weights of {op.name} would lose digits in {dtype.name}")
