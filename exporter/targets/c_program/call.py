"""What the code of a layer is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.c_program.specialise import Fixed, Op
from exporter.targets.c_program.tensors import Tensor

__all__ = ["Call"]

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Call:
    """What a layer's code is made from.

    Attributes:
        op: The op, with its attributes.
        fixed: All shapes and constants.
        x: The tensors of its inputs, by number; constants are among them once `weight` was called for them.
        y: The tensor that it makes.
        store: Puts an array among the weights and returns the C expression of its address.
    """

    op: Op
    fixed: Fixed
    x: Mapping[int, tuple[str, Tensor]]
    y: Tensor
    store: Callable[[_Array], str]

    def constant(self, number: int) -> _Array | None:
        """A constant input."""
        if number >= len(self.op.inputs) or not self.op.inputs[number]:
            return None
        return self.fixed.constants.get(self.op.inputs[number])

    def operand(self, number: int) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
        """Name, shape and strides of an input; a constant is stored."""
        if number in self.x:
            name, tensor = self.x[number]
            return name, tensor.shape, tensor.strides
        array = self.constant(number)
        assert array is not None
        return (
            f"({self.store(array)})",
            array.shape,
            tuple(s // array.itemsize for s in np.ascontiguousarray(array).strides),
        )
