"""What the values of an input stand for, told from what the model does with them, never from names.

A number, a pixel of 0 to 255, an index into a table, a 0 or 1 that masks, a switch, the length of a sequence, a one-hot
vector. An input that the model first shifts and scales by constants, as Keras' `Normalization` does, tells the mean and
the spread of the numbers that are meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.errors import UsageError
from exporter.ir.edit import constant_array
from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op

__all__ = ["InputSpec", "Role", "reached", "specs_of"]

Array = npt.NDArray[Any]
Role = Literal["number", "pixel", "index", "mask", "length", "one-hot", "text"]

_SAME = frozenset({"Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Tile"})
_PASSES_INDICES = _SAME | {"Clip", "Concat", "Slice", "Split", "Max", "Min", "Where", "Pad"}
_COMPARISONS = frozenset({"Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
_HUGE = 1e3
_LARGEST = 1 << 16
_FAR = 40


@dataclass(frozen=True, eq=False)
class InputSpec:
    """What may be fed.

    Attributes:
        name: The input's name.
        dtype: Its element type.
        shape: Its sizes; a str is the name of one that is open, None one without a name.
        role: What its values stand for.
        indices: Of an index, how many entries the smallest table has; None if that isn't known.
        along: Of a length, the size of what it is the length of: a number, the name of an open size, or None.
        centre: The mean of the numbers that are meant, for all or for each of the last axis; None if it isn't known.
        spread: Their standard deviation.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...]
    role: Role = "number"
    indices: int | None = None
    along: int | str | None = None
    centre: Array | None = None
    spread: Array | None = None

    def open_size(self, axis: int) -> str | None:
        """What the size of an axis goes by, if it is open: its own name, or `input[axis]`."""
        size = self.shape[axis]
        return None if isinstance(size, int) else size or f"{self.name}[{axis}]"


def specs_of(model: ir.Model) -> tuple[InputSpec, ...]:
    """The inputs of a model, with what its ops tell of the values that are meant.

    Raises:
        UsageError: The rank of an input isn't known.
    """
    return tuple(_spec(value) for value in model.graph.inputs)


def _spec(value: ir.Value) -> InputSpec:
    if value.shape is None:
        raise UsageError(f"the rank of input {value.name} is not known", hint="Give values for it with --data")
    shape = tuple(dim if isinstance(dim, int) else dim.value for dim in value.shape.dims)
    name = str(value.name)
    if value.dtype == ir.DataType.STRING:
        return InputSpec(name, np.dtype(object), shape, "text")
    dtype = np.dtype(np.float32 if value.dtype is None else value.dtype.numpy())
    integer = dtype.kind in "iu"
    if dtype.kind == "b":
        return InputSpec(name, dtype, shape, "mask")
    if integer and _makes_shapes(value):
        return InputSpec(name, dtype, shape, "index", _SMALL)
    if integer and (tables := list(_tables(value))):
        return InputSpec(name, dtype, shape, "index", min(tables))
    if integer and len(shape) < 3 and (lengths := list(_lengths(value))):
        return InputSpec(name, dtype, shape, "length", along=next((d for d in lengths if d is not None), None))
    if _masks(value):
        return InputSpec(name, dtype, shape, "mask")
    if _selects(value):
        return InputSpec(name, dtype, shape, "one-hot")
    slope, shift = _affine(value)
    if _is_pixel(slope, shift) or dtype == np.uint8:
        return InputSpec(name, dtype, shape, "pixel")
    if integer or bool(np.all(slope == 1) and np.all(shift == 0)):
        return InputSpec(name, dtype, shape)
    return InputSpec(name, dtype, shape, centre=-shift / slope, spread=1 / np.abs(slope))


def _makes_shapes(value: ir.Value) -> bool:
    """Whether a value is a size or a number of repetitions, large ones of which would take all memory."""
    uses = reached(value, _PASSES_INDICES | {"Add", "Mul", "Gather", "Sub"})
    return any(index in _SHAPE_INPUTS.get(node.op_type, ()) for node, index in uses)


