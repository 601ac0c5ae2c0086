"""What the code of a layer is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.c_program.elements import ELEMENTS, Element
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
        x: The tensors of its inputs, by number; those that are constant aren't among them.
        y: The first tensor that it makes.
        store: Puts an array among the weights and returns the C expression of its address.
        made: All tensors that it makes, by the number of the output.
        prefix: What the program's names begin with.
    """

    op: Op
    fixed: Fixed
    x: Mapping[int, tuple[str, Tensor]]
    y: Tensor
    store: Callable[[_Array], str]
    made: Mapping[int, tuple[str, Tensor]] = field(default_factory=dict)
    prefix: str = ""

    def constant(self, number: int) -> _Array | None:
        """A constant input; None if there is none, or if it isn't constant."""
        if not self.has(number):
            return None
        return self.fixed.constants.get(self.op.inputs[number])

    def has(self, number: int) -> bool:
        """Whether there is such an input."""
        return number < len(self.op.inputs) and bool(self.op.inputs[number])

    def operand(self, number: int) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
        """Name, shape and strides of an input; a constant is stored."""
        if number in self.x:
            name, tensor = self.x[number]
            return name, tensor.shape, tensor.strides
        array = self.constant(number)
        assert array is not None
        strides = tuple(s // array.itemsize for s in np.ascontiguousarray(array).strides)
        return f"({self.store(array)})", array.shape, strides if array.ndim else ()

    def element(self, number: int) -> Element:
        """The element type of an input."""
        return ELEMENTS[self.fixed.types[self.op.inputs[number]]]
