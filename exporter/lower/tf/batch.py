"""What only carries the batch along, in graphs that were written for one size of it, say 4.

[N, 7, 12]  ->  Reshape to [4 * 7, 12]      becomes     Reshape to [-1, 12]
[N, 1, 7] * ones [4, 7, 1]                  becomes     [N, 1, 7] * ones [1, 7, 1]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.ir.dims import Dim, Dims, same_dim
from exporter.ir.opset import ops_that

__all__ = ["BATCH", "BROADCASTING", "Batch"]

BROADCASTING = frozenset(
    {"Add", "AddV2", "BitwiseAnd", "BitwiseOr", "Div", "DivNoNan", "Equal", "FloorDiv", "FloorMod", "Greater"}
    | {"GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "Maximum", "Minimum", "Mul", "NotEqual"}
    | {"Pow", "RealDiv", "SelectV2", "SquaredDifference", "Sub"}
)
"""Ops whose operands broadcast, all of them."""

_KEEPS_FIRST = frozenset({"Dense", "LayerNormalization", "LogSoftmax", "MatMul", "Softmax"}) | ops_that(
    lambda op: op.elementwise or op.affine or op.space
)
"""Ops whose result has the first axis of an input, in the same order."""

_LARGEST = 1_000_000

_STATE_RANK = 2
"""At least: a state has features beside the batch."""

BATCH = "N"
"""The symbol of the first size of an input."""


@dataclass
class Batch:
    """The batch that a graph was written for.

    Attributes:
        size: What constants in the graph have it as.
        carried: The reshapes that carry it along: the name of each, and the axis of its result that holds the batch.
        source: The input whose batch the states that loops begin with are to have, as the zeros [4, units] of an RNN;
            None where they stay as they are.
        repeated: The constants that hold the same for each sample: node and operand, and the axis.
        outer: What lies outside of the batch in the first axis of a reshape's result, as 3 in [3 * N * 7, 12].
    """

    size: int
    source: str | None = None
    carried: dict[str, int] = field(default_factory=dict)
    repeated: dict[tuple[str, int], int] = field(default_factory=dict)
    outer: dict[ir.Value, int] = field(default_factory=dict)

    def opened(self, node: str, dims: Dims | None, wanted: Sequence[int], outer: int | None = None) -> list[int] | None:
        """A constant shape with the batch left open; None if it doesn't carry the batch, or not for certain.

        The axis is chosen where the batch is a symbol, and taken again where it is a number.

        Args:
            node: The reshape.
            dims: What is reshaped.
            wanted: To which shape, with -1 for what is left.
            outer: What lies outside of the batch in the dimension that is a multiple of it, if that is known.

        Returns:
            The shape as ONNX has it, where 0 is the size that the tensor has.
        """
        axis = self.carried.get(node)
        if axis is None and dims is not None:
            axis = _axis(dims, list(wanted), self.size, outer)
        if axis is None or wanted[axis] == -1:
            return None
        shape = list(wanted)
        if -1 not in wanted:
            shape[axis] = -1
        elif axis == 0 and wanted[0] == self.size:
            shape[0] = 0
        else:
            return None
        self.carried[node] = axis
        return shape

    def note(self, builder: Builder, x: ir.Value, wanted: Sequence[int], result: ir.Value) -> None:
        """Remembers what lies outside of the batch in the first axis of a reshape's result."""
        dims = builder.shape(x)
        if dims is not None and sum(not isinstance(dim, int) for dim in dims) == 1:
            found = set(_holding(dims, list(wanted), self.size, self.outer_of(builder, x)))
            axis, outer = found.pop() if len(found) == 1 else (None, 0)
            if axis == 0:
                self.outer[result] = outer

    def outer_of(self, builder: Builder, x: ir.Value) -> int | None:
        """What lies outside of the batch in the first axis of a tensor, if what the tensor is made of says so."""
        dims = builder.shape(x)
        while dims and not isinstance(dims[0], int):
            if x in self.outer or _is_batch(dims):
                return self.outer.get(x, 1)
            origin = _with_first_axis(builder, x, dims)
            if origin is None:
                return None
            x = origin
        return None

    def single(self, builder: Builder, node: str, operands: Sequence[ir.Value]) -> tuple[ir.Value, ...]:
        """The operands of an op that broadcasts, with constants that hold the same for each sample once for all."""
        dims = [builder.shape(operand) for operand in operands]
        if any(shape is None for shape in dims):
            return tuple(operands)
        shapes = [shape for shape in dims if shape is not None]
        rank = max(len(shape) for shape in shapes)
        found = list(operands)
        for i, operand in enumerate(operands):
            axis = self.repeated.get((node, i))
            if axis is None:
                axis = next((a for a in range(-rank, 0) if self._meets_batch(shapes, i, a)), None)
            once = None if axis is None else _once(builder, operand, axis)
            if axis is not None and once is not None:
                self.repeated[node, i] = axis
                found[i] = once
        return tuple(found)

    def state(self, builder: Builder, value: ir.Value) -> ir.Value:
        """What a loop begins with, the same for each sample, for as many samples as an input has; else as it is."""
        dims = builder.shape(value)
        given = self._given(builder)
        if given is None or dims is None or len(dims) < _STATE_RANK or dims[0] != self.size or self.size == 1:
            return value
        once = _once(builder, value, 0)
        if once is None:
            return value
        count = builder.op("Shape", given, start=0, end=1)
        rest = builder.constant(np.array(dims[1:], np.int64))
        return builder.op("Expand", once, builder.op("Concat", count, rest, axis=0))

    def element(self, builder: Builder, dims: Dims | None) -> Dims | None:
        """The shape of what a loop collects, likewise."""
        given = self._given(builder)
        shape = None if given is None else builder.shape(given)
        if not shape or not dims or len(dims) < _STATE_RANK or dims[0] != self.size or self.size == 1:
            return dims
        return (shape[0], *dims[1:])

    def _given(self, builder: Builder) -> ir.Value | None:
        return next((entry for entry in builder.graph.inputs if entry.name == self.source), None)

    def _meets_batch(self, shapes: Sequence[Dims], operand: int, axis: int) -> bool:
        """Whether an operand has the old batch along an axis, counted from the end, and another one the open one."""
        sizes = [shape[axis] if len(shape) >= -axis else 1 for shape in shapes]
        return sizes[operand] == self.size and self.size > 1 and any(_is_batch((size,)) for size in sizes)


