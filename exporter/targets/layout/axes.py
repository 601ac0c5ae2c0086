"""Which axes of which tensors are the same axis, so that one order of them can be chosen for a whole region."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

__all__ = ["Axes", "Axis", "Label", "Order", "channels_first", "identity", "moves_only_ones", "sizes_of"]

Axis = int
"""A class of axes that have to be stored in the same place relative to the others."""

Order = tuple[int, ...]
"""How a tensor is stored: its axis `order[j]`, as the IR counts them, is stored as axis j."""

Label = dict[Axis, int]
"""A layout of a region: the place of each axis."""


def identity(rank: int) -> Order:
    """Stored as the IR has it."""
    return tuple(range(rank))


def channels_first(rank: int) -> Order:
    """[N, *space, C] stored as [N, C, *space]."""
    return (0, rank - 1, *range(1, rank - 1))


def moves_only_ones(value: ir.Value, before: Order, after: Order) -> bool:
    """Whether a change of order moves no axes but those of size 1, so that no element moves."""
    shape = value.shape
    return shape is not None and [i for i in before if shape[i] != 1] == [i for i in after if shape[i] != 1]


def sizes_of(value: ir.Value) -> list[int]:
    """The shape of a constant, or of another value of which all sizes are known."""
    return [] if value.shape is None else list(value.shape.numpy())


class Axes:
    """A partition of the axes of tensors into classes; two axes of one tensor are never in the same class."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._tensors: list[set[ir.Value]] = []
        self._axes: dict[ir.Value, tuple[int, ...]] = {}

    def of(self, value: ir.Value) -> tuple[Axis, ...]:
        """The class of each axis of a tensor of known rank."""
        if value not in self._axes:
            rank = 0 if value.shape is None else len(value.shape)
            first = len(self._parent)
            self._axes[value] = tuple(range(first, first + rank))
            self._parent.extend(self._axes[value])
            self._tensors.extend({value} for _ in range(rank))
        return tuple(self._find(axis) for axis in self._axes[value])

    def tie(self, a: Axis, b: Axis) -> bool:
        """Makes two classes one; False if a tensor has an axis in each, so that they can't be."""
        a, b = self._find(a), self._find(b)
        if a == b:
            return True
        if not self._tensors[a].isdisjoint(self._tensors[b]):
            return False
        if len(self._tensors[a]) < len(self._tensors[b]):
            a, b = b, a
        self._tensors[a] |= self._tensors[b]
        self._tensors[b] = set()
        self._parent[b] = a
        return True

    def order(self, value: ir.Value, label: Label) -> Order:
        """How a tensor is stored in a region with this layout."""
        return self.order_of(self.of(value), label)

    @staticmethod
    def order_of(axes: Sequence[Axis], label: Label) -> Order:
        """The same for given classes."""
        return tuple(sorted(range(len(axes)), key=lambda i: label[axes[i]]))

    def _find(self, axis: int) -> int:
        root = axis
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[axis] != root:
            self._parent[axis], axis = root, self._parent[axis]
        return root
