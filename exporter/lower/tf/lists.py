"""TensorArrays and TensorLists: tensors by number, all of one shape, as one tensor [n, *shape].

Version 1's TensorArray is its flow; the handle that goes with it says nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.ir.dims import UNKNOWN, Dim, Dims, same_dim, to_shape
from exporter.lower.tf.context import RefusalError

__all__ = [
    "Operand",
    "TensorList",
    "merged_dims",
    "padded",
    "same_number",
    "tensor_of",
]


@dataclass(frozen=True, slots=True)
class TensorList:
    """A list of tensors.

    Attributes:
        size: How many there are, an integer scalar; of one that grows, how many at the beginning.
        dtype: Their element type.
        element: The shape of each, as far as it is known.
        whole: All of them, [n, *element]; None as long as none has been written, so that they are zeros.
        grows: Whether writing behind the end makes it longer.
    """

    size: ir.Value
    dtype: ir.DataType
    element: Dims | None
    whole: ir.Value | None = None
    grows: bool = False


Operand = ir.Value | TensorList


def merged_dims(a: Dims | None, b: Dims | None) -> Dims | None:
    """What two descriptions of one shape say together."""
    if a is None or b is None or len(a) != len(b):
        return a if b is None else b
    return tuple(_better(p, q) for p, q in zip(a, b, strict=True))


def _better(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) or (not isinstance(b, int) and a.value is not None):
        return a
    return b


def tensor_of(builder: Builder, held: TensorList) -> ir.Value:
    """All elements as one tensor; zeros where nothing has been written."""
    if held.whole is not None:
        return held.whole
    sizes = [None] if held.element is None else [builder.size(dim) for dim in held.element]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        raise RefusalError("the shape of the tensors in a TensorArray is not known before the loop that writes them")
    count = builder.op("Reshape", builder.op("Cast", held.size, to=ir.DataType.INT64.value), _vector(builder, [1]))
    zero = builder.constant(np.zeros((), held.dtype.numpy()))
    return builder.op("Expand", zero, builder.op("Concat", count, *known, axis=0))


def padded(builder: Builder, held: TensorList, written: ir.Value) -> ir.Value:
    """The first elements, followed by zeros for those that haven't been written."""
    dims = builder.shape(written)
    if dims is None:
        raise RefusalError("the rank of the tensors in a TensorArray is not known")
    count = builder.op("Shape", written, start=0, end=1)
    size = builder.op("Reshape", builder.op("Cast", held.size, to=ir.DataType.INT64.value), _vector(builder, [1]))
    missing = builder.op("Max", builder.op("Sub", size, count), _vector(builder, [0]))
    rank = len(dims)
    before, after = _vector(builder, [0] * rank), _vector(builder, [0] * (rank - 1))
    pads = [before, missing, after] if rank > 1 else [before, missing]
    zero = builder.constant(np.zeros((), held.dtype.numpy()))
    y = builder.op("Pad", written, builder.op("Concat", *pads, axis=0), zero)
    y.shape = to_shape((_size_dim(builder, held), *dims[1:]))
    return y


def _size_dim(builder: Builder, held: TensorList) -> Dim:
    known = builder.elements(held.size)
    if held.grows or known is None or known.size != 1:
        return UNKNOWN
    size = known.reshape(-1)[0]
    return size if isinstance(size, ir.SymbolicDim) else int(size)


def _vector(builder: Builder, numbers: list[int]) -> ir.Value:
    return builder.constant(np.array(numbers, np.int64))


def same_number(builder: Builder, a: ir.Value, b: ir.Value) -> bool:
    """Whether two integer scalars are certainly equal."""
    known = [builder.elements(value) for value in (a, b)]
    if known[0] is not None and known[1] is not None and known[0].size == known[1].size == 1:
        p, q = (array.reshape(-1)[0] for array in known if array is not None)
        symbols = [isinstance(number, ir.SymbolicDim) for number in (p, q)]
        return same_dim(p, q) if all(symbols) else not any(symbols) and int(p) == int(q)
    return _stripped(a) is _stripped(b)


def _stripped(value: ir.Value) -> ir.Value:
    """The number behind other types and shapes of it."""
    node = value.producer()
    while node is not None and node.op_type in {"Cast", "Reshape", "Squeeze", "Unsqueeze"} and node.inputs[0]:
        value = node.inputs[0]
        node = value.producer()
    return value
