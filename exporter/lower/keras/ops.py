"""Short ways to write what layers are made of: a builder's ops with the small constants they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.ir.dims import Dim, Dims

__all__ = ["Ops", "Size"]

Size = int | ir.Value
"""A size: a number, or a tensor [1] where it is known only at run time."""

_TO_END = int(np.iinfo(np.int64).max)


class Ops:
    """Ops on values, by NumPy's names; `ops("Relu", x)` is any one node."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def __call__(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        return self.builder.op(op_type, *inputs, **attributes)

    def ints(self, *values: int) -> ir.Value:
        """A constant vector of int64."""
        return self.builder.constant(np.array(values, np.int64))

    def scalar(self, value: float, like: ir.Value) -> ir.Value:
        """A constant in the type of another value."""
        return self.builder.constant(np.array(value, self.dtype(like).numpy()))

    def dtype(self, x: ir.Value) -> ir.DataType:
        """The type of a value."""
        assert x.dtype is not None
        return x.dtype

    def dims(self, x: ir.Value) -> Dims:
        """The dimensions of a value; Keras knows the rank of everything."""
        dims = self.builder.shape(x)
        assert dims is not None, f"{x.name} has no rank"
        return dims

    def rank(self, x: ir.Value) -> int:
        """How many axes a tensor has."""
        return len(self.dims(x))

    def size(self, x: ir.Value, axis: int) -> Size:
        """The size of an axis: an int where it is known, else a tensor [1]."""
        rank = self.rank(x)
        axis %= rank
        dim: Dim = self.dims(x)[axis]
        return dim if isinstance(dim, int) else self("Shape", x, start=axis, end=axis + 1)

    def vector(self, sizes: Sequence[Size]) -> ir.Value:
        """Sizes as one int64 tensor."""
        if all(isinstance(size, int) for size in sizes):
            return self.ints(*[int(size) for size in sizes if isinstance(size, int)])
        return self("Concat", *[self.ints(size) if isinstance(size, int) else size for size in sizes], axis=0)

    def reshape(self, x: ir.Value, sizes: Sequence[Size]) -> ir.Value:
        """x in another shape: -1 for what is left, 0 for the size that x has there."""
        return self("Reshape", x, self.vector(sizes))

    def transpose(self, x: ir.Value, perm: Sequence[int]) -> ir.Value:
        """x with its axes in that order; x itself if that is the order they are in."""
        return x if list(perm) == sorted(perm) else self("Transpose", x, perm=list(perm))

    def move_axis(self, x: ir.Value, source: int, target: int) -> ir.Value:
        """x with one axis in another place."""
        rank = self.rank(x)
        perm = [axis for axis in range(rank) if axis != source % rank]
        perm.insert(target % rank, source % rank)
        return self.transpose(x, perm)

    def to_last(self, x: ir.Value) -> ir.Value:
        """[N, C, *space] to [N, *space, C]."""
        return self.move_axis(x, 1, -1)

    def to_first(self, x: ir.Value) -> ir.Value:
        """[N, *space, C] to [N, C, *space]."""
        return self.move_axis(x, -1, 1)

    def squeeze(self, x: ir.Value, *axes: int) -> ir.Value:
        """Without these axes, each of size 1."""
        return self("Squeeze", x, self.ints(*axes))

    def unsqueeze(self, x: ir.Value, *axes: int) -> ir.Value:
        """With new axes of size 1 in these places."""
        return self("Unsqueeze", x, self.ints(*axes))

    def reduce(self, op_type: str, x: ir.Value, axes: Sequence[int], *, keepdims: bool) -> ir.Value:
        """`ReduceSum`, `ReduceMean` and the like over these axes."""
        return self(op_type, x, self.ints(*axes), keepdims=int(keepdims))

    def slice(self, x: ir.Value, axis: int, start: int = 0, end: int | None = None, step: int = 1) -> ir.Value:
        """x[start:end:step] along one axis."""
        if end is None:
            end = _TO_END if step > 0 else -_TO_END
        return self("Slice", x, self.ints(start), self.ints(end), self.ints(axis % self.rank(x)), self.ints(step))

    def reverse(self, x: ir.Value, axis: int) -> ir.Value:
        """Back to front along one axis."""
        return self.slice(x, axis, -1, None, -1)

    def split(self, x: ir.Value, sizes: Sequence[int], axis: int) -> tuple[ir.Value, ...]:
        """Parts of these sizes along one axis; the tensor itself where there is one part."""
        if len(sizes) == 1:
            return (x,)
        return self.builder.op_n("Split", len(sizes), x, self.ints(*sizes), axis=axis % self.rank(x))

    def concat(self, values: Sequence[ir.Value], axis: int) -> ir.Value:
        """Joined along one axis; the tensor itself where there is one."""
        if len(values) == 1:
            return values[0]
        return self("Concat", *values, axis=axis % self.rank(values[0]))

    def pad(self, x: ir.Value, begins: Sequence[int], ends: Sequence[int]) -> ir.Value:
        """Zeros around x; x itself if there are none."""
        if not any((*begins, *ends)):
            return x
        return self("Pad", x, self.ints(*begins, *ends), self.scalar(0, x))

    def cast(self, x: ir.Value, dtype: ir.DataType) -> ir.Value:
        """In another element type; the tensor itself where it has that type."""
        return x if x.dtype == dtype else self("Cast", x, to=dtype.value)

    def compute(self, op_type: str, x: ir.Value, number: float) -> ir.Value:
        """One of two inputs is a number: x + 1, x * 2."""
        return self(op_type, x, self.scalar(number, x))

    def all_of(self, *masks: ir.Value | None) -> ir.Value | None:
        """Masks joined by And; None where there is none."""
        return self._joined("And", masks)

    def any_of(self, *masks: ir.Value | None) -> ir.Value | None:
        """Masks joined by Or; None where there is none."""
        return self._joined("Or", masks)

    def _joined(self, op_type: str, masks: Sequence[ir.Value | None]) -> ir.Value | None:
        result: ir.Value | None = None
        for mask in masks:
            if mask is not None:
                result = mask if result is None else self(op_type, result, mask)
        return result
