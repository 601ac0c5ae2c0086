"""Chooses a layout for each region of a graph so that the fewest Transposes are left on the borders.

If one layout gives everything around a region what it wants, the region takes it. Otherwise its members begin with one
of the layouts that are wanted, and each of these in turn spreads as far as that saves Transposes. With two layouts,
which is usual, the result is the best there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from exporter.targets.layout.axes import Axes, Axis, Label, Order, identity
from exporter.targets.layout.candidates import candidates
from exporter.targets.layout.expansion import expand
from exporter.targets.layout.features import Features
from exporter.targets.layout.regions import Free, Region, regions_of
from exporter.targets.layout.regroupings import Regroupings
from exporter.targets.layout.roles import Fixed, Role, rigid, role_of
from exporter.targets.layout.ties import ELEMENTWISE, Ties, rank_of

__all__ = ["Layout", "choose_layout"]


@dataclass
class Layout:
    """The order in which each op takes its inputs and gives its outputs."""

    axes: Axes
    features: Features
    roles: dict[ir.Node, Role]
    labels: dict[Free, Label]

    def order_in(self, node: ir.Node, index: int) -> Order | None:
        """The order in which an input is taken; None if any will do."""
        role, value = self.roles[node], node.inputs[index]
        if isinstance(role, Fixed):
            return role.inputs[index]
        return self._order(node, value) if role.inputs[index] is not None else identity(rank_of(value))

    def order_out(self, node: ir.Node, index: int) -> Order:
        """The order in which an output is given."""
        role = self.roles[node]
        if isinstance(role, Fixed):
            return role.outputs[index]
        value = node.outputs[index]
        return self._order(node, value) if role.outputs[index] is not None else identity(rank_of(value))

    def order_of_input(self, value: ir.Value) -> Order:
        """The order in which a graph input is given."""
        return self._order(value, value) if value in self.labels else identity(rank_of(value))

    def _order(self, end: Free, value: ir.Value | None) -> Order:
        return () if value is None else self.axes.order(value, self.labels[end])


def choose_layout(graph: ir.Graph, *, free_inputs: bool) -> Layout:
    """Chooses the order of every tensor of a graph.

    Args:
        graph: A channels-last graph, or a subgraph; what it uses from around it is there in the IR's order.
        free_inputs: Whether inputs of rank 3 and more may be given in another order than the IR has.
    """
    axes, features = Axes(), Features()
    roles: dict[ir.Node, Role] = {}
    for node in graph:
        role = role_of(node, features)
        # an op on a constant, which has no layout; those that broadcast take it in the order of others
        x = node.inputs[0] if node.inputs and node.op_type not in {*ELEMENTWISE, "Concat", "Expand", "Tile"} else None
        of_constant = x is not None and x.is_initializer()
        if isinstance(role, Ties) and (of_constant or not _tie(axes, node, role)):
            role = rigid(node)
        roles[node] = role
    layout = Layout(axes, features, roles, {})
    free = [value for value in graph.inputs if free_inputs and rank_of(value) > 2]
    for region in regions_of(graph, roles, free):
        _assign(layout, region)
    return layout


def _tie(axes: Axes, node: ir.Node, ties: Ties) -> bool:
    """Makes the axes in each slot one; False if a tensor has two of them."""
    first: dict[int, Axis] = {}
    pairs = [*zip(node.inputs, ties.inputs, strict=True), *zip(node.outputs, ties.outputs, strict=True)]
    for value, slots in pairs:
        if value is None or slots is None or value.is_initializer():
            continue
        for slot, axis in zip(slots, axes.of(value), strict=True):
            if not axes.tie(first.setdefault(slot, axis), axis):
                return False
    return True


def _assign(layout: Layout, region: Region) -> None:
    """Gives each member of a region a layout.

    All begin with the channels first, where that is wanted, so that what can't be is as little as possible: a Transpose
    stands at the border of the network, if it is all the same where.
    """
    regroupings = Regroupings(layout.axes, layout.roles, region)
    wanted = candidates(layout.axes, region, regroupings)
    start = wanted[-1] if wanted[-1].channels_first else wanted[0]
    fallbacks = [start, *wanted]
    for member in region.members:
        fitting = (candidate for candidate in fallbacks if regroupings.fit(member, candidate.label))
        layout.labels[member] = next(fitting, start).label
    for candidate in [*wanted, *wanted] if len(wanted) > 2 else wanted:
        better = expand(layout.axes, region, regroupings, layout.labels, candidate.label) if len(wanted) > 1 else ()
        layout.labels.update((member, candidate.label) for member in better)