_SMALL = 4
_SHAPE_INPUTS = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (3,),
    "Tile": (1,),
    "TopK": (1,),
}


def reached(value: ir.Value, passing: frozenset[str] = _SAME) -> Iterator[tuple[ir.Node, int]]:
    """The uses of a value, also in subgraphs and behind ops that only pass it on."""
    pending, seen = [value], {value}
    while pending:
        for node, index in pending.pop().uses():
            yield node, index
            ones = constant_array(node.inputs[1 - index]) if node.op_type == "Mul" and index < 2 else None
            only_repeats = ones is not None and ones.size > 1 and bool(np.all(ones == 1))
            if (node.op_type in passing or only_repeats) and node.outputs[0] not in seen:
                seen.update(node.outputs)
                pending.extend(node.outputs)


def _tables(value: ir.Value) -> Iterator[int]:
    """How many entries the tables have that a value points into."""
    for node, index in reached(value, _PASSES_INDICES):
        table = node.inputs[0]
        if node.op_type in {"Gather", "GatherElements", "GatherND"} and index == 1:
            axis = node.attributes.get_int("axis", 0) or 0
            size = None if table is None or table.shape is None else table.shape[axis]
            yield size if isinstance(size, int) and size else _LARGEST
        elif node.op_type == "OneHot" and index == 0:
            depth = constant_array(node.inputs[1])
            if depth is not None:
                yield int(depth.reshape(-1)[0])
        elif node.op_type == "Equal":
            places = constant_array(node.inputs[1 - index])
            if places is not None and places.size > 1 and np.array_equal(places.reshape(-1), np.arange(places.size)):
                yield int(places.size)


def _lengths(value: ir.Value) -> Iterator[int | str | None]:
    """The sizes of the axes that a value counts along: what positions are compared with it."""
    for node, index in reached(value):
        if node.op_type == "ReverseSequence" and index == 1 and node.inputs[0] is not None:
            yield _size(node.inputs[0], node.attributes.get_int("time_axis", 0) or 0)
        if node.op_type not in _COMPARISONS:
            continue
        other = node.inputs[1 - index]
        known = constant_array(other)
        if known is not None and known.size > 1:
            yield int(known.max()) + 1
        elif known is None and (_counts(other) or node.graph is not value.graph):
            yield _size(node.outputs[0], -1)


def _counts(value: ir.Value | None) -> bool:
    """Whether a value is made of positions: a Range, whatever its shape."""
    node = None if value is None else value.producer()
    while node is not None and node.op_type in _SAME and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node is not None and node.op_type == "Range"


def _size(value: ir.Value, axis: int) -> int | str | None:
    if value.shape is None or not len(value.shape):
        return None
    dim = value.shape.dims[axis]
    return dim if isinstance(dim, int) else dim.value


def _masks(value: ir.Value) -> bool:
    """Whether a number is 0 or 1: it is taken from 1, or multiplied by a huge number, or a condition, or a count."""
    for node, index in reached(value):
        if node.op_type == "Where" and index == 0:
            return True
        if node.op_type == "Cast" and node.attributes.get_int("to", 0) == ir.DataType.BOOL.value:
            return True
        other = constant_array(node.inputs[1 - index]) if len(node.inputs) == 2 and index < 2 else None
        if other is not None and other.size and other.dtype.kind in "fiu":
            size = np.abs(np.asarray(other, np.float64))
            uses = [user.op_type for user, _ in reached(node.outputs[0])] if node.op_type == "Sub" else []
            if size.max() == size.min() == 1 and not {"Mul", "Div", "Where"}.isdisjoint(uses):
                return True
            if node.op_type == "Mul" and size.min() >= _HUGE:
                return True
            if value.dtype is not None and value.dtype.is_floating_point() and node.op_type in {"Equal", *_COMPARISONS}:
                return bool(size.max() <= 1)
        if node.op_type == "ReduceSum" and index == 0 and _divides(node.outputs[0]):
            return True
    return False


