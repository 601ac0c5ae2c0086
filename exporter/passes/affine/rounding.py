"""What folding means for rounding errors in half precision, estimated so that it isn't done where it makes them larger.

A folded kernel and its bias are rounded once more to the type they are stored in; in return some results aren't rounded
any more: that of the linear op, and all but the last of the affine ops. In float32 both are below what anyone can see.
In float16 folding gains where the affine ops work in float16 too, and loses where they work in float32, which rounds
only their result.

The estimate is the sum of the squares of all rounding errors at the output of the linear op, for inputs that are
independent with mean 0 and the mean square that the statistics of a batch norm behind the op tell of, or else 1. The
errors of numbers that have to be rounded have the mean square

    ERROR eps^2 (mean square of the number)

with the distance eps from 1 to the next number, as for a mantissa whose logarithm is distributed evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op
from exporter.passes.affine.absorb import Taken, folded_weights, storage
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.linear import LINEAR
from exporter.passes.affine.refusal import Refused
from exporter.passes.affine.weighted import Weighted

__all__ = ["EXACT", "Ends", "Noise", "check_noise", "is_narrow", "noise_of"]

_ALLOWED = 1.05
"""Up to which ratio of mean squares two noises count as the same: rounding once instead of once, elsewhere."""

ERROR = 3 / (96 * np.log(2))
"""The mean of (error / eps result)^2: of 1 / (12 m^2) for a mantissa m between 1 and 2."""


@dataclass(frozen=True)
class Noise:
    """The rounding errors of a chain of affine ops, without that of its result.

    Attributes:
        relative: The mean square of the errors that grow with the input, in units of the mean square of input x scale.
        absolute: That of the errors of shifts.
        power: That mean square, where the statistics of a batch norm tell.
    """

    relative: float = 0.0
    absolute: float = 0.0
    power: float | None = None

    def then(self, result: ir.DataType | None, after: Noise, affine: Affine) -> Noise:
        """The noise of a chain whose result in the given type is the input of another one with that map."""
        rounded = ERROR * _eps(result.numpy()) ** 2 if is_narrow(result) and result is not None else 0.0
        grown = self.absolute * float(np.mean(affine.scale**2))
        return Noise(self.relative + rounded + after.relative, grown + after.absolute, after.power)


EXACT = Noise()


@dataclass(frozen=True)
class Ends:
    """Which results are rounded to half precision as long as an affine map isn't folded into a linear op.

    Attributes:
        between: That between the linear op and the affine one.
        behind: That of the last of the two.
    """

    between: bool
    behind: bool


@dataclass(frozen=True)
class Weights:
    """The weights of a linear op before rounding, in float64, and the type they are stored in.

    Attributes:
        kernel: Of any shape.
        bias: One for each output channel; None if there is none.
        dtype: Of both.
    """

    kernel: Array
    bias: Array | None
    dtype: np.dtype[Any]

    def errors(self) -> Weights:
        """What rounding does to them."""
        return Weights(self._error(self.kernel), None if self.bias is None else self._error(self.bias), self.dtype)

    def _error(self, array: Array) -> Array:
        return _error(array, self.dtype)

    def times(self, factor: Array, scale: Array) -> Weights:
        """The kernel times a factor, and the bias times a scale."""
        return Weights(self.kernel * factor, None if self.bias is None else self.bias * scale.reshape(-1), self.dtype)

    def squares(self, power: float = 1.0) -> float:
        """The mean square of the op's results for inputs of that mean square, added up over its channels."""
        return power * float(np.sum(self.kernel**2)) + (0.0 if self.bias is None else float(np.sum(self.bias**2)))


def exact_weights(op: Weighted, taken: Taken, constants: Constants) -> Weights:
    """The weights that an op needs for what it has taken."""
    w = constants.compute(op.weights)
    linear = LINEAR[op.node.op_type]
    kernel = w * linear.factor(op, w.shape, taken.before.scale, taken.after.scale)
    if linear.adds is not None:
        kernel = kernel + linear.adds(op, taken.after.shift)
    return Weights(kernel, folded_weights(op, taken, constants)[1], storage(op.weights))


