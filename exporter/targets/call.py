"""A node on its way into an ONNX graph, before its opset's way of saying it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.dims import Dim

__all__ = ["Call", "Rule", "Spec", "Target"]

Spec = tuple[str, ir.DataType | None, Sequence[Dim] | None]
"""The name, dtype and shape of an output."""


@dataclass(frozen=True)
class Call:
    """A node that is about to be added."""

    op_type: str
    inputs: Sequence[ir.Value | None]
    attributes: Mapping[str, Any]
    outputs: Sequence[Spec]
    name: str

    def input(self, index: int) -> ir.Value | None:
        """An input; None if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int) -> npt.NDArray[Any] | None:
        """The array of a constant input; None if it isn't constant or is left out."""
        value = self.input(index)
        return None if value is None or value.const_value is None else value.const_value.numpy()

    def plain(self, name: str, default: Any) -> Any:
        """The value of an attribute."""
        value = self.attributes.get(name, default)
        return value.value if isinstance(value, ir.Attr) else value

    def without(self, *names: str) -> Call:
        """The same without some attributes."""
        return replace(self, attributes={k: v for k, v in self.attributes.items() if k not in names})


class Target(Protocol):
    """The graph that nodes are added to."""

    def append(self, call: Call) -> Sequence[ir.Value]:
        """Adds a node as it is; returns its outputs."""
        ...

    def step(self, call: Call, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Adds a node on the way to the outputs of `call`, in the way of the graph's opset; returns its output."""
        ...

    def last(self, call: Call, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> Sequence[ir.Value]:
        """Adds the op that gives the outputs of `call`, in the way of the opset unless it is of the same type."""
        ...

    def ints(self, numbers: Sequence[int]) -> ir.Value:
        """A constant int64 vector."""
        ...

    def array(self, array: npt.NDArray[Any], name: str) -> ir.Value:
        """A small constant; equal ones are stored once."""
        ...

    def scalar(self, number: float, like: ir.Value | None) -> ir.Value:
        """A constant number of the dtype of another value (float32 if that isn't known)."""
        ...


Rule = Callable[[Target, Call], Sequence[ir.Value]]
"""How an op is written in an older opset."""