def _once(builder: Builder, value: ir.Value, axis: int) -> ir.Value | None:
    """A constant, or one number in every place, with size 1 along an axis; None if it isn't the same all along it."""
    producer, tensor = value.producer(), value.const_value
    if tensor is not None and tensor.size <= _LARGEST:
        array = tensor.numpy()
        first = array.take([0], axis)
        return builder.constant(first) if np.array_equal(array, np.broadcast_to(first, array.shape)) else None
    dims = builder.shape(value)
    number = producer.inputs[0] if producer is not None and producer.op_type == "Expand" else None
    if number is None or builder.shape(number) not in ((), (1,)) or dims is None:
        return None
    if not all(isinstance(dim, int) for dim in dims):
        return None
    sizes = np.array(dims, np.int64)
    sizes[axis] = 1
    return builder.op("Expand", number, builder.constant(sizes))


def _with_first_axis(builder: Builder, value: ir.Value, dims: Dims) -> ir.Value | None:
    """What an op was given whose first axis the result has, in the same order; None where it may be another one."""
    node = value.producer()
    if node is None or node.op_type not in _KEEPS_FIRST:
        return None
    for entry in node.inputs:
        shape = None if entry is None else builder.shape(entry)
        if shape and len(shape) == len(dims) and same_dim(shape[0], dims[0]):
            return entry
    return None


def _axis(dims: Dims, wanted: list[int], size: int, outer: int | None) -> int | None:
    """The axis of the result that holds the batch, if there is just one that can."""
    places = [i for i, dim in enumerate(dims) if not isinstance(dim, int)]
    if len(places) != 1:
        return 0 if _is_batch(dims[:1]) and size > 1 and wanted[:1] == [size] and -1 in wanted else None
    found = {axis for axis, _ in _holding(dims, wanted, size, outer)}
    if -1 in wanted and wanted.index(-1) in found:
        return wanted.index(-1)
    if size == 1 and places == [0] and 0 in found:
        return 0
    return found.pop() if len(found) == 1 else None


def _holding(dims: Dims, wanted: list[int], size: int, outer: int | None) -> Iterator[tuple[int, int]]:
    """The axes of the result in which the batch can lie whole, and what then lies outside of it in that axis.

    Args:
        dims: What is reshaped; one dimension is a multiple of the batch.
        wanted: The new shape.
        size: The batch.
        outer: What lies outside of the batch in that dimension, if that is known.
    """
    (place,) = (i for i, dim in enumerate(dims) if not isinstance(dim, int))
    times = _times(dims[place], size)
    before, after = prod(_numbers(dims[:place])), prod(_numbers(dims[place + 1 :]))
    filled = None if times is None else _filled(wanted, before * times * size * after)
    if times is None or filled is None:
        return
    for k in range(1, times + 1):
        if times % k or outer not in (k, None):
            continue
        left, right = before * k, times // k * after
        for axis, item in enumerate(filled):
            outside, inside = prod(filled[:axis]), prod(filled[axis + 1 :])
            if left % outside == 0 and right % inside == 0 and item == left // outside * size * (right // inside):
                yield axis, left // outside


def _numbers(dims: Dims) -> Iterator[int]:
    return (dim for dim in dims if isinstance(dim, int))


def _is_batch(dims: Dims) -> bool:
    return bool(dims) and not isinstance(dims[0], int) and dims[0].value == BATCH


def _times(dim: Dim, size: int) -> int | None:
    """k of a dimension `k * N`."""
    if isinstance(dim, int) or dim.value is None or set(dim.free_symbols()) != {BATCH}:
        return None
    values = [dim.evaluate({BATCH: n}) for n in (1, size, size + 1)]
    times = values[0]
    if not isinstance(times, int) or times < 1 or values != [times, times * size, times * (size + 1)]:
        return None
    return times


def _filled(wanted: list[int], total: int) -> list[int] | None:
    """The shape with a number in the place of -1; None if it isn't one of as many elements."""
    rest = prod(item for item in wanted if item != -1)
    if wanted.count(-1) > 1 or rest < 1 or total % rest:
        return None
    filled = [total // rest if item == -1 else item for item in wanted]
    return filled if prod(filled) == total else None
