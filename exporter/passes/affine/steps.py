"""A step of an affine map past one node: what it asks of the node, and the ways that it can go.

A carrier answers, for one node, in one of two directions:

- up: an output is to be mapped; which maps of the inputs do the same? A list of alternatives. Inputs that aren't named
  stay as they are.
- down: an input is mapped; which maps of the outputs do the same?

Either raises `Refused` where no such maps exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from exporter.ir.dims import Dims
from exporter.ir.evaluate import Constants
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.refusal import Refused, label

__all__ = ["Carrier", "Step", "Way"]


@dataclass(frozen=True)
class Way:
    """One way past a node.

    Attributes:
        maps: From the index of an input (going up) or output (going down) to its map.
        parameter: A constant input of the node that has to change for it: its index and its new value.
    """

    maps: dict[int, Affine]
    parameter: tuple[int, Array] | None = None


@dataclass(frozen=True)
class Step:
    """A node to be passed, and the constants of its graph."""

    node: ir.Node
    constants: Constants

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value."""
        found = self.node.attributes.get(name)
        return default if found is None else found.value

    def ints(self, index: int) -> list[int] | None:
        """A constant integer input; None if it is absent. Refused if it isn't constant."""
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        if value is None:
            return None
        if not self.constants.is_constant(value):
            raise Refused(f"{label(self.node)} has parameters that are computed at run time")
        return [int(i) for i in self.constants.array(value).reshape(-1)]

    def dims(self, value: ir.Value | None) -> Dims:
        """A value's dimensions. Refused if not even their number is known."""
        if value is None or value.shape is None:
            raise Refused(f"a shape at {label(self.node)} isn't known")
        return tuple(value.shape.dims)

    @property
    def x(self) -> Dims:
        """The dimensions of the first input."""
        return self.dims(self.node.inputs[0])

    @property
    def y(self) -> Dims:
        """The dimensions of the first output."""
        return self.dims(self.node.outputs[0])

    def uniform(self, affine: Affine, axes: list[int]) -> None:
        """Refused if the map changes along one of these axes."""
        if set(affine.varying) & set(axes):
            raise Refused(f"it isn't the same along the axes that {label(self.node)} works on")

    def no_shift(self, affine: Affine, why: str) -> None:
        """Refused if there is a shift."""
        if affine.has_shift:
            raise Refused(f"{label(self.node)}: {why}")


Up = Callable[[Step, int, Affine], list[Way]]
Down = Callable[[Step, int, Affine], Way]


@dataclass(frozen=True)
class Carrier:
    """The two directions of an op."""

    up: Up
    down: Down