def is_narrow(dtype: ir.DataType | None) -> bool:
    """Whether it is a float type of two bytes."""
    return dtype is not None and dtype.is_floating_point() and dtype.itemsize == 2


def noise_of(node: ir.Node, x: int, affine: Affine, constants: Constants) -> Noise:
    """What rounding the constants of one affine op to half precision adds to its result."""
    relative = absolute = 0.0
    for index, value in enumerate(node.inputs):
        if index == x or value is None or not is_narrow(value.dtype) or not constants.is_constant(value):
            continue
        exact = constants.array(value)
        assert value.dtype is not None
        error = _error(exact, value.dtype.numpy()) ** 2
        if affine.has_scale:
            relative += float(np.mean(error / np.where(exact == 0, 1.0, exact**2)))
        else:
            absolute += float(np.mean(error))
    if not is_op(node, "BatchNormalization"):
        return Noise(relative, absolute)
    mean, variance = (constants.array(value) for value in node.inputs[3:5] if value is not None)
    return Noise(relative, absolute, float(np.mean(affine.scale.reshape(-1) ** 2 * (variance + mean**2))))


def check_noise(op: Weighted, taken: Taken, new: Taken, noise: Noise, ends: Ends, constants: Constants) -> None:
    """Refused if an op in half precision would have larger rounding errors for what it takes now.

    Args:
        op: The linear op.
        taken: What it has taken before.
        new: What it is to take now, by itself.
        noise: Of the affine ops that go away.
        ends: Which results are rounded without the fold.
        constants: The graph's constants.
    """
    if storage(op.weights).itemsize != 2 or op.node.op_type == "Gather":
        return
    both = Taken(new.before.then(taken.before), taken.after.then(new.after))
    before, after = exact_weights(op, taken, constants), exact_weights(op, both, constants)
    factor = LINEAR[op.node.op_type].factor(op, after.kernel.shape, new.before.scale, new.after.scale)
    old = before.times(factor, new.after.scale)
    unit = ERROR * _eps(after.dtype) ** 2
    channels = 1 if after.bias is None else after.bias.size
    known = None if new.before.has_scale else noise.power
    # the mean square of the input that makes the output's that of the statistics; 1 where they aren't known
    total = float(np.sum(old.kernel**2))
    power = 1.0 if known is None or not total else known * channels / total
    squares = old.squares() if known is None else known * channels
    between = squares + _shifted(op, before.kernel, new)
    kept = before.errors().times(factor, new.after.scale).squares(power) + ends.between * unit * between
    kept += noise.relative * squares + noise.absolute * channels
    folded = after.errors().squares(power) + (not ends.behind) * unit * after.squares(power)
    if folded > _ALLOWED * kept:
        times = np.sqrt(folded / kept) if kept else np.inf
        more = f"{times:.3g} times the noise of what is rounded without that"
        raise Refused(f"the weights of {op.name} would be rounded to {after.dtype.name} once more: {more}")


def _shifted(op: Weighted, kernel: Array, new: Taken) -> float:
    """The mean square that a shift of the input adds to the result."""
    if not new.before.has_shift:
        return 0.0
    factor = LINEAR[op.node.op_type].factor(op, kernel.shape, new.before.shift, new.after.scale)
    return float(np.sum((kernel * factor) ** 2))


def _error(array: Array, dtype: np.dtype[Any]) -> Array:
    """The root mean square of what rounding does to such numbers; 0 for those that the type has."""
    with np.errstate(over="ignore"):
        exact = array.astype(dtype).astype(np.float64) == array
    return np.where(exact, 0.0, np.sqrt(ERROR) * _eps(dtype) * np.abs(array))


def _eps(dtype: np.dtype[Any]) -> float:
    return float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call]