def _divides(value: ir.Value) -> bool:
    """Whether something is divided by a value, perhaps after it was kept away from 0."""
    return any(
        node.op_type in {"Div", "Reciprocal"} and index == len(node.inputs) - 1
        for node, index in reached(value, _SAME | {"Add", "Max", "Clip", "Where"})
    )


def _selects(value: ir.Value) -> bool:
    """Whether a vector only picks an element of another one: it is multiplied with it, and summed along the last."""
    uses = list(reached(value, frozenset({"Cast", "Identity"})))
    products = [node for node, _ in uses if node.op_type == "Mul" and constant_array(node.inputs[0]) is None]
    products = [node for node in products if constant_array(node.inputs[1]) is None]
    working = [node for node, _ in uses if node.op_type not in {"Cast", "Identity", "Shape"}]
    if not products or value.shape is None or len(value.shape) != 2 or len(products) < len(working):
        return False
    return all(
        any(user.op_type == "ReduceSum" for user, _ in reached(node.outputs[0], frozenset({"Cast", "Identity"})))
        for node in products
    )


def _affine(value: ir.Value) -> tuple[Array, Array]:
    """The slope and the shift of `slope * x + shift`, to which a model first brings an input: [1] or [C] each."""
    slope, shift = np.ones(1), np.zeros(1)
    constants = Constants()
    for _ in range(_FAR):
        uses = [(node, index) for node, index in value.uses() if node.op_type not in {"Shape", "Size"}]
        if len(uses) != 1 or value.is_graph_output():
            break
        node, index = uses[0]
        if node.op_type not in {"Cast", "Identity"}:
            step = _step(node, index, constants)
            if step is None or step[0].size * step[1].size * slope.size > _LARGEST**2:
                break
            with np.errstate(all="ignore"):
                moved = step[0] * slope, step[0] * shift + step[1]
            if not all(np.all(np.isfinite(part)) for part in moved) or not np.all(moved[0]):
                break
            slope, shift = moved
        value = node.outputs[0]
    return slope, shift


def _step(node: ir.Node, index: int, constants: Constants) -> tuple[Array, Array] | None:
    """One op as slope and shift along the last axis; None if it is something else."""
    if is_op(node, "BatchNormalization") and index == 0:
        if not all(constants.is_constant(value) for value in node.inputs[1:5]):
            return None
        mean, variance = (constants.array(value).reshape(-1) for value in node.inputs[3:5] if value is not None)
        inverse = 1 / np.sqrt(np.maximum(variance, 0) + max(node.attributes.get_float("epsilon", 1e-5) or 0, 1e-12))
        return inverse, -mean * inverse
    if node.op_type not in {"Add", "Sub", "Mul", "Div"}:
        return None
    other = node.inputs[1 - index]
    if other is None or not constants.is_constant(other):
        return None
    array = np.asarray(constants.array(other), np.float64)
    if array.size != 1 and (not array.ndim or array.size != array.shape[-1]):
        return None
    array, one, zero = array.reshape(-1), np.ones(1), np.zeros(1)
    if node.op_type == "Mul":
        return array, zero
    if node.op_type == "Div":
        return None if index == 1 or not np.all(array) else (1 / array, zero)
    if node.op_type == "Add":
        return one, array
    return (one, -array) if index == 0 else (-one, array)


def _is_pixel(slope: Array, shift: Array) -> bool:
    """Whether 0 to 255 comes to about 0 to 1, -1 to 1 or -2 to 3; or has its mean taken away."""
    low, high = np.minimum(shift, 255 * slope + shift), np.maximum(shift, 255 * slope + shift)
    if np.all(np.abs(slope) == 1) and np.any(shift != 0):
        return bool(np.all((-low >= 16) & (-low <= 200)))
    return bool(np.all((low >= -3) & (low <= 0.01) & (high >= 0.9) & (high <= 3.5) & (np.abs(slope) < 1 / 16)))
