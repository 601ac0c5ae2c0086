"""Regions: ops that work in any layout, connected through the tensors between them.

What is around a region wants certain of its tensors in certain orders.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from exporter.targets.layout.axes import Order, identity
from exporter.targets.layout.roles import Fixed, Role, captured
from exporter.targets.layout.ties import rank_of

__all__ = ["End", "Free", "Region", "Tensor", "regions_of"]

Free = ir.Node | ir.Value
"""What takes the layout of its region: an op, or a graph input that may change its shape."""

End = Free | Order | None
"""One end of a tensor: free, or bound to an order, or content with any."""


@dataclass
class Tensor:
    """A tensor of a region: where it comes from and where it goes."""

    value: ir.Value
    producer: End = None
    users: list[End] = field(default_factory=list)

    @property
    def ends(self) -> list[End]:
        """The producer and the users."""
        return [self.producer, *self.users]

    @property
    def free_ends(self) -> list[Free]:
        """Those whose layout is not fixed."""
        return [end for end in self.ends if isinstance(end, ir.Node | ir.Value)]


@dataclass
class Region:
    """Free nodes and inputs that tensors connect, and those tensors; one layout holds for all of it."""

    members: list[Free] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)


def regions_of(graph: ir.Graph, roles: dict[ir.Node, Role], free_inputs: list[ir.Value]) -> list[Region]:
    """The regions of a graph, in the order of their first tensors."""
    tensors = _tensors(graph, roles, free_inputs)
    touching: dict[Free, list[Tensor]] = {}
    for tensor in tensors:
        for end in tensor.free_ends:
            touching.setdefault(end, []).append(tensor)
    seen: set[Free] = set()
    regions = []
    for start in touching:
        if start in seen:
            continue
        region = Region()
        connected: dict[ir.Value, Tensor] = {}
        pending = [start]
        seen.add(start)
        while pending:
            member = pending.pop()
            region.members.append(member)
            for tensor in touching[member]:
                if tensor.value not in connected:
                    connected[tensor.value] = tensor
                    new = [end for end in dict.fromkeys(tensor.free_ends) if end not in seen]
                    seen.update(new)
                    pending.extend(new)
        region.tensors.extend(connected.values())
        regions.append(region)
    return regions


def _tensors(graph: ir.Graph, roles: dict[ir.Node, Role], free_inputs: list[ir.Value]) -> list[Tensor]:
    tensors: dict[ir.Value, Tensor] = {}

    def of(value: ir.Value) -> Tensor:
        if value not in tensors:
            tensors[value] = Tensor(value, producer=identity(rank_of(value)))
        return tensors[value]

    for value in graph.inputs:
        of(value).producer = value if value in free_inputs else identity(rank_of(value))
    for node in graph:
        role = roles[node]
        for x, want in zip(node.inputs, role.inputs, strict=True):
            if x is not None and not x.is_initializer():
                of(x).users.append(_end(node, role, want, x))
        for outer in captured(node):
            of(outer).users.append(identity(rank_of(outer)))
        for output, want in zip(node.outputs, role.outputs, strict=True):
            of(output).producer = _end(node, role, want, output)
    for value in graph.outputs:
        of(value).users.append(identity(rank_of(value)))
    return list(tensors.values())


def _end(node: ir.Node, role: Role, want: Order | None, value: ir.Value) -> End:
    if isinstance(role, Fixed):
        return want
    return identity(rank_of(value)) if want is None else node
