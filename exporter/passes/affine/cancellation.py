"""Whether a shift cancels most of what it is added to, so that it can't be added later without losing digits.

`x * scale + shift` is the same number wherever the shift is added, but not the same in floats. If x is an exact number
near -shift / scale, the source, which subtracts first, makes hardly any error; a linear op that gets x itself rounds
products as large as the shift, and an Add between the two rounds a sum as large as it: the error is

    |shift| / |what is left|

times as large as the source's. What is left is known from the statistics of a batch norm, from the range of the type
that x was cast from, or from images, whose pixels go to 255. Otherwise it is taken to be of size 1, as normalised
inputs, masks and activations are; or, where the shift is all there is, nothing is known of it. A ratio up to `FACTOR`
is let pass; up to `FACTOR_ROUNDED` where x itself, or x scale in the source, has been rounded to as many digits before.

Then the shift stays in front as `x + c`, with the constant c rounded to x's type, which is exact for x near -c. What c
is short of goes with the scale, which can go where it likes:

    x * scale + shift = (x + c) * scale + (shift - c * scale)

Upwards there is nothing to lose: the op that makes x has rounded it to digits as large as the shift's before, unless
all in it are whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.evaluate import Constants
from exporter.ir.opset import record_of
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.weighted import weighted

__all__ = ["FACTOR", "FACTOR_ROUNDED", "Exactness", "Spread", "centred", "keeps_digits", "left_of"]

FACTOR = 4.0
"""How much larger the errors of exact numbers may become."""

FACTOR_ROUNDED = 16.0
"""The largest ratio of a shift to what is left of a number that was rounded to as many digits anyway."""

_EPS = float(np.finfo(np.float64).eps)

_ENOUGH = 2.0**-29
"""float64 has so many digits more than float32."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean and standard deviation of a tensor, as arrays of its rank that broadcast against it."""

    mean: Array
    deviation: Array

    @staticmethod
    def of(mean: Array, deviation: Array, rank: int) -> Spread:
        """From numbers per channel, which is the last axis of rank `rank`."""
        shape = (1,) * (rank - 1) + (-1,)
        return Spread(mean.reshape(shape), deviation.reshape(shape))

    def then(self, affine: Affine) -> Spread:
        """That of the mapped tensor."""
        return Spread(self.mean * affine.scale + affine.shift, np.abs(self.deviation * affine.scale))

    @property
    def size(self) -> Array:
        """Root mean squares, but at least that over all channels: a linear op behind adds these up."""
        squares = self.mean**2 + self.deviation**2
        return np.asarray(np.sqrt(np.maximum(squares, np.mean(squares))))


def left_of(affine: Affine, x: ir.Value, *, exact: bool) -> Array:
    """The size of what an affine map makes of x, if no statistics tell.

    That is 1 for what is scaled, and for masks; and for pixels from 0 to 255, or whatever else has a range, its root
    mean square. Nothing is known of another exact number that something is only added to.
    """
    source = _moved_from(x)
    mask = source is not None and source.dtype == ir.DataType.BOOL
    if np.any(np.abs(affine.scale) != 1) or not exact or mask:
        return np.ones(())
    known = _known_range(x)
    if known is None:
        return np.zeros(())
    least, most = known[0] * affine.scale + affine.shift, known[1] * affine.scale + affine.shift
    size = np.sqrt(((least + most) / 2) ** 2 + (most - least) ** 2 / 12)
    # where none of them becomes 0 they can't be all that there are
    return np.where(least * most <= 0, size, 1.0)


def keeps_digits(first: Affine, second: Affine) -> bool:
    """Whether float64 holds the shifts of both maps in that of their composition, to the digits of float32."""
    before, after = np.broadcast_arrays(first.shift * second.scale, second.shift)
    return not bool(np.any((after != 0) & (np.abs(after) < _ENOUGH * np.abs(before))))


