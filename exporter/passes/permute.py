"""The same op on a tensor whose axes are in another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.opset import OPS, ops_that, record_of
from exporter.passes.naming import Namer

__all__ = ["Permuted", "is_permutable", "permuted_parameters"]

Permuted = tuple[dict[int, ir.Value], dict[str, Any]]
"""Parameter inputs and attributes that change."""

_Rule = Callable[[ir.Node, Sequence[int], Namer], Permuted | None]


def is_permutable(node: ir.Node) -> bool:
    """Whether there is a rule for an op; its parameters may still not be constant."""
    return node.domain == "" and (record_of(node.op_type).elementwise is not None or node.op_type in _RULES)


def permuted_parameters(node: ir.Node, order: Sequence[int], namer: Namer) -> Permuted | None:
    """What changes in a node if axis a of its data becomes axis order[a]; None if there is no such node.

    The result's axes move in the same way; an op that changes the number of axes is not handled here.
    """
    if node.domain == "" and record_of(node.op_type).elementwise is not None:
        return {}, {}
    rule = _RULES.get(node.op_type) if node.domain == "" else None
    return None if rule is None else rule(node, order, namer)


def _axis(default: int | None) -> _Rule:
    def rule(node: ir.Node, order: Sequence[int], namer: Namer) -> Permuted | None:
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else default
        return None if axis is None else ({}, {"axis": order[axis % len(order)]})

    return rule


def _ints(node: ir.Node, index: int) -> list[int] | None:
    array = constant_array(node.inputs[index]) if index < len(node.inputs) else None
    return None if array is None else [int(i) for i in array.reshape(-1)]


def _is_given(node: ir.Node, index: int) -> bool:
    return index < len(node.inputs) and node.inputs[index] is not None


def _new(node: ir.Node, index: int, array: Any, namer: Namer) -> ir.Value:
    old = node.inputs[index] if index < len(node.inputs) else None
    return namer.constant(f"{node.name}/axes" if old is None else str(old.name), np.asarray(array))


def _reduce(node: ir.Node, order: Sequence[int], namer: Namer) -> Permuted | None:
    if "keepdims" in node.attributes and node.attributes["keepdims"].as_int() != 1:
        return None
    if not _is_given(node, 1):  # all axes
        return {}, {}
    axes = _ints(node, 1)
    if axes is None:
        return None
    moved = sorted(order[axis % len(order)] for axis in axes)
    return {1: _new(node, 1, np.array(moved, np.int64), namer)}, {}


def _slice(node: ir.Node, order: Sequence[int], namer: Namer) -> Permuted | None:
    if not _is_given(node, 3):
        starts = node.inputs[1]
        count = starts.shape[0] if starts is not None and starts.shape is not None else None
        axes: list[int] | None = list(range(count)) if isinstance(count, int) else None
    else:
        axes = _ints(node, 3)
    if axes is None:
        return None
    moved = np.array([order[axis % len(order)] for axis in axes], np.int64)
    return {3: _new(node, 3, moved, namer)}, {}


def _pad(node: ir.Node, order: Sequence[int], namer: Namer) -> Permuted | None:
    pads, rank = _ints(node, 1), len(order)
    axes = _ints(node, 3) if _is_given(node, 3) else list(range(rank))
    if pads is None or axes is None:
        return None
    if _is_given(node, 3):
        moved = np.array([order[axis % rank] for axis in axes], np.int64)
        return {3: _new(node, 3, moved, namer)}, {}
    both = np.zeros((2, rank), np.int64)
    both[:, list(order)] = np.array(pads).reshape(2, rank)
    return {1: _new(node, 1, both.reshape(-1), namer)}, {}


def _per_axis(*indices: int) -> _Rule:
    """Inputs that have an element for each axis."""

    def rule(node: ir.Node, order: Sequence[int], namer: Namer) -> Permuted | None:
        inputs = {}
        for index in indices:
            if not _is_given(node, index):
                continue
            old = constant_array(node.inputs[index])
            if old is None or (old.size and old.size != len(order)):
                return None
            if old.size:
                new = np.empty_like(old)
                new[list(order)] = old
                inputs[index] = _new(node, index, new, namer)
        return inputs, {}

    return rule


def _resize(node: ir.Node, order: Sequence[int], namer: Namer) -> Permuted | None:
    if "axes" in node.attributes or (_is_given(node, 1) and "tf_crop" in str(node.attributes)):
        return None
    return _per_axis(2, 3)(node, order, namer)


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(ops_that(lambda record: record.reduces), _reduce),
    **{name: _axis(record.axis) for name, record in OPS.items() if record.axis is not None},
    "ArgMax": lambda node, order, namer: _axis(0)(node, order, namer) if _keeps(node) else None,
    "ArgMin": lambda node, order, namer: _axis(0)(node, order, namer) if _keeps(node) else None,
    "Concat": _axis(None),
    "Pad": _pad,
    "Resize": _resize,
    "Slice": _slice,
    "Tile": _per_axis(1),
}
"""What has to be made anew of the parameters of ops that have axes, by the names that this pass gives them."""


def _keeps(node: ir.Node) -> bool:
    return "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() == 1
