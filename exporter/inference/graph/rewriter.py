"""Edits on a graph: tensors are redirected and nodes added, what was read is never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.sources.graph import Graph, Node, Ref

__all__ = ["COMPUTED_OPS", "Rewriter"]


_MOST_KEPT = 1_000_000
"""How many nodes of orders are kept, as the same ones are asked for again and again between edits."""


class Rewriter:
    """A graph under edit.

    `redirect(a, b)` makes every use of tensor a mean b from then on; all readers below see that.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._added: dict[str, Node] = {}
        self._redirected: dict[Ref, Ref] = {}
        self._taken: dict[str, int] = {}
        self._orders: dict[tuple[tuple[Ref, ...], frozenset[Ref], bool], list[Node]] = {}
        self._kept = 0

    def __contains__(self, name: str) -> bool:
        return name in self._added or name in self.graph.nodes

    def added(self) -> list[str]:
        """The names of nodes that were added, or put in the place of others."""
        return list(self._added)

    def node(self, name: str) -> Node:
        """A node by name; KeyError if there is none."""
        found = self._added.get(name)
        return self.graph.nodes[name] if found is None else found

    def producer(self, ref: Ref) -> Node:
        """The node that makes a tensor, after all redirections."""
        return self.node(self.resolve(ref).node)

    def resolve(self, ref: Ref) -> Ref:
        """What a tensor means now."""
        if ref not in self._redirected:
            return ref
        end = ref
        while end in self._redirected:
            end = self._redirected[end]
        while ref != end:
            self._redirected[ref], ref = end, self._redirected[ref]
        return end

    def inputs(self, node: Node) -> tuple[Ref, ...]:
        """A node's inputs as they are now."""
        for ref in node.inputs:
            if ref in self._redirected:
                return tuple(map(self.resolve, node.inputs))
        return node.inputs

    def redirect(self, old: Ref, new: Ref) -> None:
        """Lets everything that uses `old` use `new`."""
        new = self.resolve(new)
        if new != old:
            self._redirected[old] = new
            self._forget()

    def add(self, name: str, op: str, inputs: Iterable[Ref] = (), **attributes: Any) -> Ref:
        """A new node, its name made unique with _1, _2, ...; returns its first result."""
        unique = self.free_name(name)
        self._added[unique] = Node(unique, op, tuple(inputs), (), attributes)
        self._forget()
        return Ref(unique)

    def free_name(self, name: str) -> str:
        """The name, or the first of name_1, name_2, ... that no node has; it stays free until a node is added."""
        free, count = name, self._taken.get(name, 0)
        while free in self:
            count += 1
            free = f"{name}_{count}"
        self._taken[name] = max(count - 1, 0)
        return free

    def put(self, node: Node) -> None:
        """A node under its own name, over one of that name that is there."""
        self._added[node.name] = node
        self._forget()

    def _forget(self) -> None:
        """What nodes need may be another after an edit."""
        if self._orders:
            self._orders.clear()
            self._kept = 0

    def constant(self, name: str, array: npt.NDArray[Any], dtype: int) -> Ref:
        """A new `Const` node; `dtype` is TensorFlow's number."""
        return self.add(name, "Const", value=array, dtype=dtype)

    def order(self, refs: Iterable[Ref], *, stop: frozenset[Ref] = frozenset(), controls: bool = False) -> list[Node]:
        """All nodes that tensors need, each after what it needs itself (in a loop: as far as that can be said).

        Args:
            refs: The tensors wanted.
            stop: Tensors that are given: what makes them isn't followed.
            controls: Whether control inputs count as needed.
        """
        starts = tuple(self.resolve(ref) for ref in refs)
        key = (starts, stop, controls)
        if key not in self._orders:
            found = self._ordered(starts, stop, controls)
            self._kept += len(found)
            if self._kept > _MOST_KEPT:
                self._forget()
                self._kept = len(found)
            self._orders[key] = found
        return list(self._orders[key])

    def _ordered(self, starts: tuple[Ref, ...], stop: frozenset[Ref], controls: bool) -> list[Node]:
        done: dict[str, Node] = {}
        entered: set[str] = set()
        pending: list[str | Node] = [ref.node for ref in reversed(starts) if ref not in stop]
        while pending:
            name = pending.pop()
            if isinstance(name, Node):
                done[name.name] = name
            elif name not in entered:
                entered.add(name)
                node = self.node(name)
                needed = [ref.node for ref in self.inputs(node) if ref not in stop]
                if controls:
                    needed += [control for control in node.controls if control in self and Ref(control) not in stop]
                pending.append(node)
                pending.extend(other for other in reversed(needed) if other not in entered)
        return list(done.values())

    def consumers(self, nodes: Iterable[Node]) -> Mapping[Ref, list[tuple[Node, int]]]:
        """For each tensor, which of these nodes use it, and as which input."""
        found: dict[Ref, list[tuple[Node, int]]] = {}
        for node in nodes:
            for position, ref in enumerate(self.inputs(node)):
                found.setdefault(ref, []).append((node, position))
        return found

    def value(self, ref: Ref, depth: int = 32) -> npt.NDArray[Any] | None:
        """The value of a tensor that constants alone determine, by copies, casts, logic, comparisons, arithmetic."""
        node = self.producer(ref)
        if node.op == "Const":
            value = node.attribute("value")
            return None if value is None else np.asarray(value)
        function = _FUNCTIONS.get(node.op)
        if function is None or depth == 0:
            return None
        found = [self.value(other, depth - 1) for other in self.inputs(node)[: _ARITY.get(node.op, 2)]]
        values = [value for value in found if value is not None]
        if len(values) < len(found):
            return None
        if sum(np.size(value) for value in values) > _LARGEST:
            return None
        if any(value.dtype == object for value in values) and node.op not in _OF_ANYTHING:
            return None
        result = function(*values)
        return None if result is None else np.asarray(result)


_LARGEST = 1024

_OF_ANYTHING = frozenset({"Equal", "Identity", "NotEqual", "Snapshot", "StopGradient", "Switch", "_SwitchN"})
"""What is also known of strings."""

_ARITY = {
    "Identity": 1,
    "LogicalNot": 1,
    "Cast": 1,
    "StopGradient": 1,
    "Switch": 1,
    "_SwitchN": 1,
    "Snapshot": 1,
    "ReadVariableOp": 1,
    "Squeeze": 1,
    "ToBool": 1,
}

_FUNCTIONS: dict[str, Any] = {
    "Add": np.add,
    "AddV2": np.add,
    "Cast": lambda a: a,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Identity": lambda a: a,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalAnd": np.logical_and,
    "LogicalNot": np.logical_not,
    "LogicalOr": np.logical_or,
    "Mul": np.multiply,
    "NotEqual": np.not_equal,
    "ReadVariableOp": lambda a: a,
    "RealDiv": lambda a, b: np.divide(a, b) if np.all(b) else None,
    "Snapshot": lambda a: a,
    "Squeeze": np.squeeze,
    "StopGradient": lambda a: a,
    "Sub": np.subtract,
    "Switch": lambda a: a,
    "ToBool": lambda a: a != 0,
    "_SwitchN": lambda a: a,
}

COMPUTED_OPS = frozenset({"Const", *_FUNCTIONS})
"""The ops whose results `Rewriter.value` can tell: copies, casts, logic, comparisons, arithmetic, all elementwise."""
