"""Ops that work in any layout: which axes of their inputs and outputs are the same axis.

An op has slots 0, 1, 2...; each axis of a tensor that has a layout occupies one. Axes in the same slot are the same:
`Transpose(perm=[0, 3, 1, 2])` has the slots (0, 1, 2, 3) at its input and (0, 3, 1, 2) at its output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.ir.dims import Dim
from exporter.ir.edit import constant_array
from exporter.ir.opset import ops_that
from exporter.targets.layout.reshapes import matched_axes, regrouping

__all__ = ["ELEMENTWISE", "Slots", "Ties", "axes_input", "rank_of", "ties_of"]

Slots = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ties:
    """The slots of each input and output; None for one that is always stored as the IR has it.

    Attributes:
        inputs: One entry for each input of the node.
        outputs: One entry for each output.
        places: Slots of the input and slots of the output that take each other's place: an axis and what it is divided
            into, or the axes that are joined and the one they become.
    """

    inputs: tuple[Slots | None, ...]
    outputs: tuple[Slots | None, ...]
    places: tuple[tuple[Slots, Slots], ...] = ()


def ties_of(node: ir.Node) -> Ties | None:
    """The slots of an op that works in any layout; None for one that doesn't, or of which too little is known."""
    rule = RULES.get(node.op_type)
    if rule is None or any(value is not None and value.shape is None for value in (*node.inputs, *node.outputs)):
        return None
    return rule(node)


def rank_of(value: ir.Value | None) -> int:
    """The rank of a value whose shape is known; 0 for an input that is left out."""
    return 0 if value is None or value.shape is None else len(value.shape)


def axes_input(node: ir.Node, index: int, rank: int) -> list[int] | None:
    """The axes that an op takes as a constant input, counted from the front; None if they aren't constant."""
    value = node.inputs[index] if index < len(node.inputs) else None
    array = constant_array(value)
    return None if array is None else [int(axis) % rank for axis in np.ravel(array)]


def _elementwise(node: ir.Node) -> Ties:
    """Broadcasting: the last axes are the same."""
    rank = rank_of(node.outputs[0])
    slots = tuple(range(rank))
    return Ties(tuple(slots[rank - rank_of(value) :] if value else None for value in node.inputs), (slots,))


def _first_only(node: ir.Node) -> Ties:
    """One tensor in, any number of tensors of the same axes out; further inputs are parameters."""
    slots = tuple(range(rank_of(node.inputs[0])))
    return Ties((slots, *[None] * (len(node.inputs) - 1)), (slots,) * len(node.outputs))


def _concat(node: ir.Node) -> Ties:
    slots = tuple(range(rank_of(node.outputs[0])))
    return Ties((slots,) * len(node.inputs), (slots,))


def _if_constant(*parameters: int) -> Callable[[ir.Node], Ties | None]:
    """As `_first_only`, if the inputs at these places are constant or left out."""

    def rule(node: ir.Node) -> Ties | None:
        given = [node.inputs[i] for i in parameters if i < len(node.inputs)]
        return _first_only(node) if all(v is None or v.is_initializer() for v in given) else None

    return rule


def _without(node: ir.Node, axes: Sequence[int], *, keep: bool) -> Ties:
    """A tensor that loses some axes."""
    slots = tuple(range(rank_of(node.inputs[0])))
    left = slots if keep else tuple(slot for slot in slots if slot not in axes)
    return Ties((slots, *[None] * (len(node.inputs) - 1)), (left,) * len(node.outputs))


def _reduce(node: ir.Node) -> Ties | None:
    rank = rank_of(node.inputs[0])
    axes: Sequence[int] | None = range(rank)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        axes = axes_input(node, 1, rank)
    if not axes:
        return None
    return _without(node, axes, keep=node.attributes.get_int("keepdims", 1) == 1)


def _arg(node: ir.Node) -> Ties:
    axis = (node.attributes.get_int("axis", 0) or 0) % rank_of(node.inputs[0])
    return _without(node, [axis], keep=node.attributes.get_int("keepdims", 1) == 1)


def _gather(node: ir.Node) -> Ties | None:
    """Along one axis, by constant indices in a vector or a single one."""
    indices = node.inputs[1]
    if node.inputs[0] is None or indices is None or not indices.is_initializer() or rank_of(indices) > 1:
        return None
    axis = (node.attributes.get_int("axis", 0) or 0) % rank_of(node.inputs[0])
    return _without(node, [axis], keep=rank_of(indices) == 1)


def _squeeze(node: ir.Node) -> Ties | None:
    axes = axes_input(node, 1, rank_of(node.inputs[0]))
    return None if axes is None else _without(node, axes, keep=False)


def _unsqueeze(node: ir.Node) -> Ties | None:
    rank = rank_of(node.outputs[0])
    axes = axes_input(node, 1, rank)
    if axes is None:
        return None
    slots = tuple(range(rank))
    return Ties((tuple(slot for slot in slots if slot not in axes), None), (slots,))


def _expand(node: ir.Node) -> Ties | None:
    """If the wanted shape has the rank of the result."""
    target, rank = node.inputs[1], rank_of(node.outputs[0])
    if target is None or target.shape is None or len(target.shape) != 1 or target.shape[0] != rank:
        return None
    slots = tuple(range(rank))
    return Ties((slots[rank - rank_of(node.inputs[0]) :], None), (slots,))


def _transpose(node: ir.Node) -> Ties:
    slots = tuple(range(rank_of(node.inputs[0])))
    perm = node.attributes.get_ints("perm", slots[::-1]) or ()
    return Ties((slots,), (tuple(perm),))


def _dense(node: ir.Node) -> Ties | None:
    """Over the last of three to five axes, which a convolution of size 1 does too where the channels come first."""
    if not 3 <= rank_of(node.inputs[0]) <= 5 or node.inputs[1] is None or not node.inputs[1].is_initializer():
        return None
    return _first_only(node)


def _reshape(node: ir.Node) -> Ties | None:
    """If nothing but axes of size 1 come and go, or single axes are divided and others joined."""
    x, y = _dims(node.inputs[0]), _dims(node.outputs[0])
    pairs = matched_axes(x, y)
    parts = regrouping(x, y) if pairs is None and sum(not isinstance(size, int) for size in y) < 2 else None
    if pairs is None and parts is None:
        return None
    slot_of = {j: i for i, j in pairs or [(left[0], right[0]) for left, right in parts or [] if len(left + right) == 2]}
    out = tuple(slot_of.get(j, len(x) + j) for j in range(len(y)))
    places = [(tuple(left), tuple(out[j] for j in right)) for left, right in parts or [] if len(left + right) > 2]
    return Ties((tuple(range(len(x))), *[None] * (len(node.inputs) - 1)), (out,), tuple(places))


def _dims(value: ir.Value | None) -> tuple[Dim, ...]:
    return () if value is None or value.shape is None else tuple(value.shape.dims)


ELEMENTWISE = ops_that(lambda record: record.elementwise is not None)

RULES: dict[str, Callable[[ir.Node], Ties | None]] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(ops_that(lambda record: record.reduces), _reduce),
    **dict.fromkeys(ops_that(lambda record: record.axis is not None), _first_only),
    "ArgMax": _arg,
    "ArgMin": _arg,
    "Concat": _concat,
    "CumSum": _if_constant(1),
    "Dense": _dense,
    "Expand": _expand,
    "Gather": _gather,
    "Pad": _if_constant(3),
    "Reshape": _reshape,
    "Slice": _if_constant(3),
    "Squeeze": _squeeze,
    "Tile": _first_only,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