def centred(affine: Affine, dtype: np.dtype[np.generic]) -> tuple[Affine, Affine] | None:
    """x + c and y * scale + rest, which together are the map, with c rounded to a float type.

    None where c isn't finite: a scale is 0, or too small.
    """
    inner = affine.inner_shift()
    if inner is None:
        return None
    with np.errstate(over="ignore"):
        c = inner.shift.astype(dtype).astype(np.float64)
    if not np.isfinite(c).all():
        return None
    rest = affine.shift - c * affine.scale
    rest = np.where(np.abs(rest) <= 4 * _EPS * np.abs(affine.shift), 0.0, rest)
    return Affine.of(1.0, c, affine.rank), Affine.of(affine.scale, rest, affine.rank)


_SMALL = 1 << 14
"""Up to how many weights are looked at."""

_FRACTIONS = 64.0
"""Whole numbers of these are told from weights that were trained."""


class Exactness:
    """Which tensors may hold exact numbers, of which every digit counts; nodes are to be noted in the graph's order.

    Inputs do, and what is made of them without multiplying them by arbitrary weights.
    """

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._rounded: set[ir.Value] = set()
        self._subtracting: set[ir.Node] = set()

    def note(self, node: ir.Node) -> None:
        """What follows for the results of a node."""
        if self._rounds(node):
            self._rounded.update(node.outputs)

    def is_exact(self, value: ir.Value | None) -> bool:
        """Whether a tensor may hold such numbers."""
        return value not in self._rounded

    def subtracts(self, node: ir.Node) -> bool:
        """Whether a node makes differences of exact numbers, which are exact, too: a filter for edges."""
        return node in self._subtracting

    def _rounds(self, node: ir.Node) -> bool:
        if record_of(node.op_type).rounding == "relative":
            return True
        if record_of(node.op_type).rounding == "settles":
            x = node.inputs[0] if node.op_type == "Cast" else None
            if x is None or x.dtype is None or not x.dtype.is_floating_point():
                return False
        op = weighted(node, self._constants)
        if op is not None and node.op_type != "Gather":
            whole = self._whole_numbers(op.weights)
            if whole is None:
                return True
            if whole.min(initial=0) < 0 < whole.max(initial=0) and self.is_exact(node.inputs[op.x]):
                self._subtracting.add(node)
        given = [v for v in node.inputs if v is not None and not self._constants.is_constant(v)]
        return bool(given) and all(v in self._rounded for v in given)

    def _whole_numbers(self, weights: ir.Value) -> Array | None:
        """The weights, if these are few, and all of them whole numbers of one power of 2: products are exact then."""
        shape = weights.shape
        if shape is None or prod(d if isinstance(d, int) else _SMALL + 1 for d in shape.dims) > _SMALL:
            return None
        array = self._constants.compute(weights)
        return array if np.all(array * _FRACTIONS == np.rint(array * _FRACTIONS)) else None


_BYTES = {ir.DataType.UINT8: (0.0, 255.0), ir.DataType.INT8: (-128.0, 127.0)}

_FAR = 16


def _known_range(value: ir.Value | None) -> tuple[float, float] | None:
    """Between which numbers a tensor's elements are spread; None if it isn't known."""
    value = _moved_from(value)
    if value is None:
        return None
    if value.dtype in _BYTES:
        return _BYTES[value.dtype]
    node = value.producer()
    if node is None:
        images = value.is_graph_input() and value.shape is not None and len(value.shape) == 4
        coloured = images and value.shape is not None and 3 in (value.shape[1], value.shape[3])
        return (0.0, 255.0) if coloured else None
    bounds = [constant_array(v) for v in node.inputs[1:3]] if node.op_type == "Clip" else []
    if len(bounds) < 2 or not all(b is not None and b.size == 1 for b in bounds):
        return None
    least, most = (float(b.reshape(-1)[0]) for b in bounds if b is not None)
    return (least, most) if np.isfinite([least, most]).all() else None


def _moved_from(value: ir.Value | None) -> ir.Value | None:
    """The tensor whose elements are in another place, or of another type, in this one."""
    for _ in range(_FAR):
        node = None if value is None else value.producer()
        if node is None or (node.op_type != "Cast" and not record_of(node.op_type).keeps_range):
            break
        value = node.inputs[0]
    return value
