"""An op that is linear in one variable input, with constant weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from exporter.ir.evaluate import Constants
from exporter.passes.affine.refusal import Refused, label

__all__ = ["Weighted", "weighted"]

_FIRST_IS_X = ("Conv", "ConvTranspose", "Dense")
_EITHER = ("Einsum", "MatMul")
_BATCH = "abcdefghij"


@dataclass(frozen=True)
class Weighted:
    """A linear op with its operands told apart.

    Attributes:
        node: The op.
        x: The index of the variable input.
        kernel: The index of the weights.
    """

    node: ir.Node
    x: int
    kernel: int

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return label(self.node)

    @property
    def weights(self) -> ir.Value:
        """The weights' value."""
        value = self.node.inputs[self.kernel]
        assert value is not None
        return value

    def ints(self, name: str) -> list[int]:
        """An attribute that is a list of ints; empty where it is absent."""
        attribute = self.node.attributes.get(name)
        return [] if attribute is None else list(attribute.as_ints())

    @property
    def group(self) -> int:
        """The number of groups of a convolution."""
        return self.node.attributes["group"].as_int() if "group" in self.node.attributes else 1

    @property
    def pads(self) -> bool:
        """Whether a convolution may see zeros around its input."""
        same = "auto_pad" in self.node.attributes and self.node.attributes["auto_pad"].as_string() != "NOTSET"
        shape = self.weights.shape
        taps = 0 if shape is None else prod(size if isinstance(size, int) else 0 for size in shape.dims[:-2])
        return any(self.ints("pads")) or (same and taps != 1)

    @property
    def lookup(self) -> tuple[int, int]:
        """Of a Gather: the axis of the table that is looked up, and by how many axes it is replaced."""
        table, indices = self.node.inputs[0], self.node.inputs[1]
        if table is None or indices is None or table.shape is None or indices.shape is None:
            raise Refused(f"a shape at {self.name} isn't known")
        axis = self.node.attributes["axis"].as_int() if "axis" in self.node.attributes else 0
        return axis % len(table.shape), len(indices.shape)

    def letters(self) -> tuple[str, str, str]:
        """The axes of x, of the weights and of the result as letters; what is summed over isn't in the result."""
        if self.node.op_type == "Einsum":
            equation = self.node.attributes["equation"].as_string().replace(" ", "")
            inputs, arrow, result = equation.partition("->")
            operands = inputs.split(",")
            if "." in equation or not arrow or any(len(set(o)) != len(o) for o in operands):
                raise Refused(f"the equation {equation} of {label(self.node)} is not followed axis by axis")
        else:
            # [..., m, k] times [..., k, n]; an operand of rank 1 has only k
            a, b = _rank(self.node, 0), _rank(self.node, 1)
            batch = _BATCH[: max(a, b, 2) - 2]
            left = "k" if a == 1 else batch[len(batch) - (a - 2) :] + "yk"
            right = "k" if b == 1 else batch[len(batch) - (b - 2) :] + "kz"
            operands, result = [left, right], batch + ("" if a == 1 else "y") + ("" if b == 1 else "z")
        return operands[self.x], operands[self.kernel], result


def weighted(node: ir.Node, constants: Constants) -> Weighted | None:
    """The node as a linear op with constant weights; None if it isn't one, or if more than one input varies."""
    if node.domain not in ("", "channels_last") or node.op_type not in (*_FIRST_IS_X, *_EITHER, "Gather"):
        return None
    given = [i for i, value in enumerate(node.inputs) if value is not None]
    variable = [i for i in given if not constants.is_constant(node.inputs[i])]
    if len(variable) != 1 or len(given) < 2:
        return None
    if node.op_type in _FIRST_IS_X:
        return Weighted(node, 0, 1) if variable == [0] else None
    if node.op_type == "Gather":
        return Weighted(node, 1, 0) if variable == [1] else None
    return Weighted(node, variable[0], 1 - variable[0]) if len(given) == 2 else None


def _rank(node: ir.Node, index: int) -> int:
    value = node.inputs[index]
    if value is None or value.shape is None:
        raise Refused(f"a shape at {label(node)} isn't known")
    return len(value.shape)
