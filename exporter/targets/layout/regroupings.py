"""Reshapes in a region that divide or join axes: which layouts they fit, and which axes take the place of which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from exporter.targets.layout.axes import Axes, Axis, Label
from exporter.targets.layout.regions import Free, Region
from exporter.targets.layout.reshapes import regrouped, regrouping
from exporter.targets.layout.roles import Role
from exporter.targets.layout.ties import Ties

__all__ = ["Regroupings"]


class Regroupings:
    """The dividing and joining Reshapes of a region."""

    def __init__(self, axes: Axes, roles: Mapping[ir.Node, Role], region: Region) -> None:
        self._axes = axes
        self._nodes = [node for node in region.members if isinstance(node, ir.Node) and _places(roles, node)]
        self._places: list[tuple[list[Axis], list[Axis]]] = []  # axes that take each other's place, both ways
        for node in self._nodes:
            x, y = node.inputs[0], node.outputs[0]
            parts = regrouping(_dims(x), _dims(y)) if x is not None else None
            for left, right in parts or []:
                if x is not None and len(left) + len(right) > 2:
                    a, b = [axes.of(x)[i] for i in left], [axes.of(y)[j] for j in right]
                    self._places += [(a, b), (b, a)]
        self._set = set(self._nodes)

    def next_to(self, order: Sequence[Axis]) -> list[Axis]:
        """The order with axes added that take the place of some in it: behind an axis what it is divided into."""
        result, given = list(order), set(order)
        for here, there in self._places:
            if given.issuperset(here):
                _insert_behind(result, here, there)
        return result

    def spread(self, order: Sequence[Axis]) -> list[Axis]:
        """The same with axes that take the place of the added ones, and so on."""
        result = list(order)
        pending = self._places
        while pending:
            known = set(result)
            left = [(here, there) for here, there in pending if not known.issuperset(here)]
            if len(left) == len(pending):
                break
            for here, there in pending:
                if known.issuperset(here):
                    _insert_behind(result, here, there)
            pending = left
        return result

    def fit(self, member: Free, label: Label) -> bool:
        """Whether a Reshape needs no Transpose in a layout; true for every other op."""
        if member not in self._set or not isinstance(member, ir.Node) or member.inputs[0] is None:
            return True
        x, y = member.inputs[0], member.outputs[0]
        parts = regrouping(_dims(x), _dims(y))
        order = self._axes.order(y, label)
        return parts is None or regrouped(parts, order) == (self._axes.order(x, label), order)


def _insert_behind(order: list[Axis], here: Sequence[Axis], there: Sequence[Axis]) -> None:
    new = [axis for axis in there if axis not in order]
    place = max(order.index(axis) for axis in here) + 1
    order[place:place] = new


def _places(roles: Mapping[ir.Node, Role], node: ir.Node) -> bool:
    role = roles[node]
    return isinstance(role, Ties) and bool(role.places)


def _dims(value: ir.Value) -> tuple[int | ir.SymbolicDim, ...]:
    return () if value.shape is None else tuple(value.shape.dims)
