"""Sequences that end early: which of two tensors a step selects, before a sequence's end and from then on.

`dynamic_rnn` and what is like it write `where(step >= length, old, new)`, and around it what spares steps before the
shortest sequence's end, `step < reduce_min(lengths)`, and those after the longest one's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.ops import is_op

__all__ = ["Choice", "Lengths", "choice_of"]

_COPIES = ("Cast", "Expand", "Identity", "Reshape", "Squeeze", "Tile", "Unsqueeze")
"""What leaves each sequence's truth or number what it is, over more axes or fewer."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A selection: the condition, and what it gives where that is true and where it is false."""

    condition: ir.Value
    true: ir.Value
    false: ir.Value


def choice_of(value: ir.Value) -> Choice | None:
    """The selection that a value is: a `Where`, or a result of an `If`."""
    node = value.producer()
    if is_op(node, "Where"):
        assert node is not None
        condition, true, false = node.inputs
        if condition is None or true is None or false is None:
            return None
        return Choice(condition, true, false)
    if is_op(node, "If"):
        assert node is not None
        condition, place = node.inputs[0], node.outputs.index(value)
        sides = [node.attributes[key].as_graph().outputs[place] for key in ("then_branch", "else_branch")]
        return None if condition is None else Choice(condition, *sides)
    return None


class Lengths:
    """The lengths of the sequences of a loop, as its conditions name them.

    Args:
        is_step: Whether a value is the number of the step.
        is_outside: Whether a value is computed before the loop.

    Attributes:
        value: The lengths [batch], None as long as no condition has named them.
    """

    def __init__(self, is_step: Callable[[ir.Value], bool], is_outside: Callable[[ir.Value], bool]) -> None:
        self._is_step = is_step
        self._is_outside = is_outside
        self.value: ir.Value | None = None

    def truth(self, condition: ir.Value, *, going: bool) -> bool | None:
        """What a condition is while a sequence is going, or after its end; None where that isn't certain.

        KeyError if it is about anything else.
        """
        node = condition.producer()
        while is_op(node, *_COPIES):
            assert node is not None and node.inputs[0] is not None
            node = node.inputs[0].producer()
        if is_op(node, "Not"):
            assert node is not None and node.inputs[0] is not None
            inner = self.truth(node.inputs[0], going=going)
            return None if inner is None else not inner
        if node is None or not is_op(node, "Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
            raise KeyError
        a, b = (_source(operand) for operand in node.inputs)
        if self._is_step(a):
            before, op_type, bound = node.op_type in ("Less", "LessOrEqual"), node.op_type, b
        elif self._is_step(b):
            before, op_type, bound = node.op_type in ("Greater", "GreaterOrEqual"), node.op_type, a
        else:
            raise KeyError
        strict = op_type in ("Less", "Greater")
        if strict != before:  # step <= n, step > n: not what tells a step from those that are over
            raise KeyError
        found = self._bound(bound, going=going)
        return None if found is None else found == before

    def _bound(self, bound: ir.Value, *, going: bool) -> bool | None:
        """Whether the step is below a bound."""
        node = bound.producer()
        reduced = is_op(node, "ReduceMax", "ReduceMin")
        lengths = _source(node.inputs[0]) if reduced and node is not None else bound
        if not self._is_outside(lengths) or constant_array(lengths) is not None:
            raise KeyError
        if self.value is None:
            self.value = lengths
        if self.value is not lengths:
            raise KeyError
        if is_op(node, "ReduceMax"):
            return True if going else None
        if is_op(node, "ReduceMin"):
            return None if going else False
        return going


def _source(value: ir.Value | None) -> ir.Value:
    """What a value is a copy of, in another type or with other axes."""
    assert value is not None
    node = value.producer()
    while is_op(node, *_COPIES):
        assert node is not None and node.inputs[0] is not None
        value = node.inputs[0]
        node = value.producer()
    return value
