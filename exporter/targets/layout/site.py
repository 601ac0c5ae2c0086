"""One node of the IR on its way into the ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from exporter.targets.layout.assignment import Layout
from exporter.targets.layout.axes import Order
from exporter.targets.layout.emitter import Emitter, stored_dims
from exporter.targets.layout.roles import Role

__all__ = ["Emit", "Site"]


@dataclass(frozen=True)
class Site:
    """A node, the orders that were chosen for its inputs and outputs, and the graph it goes into."""

    node: ir.Node
    layout: Layout
    emitter: Emitter

    @property
    def role(self) -> Role:
        """What the node demands of the layout."""
        return self.layout.roles[self.node]

    def order_in(self, index: int = 0) -> Order | None:
        """The order in which an input is taken."""
        return self.layout.order_in(self.node, index)

    def order_out(self, index: int = 0) -> Order:
        """The order in which an output is given."""
        return self.layout.order_out(self.node, index)

    def has(self, index: int) -> bool:
        """Whether an input is there."""
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def old(self, index: int) -> ir.Value:
        """An input that is there, in the IR."""
        value = self.node.inputs[index]
        assert value is not None
        return value

    def new(self, index: int) -> ir.Value | None:
        """An input in the ONNX graph, in the order in which the op takes it; None if it is left out."""
        return self.emitter.take(self.node.inputs[index], self.order_in(index)) if self.has(index) else None

    def plain(self, index: int) -> ir.Value | None:
        """An input in the IR's order."""
        if not self.has(index):
            return None
        old = self.old(index)
        return self.emitter.take(old, tuple(range(len(old.shape)) if old.shape is not None else ()))

    def axis(self, axis: int) -> int:
        """Where axis `axis` of the first input is in the order in which that is taken."""
        order = self.order_in() or ()
        return order.index(axis % len(order))

    def attributes(self, *without: str) -> dict[str, Any]:
        """The node's attributes."""
        return {name: attribute for name, attribute in self.node.attributes.items() if name not in without}

    def emit(
        self, op_type: str, inputs: Sequence[ir.Value | None], attributes: Mapping[str, Any] | None = None
    ) -> None:
        """The op that gives this node's outputs, in the orders chosen for them."""
        self.emit_in([self.order_out(i) for i in range(len(self.node.outputs))], op_type, inputs, attributes)

    def emit_in(
        self,
        orders: Sequence[Order],
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """The op that gives this node's outputs, in these orders."""
        olds = self.node.outputs
        specs = [
            (self.emitter.name_for(old, order) if old.name else "", old.dtype, stored_dims(old, order))
            for old, order in zip(olds, orders, strict=True)
        ]
        news = self.emitter.emit(op_type, inputs, attributes or {}, specs, name=self.node.name)
        for old, order, new in zip(olds, orders, news, strict=True):
            self.emitter.give(old, order, new)

    def inner(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any],
        like: ir.Value | None = None,
    ) -> ir.Value:
        """An op on the way to this node's output, with the dtype of `like`, and without a known shape."""
        name = self.emitter.unique(f"{self.node.outputs[0].name}/{op_type.lower()}")
        dtype = self.node.outputs[0].dtype if like is None else like.dtype
        return self.emitter.emit(op_type, inputs, attributes, [(name, dtype, None)])[0]


Emit = Callable[[Site], None]
