"""What the graph says of a loop: its counters, how many steps it makes, which TensorArrays it fills step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx_ir as ir

from exporter.inference.control_flow.nest_loops import all_nodes
from exporter.inference.model import LoopBody, read_inside
from exporter.ir.builder import Builder
from exporter.lower.tf.context import Memory, RefusalError
from exporter.lower.tf.lists import Operand, TensorList, same_number
from exporter.sources.graph import Node, Ref

__all__ = ["Driver", "LoopForm", "Scan"]

_WRITES = {"TensorArrayWriteV3": (3, 1, 2), "TensorListSetItem": (0, 1, 2)}
"""Which inputs of an op that writes an element are the list, the number and the element."""

_PUSHES = {"TensorListPushBack": (0, 1)}
"""Which inputs of an op that appends an element are the list and the element."""

_SUMS = frozenset({"Add", "AddV2"})


class Driver(Protocol):
    """What lowers the nodes around a loop, and those in it."""

    builder: Builder
    memory: Memory

    def operand(self, ref: Ref) -> Operand:
        """What a tensor has become; RefusalError if nothing has."""
        ...

    def known(self, ref: Ref) -> Operand | None:
        """The same, or None."""
        ...

    def compute(
        self, nodes: Sequence[Node], given: Mapping[Ref, Operand], wanted: Sequence[Ref]
    ) -> list[Operand] | None:
        """Lowers nodes once more, where some tensors are others; None if one of the nodes can't be lowered."""
        ...


@dataclass(frozen=True, slots=True)
class Scan:
    """A list that each step adds one element to.

    Attributes:
        item: The tensor that is written.
        nodes: The nodes that only do that.
        grows: Whether writing behind the end makes the list longer.
    """

    item: Ref
    nodes: frozenset[str]
    grows: bool


class LoopForm:
    """A loop before it is lowered.

    Attributes:
        body: What it does in each step.
        made: The nodes of the body by name.
        initial: The loop variables before the first step.
        counters: For each integer that each step adds 1 to (by its place among the loop variables) what it begins with.
        trips: How many steps there are, an int64 scalar, if counters alone say so; may be negative, which is none.
        scans: For each list that a step adds one element to what it adds.
        carried: The other loop variables.
    """

    def __init__(self, driver: Driver, node: Node) -> None:
        self._driver = driver
        self._builder = driver.builder
        self.body: LoopBody = node.attribute("body")
        self.made = {inner.name: inner for inner in self.body.nodes}
        self.initial = [self._initial(ref) for ref in node.inputs]
        self._users = self._all_users()
        places = range(len(self.initial))
        self.counters = {i: start for i in places if (start := self._start(i)) is not None}
        self.trips = self._trips()
        self.scans = {i: scan for i in places if (scan := self._scan(i)) is not None}
        counted = self.counters if self.trips is not None else {}
        self.carried = [i for i in places if i not in self.scans and i not in counted]

    def int64(self, value: ir.Value) -> ir.Value:
        """An integer of one element as an int64 scalar."""
        if self._builder.shape(value) != ():
            value = self._builder.op("Reshape", value, self._builder.constant(np.zeros(0, np.int64)))
        if value.dtype == ir.DataType.INT64:
            return value
        return self._builder.op("Cast", value, to=ir.DataType.INT64.value)

    def starts_at_0(self, index: int) -> bool:
        """Whether a counter is the number of the step."""
        start = self.counters.get(index)
        known = None if start is None else self._builder.elements(start)
        return known is not None and known.dtype != object and not known.any()

    def _initial(self, ref: Ref) -> Operand:
        value = self._driver.operand(ref)
        if isinstance(value, ir.Value) and value.dtype is None:
            raise RefusalError(f"the element type of the loop variable {ref} is not known")
        return value

    def _source(self, ref: Ref) -> Ref:
        """The tensor behind copies that are made in the body."""
        node = self.made.get(ref.node)
        while node is not None and node.op == "Identity":
            ref = node.inputs[0]
            node = self.made.get(ref.node)
        return ref

    def _all_users(self) -> dict[Ref, list[tuple[str, int]]]:
        """What reads each tensor, copies aside: name and position; "following" and "condition" are the loop's own."""
        found: dict[Ref, list[tuple[str, int]]] = {}
        inner = all_nodes(self.body.nodes)
        reads = [(node.name, i, ref) for node in inner for i, ref in enumerate(node.inputs) if node.op != "Identity"]
        reads += [("following", i, ref) for i, ref in enumerate(self.body.following)]
        reads += [("condition", 0, self.body.condition)]
        reads += [("inner", 0, ref) for node in inner for ref in read_inside(node)[1]]
        for name, position, ref in reads:
            found.setdefault(self._source(ref), []).append((name, position))
        for node in inner:
            if node.op == "Identity" and node.name not in self.made:
                found.setdefault(self._source(node.inputs[0]), []).append((node.name, 0))
        return found

    def _number(self, ref: Ref) -> int | bool | None:
        """The value of a scalar that is known before the loop."""
        ref = self._source(ref)
        value = None if ref.node in self.made or ref in self.body.states else self._driver.known(ref)
        known = self._builder.elements(value) if isinstance(value, ir.Value) else None
        if known is None or known.size != 1 or known.dtype == object:
            return None
        number: int | bool = known.reshape(-1)[0].item()
        return number

    def _start(self, index: int) -> ir.Value | None:
        """What an integer that each step adds 1 to begins with."""
        value, node = self.initial[index], self.made.get(self._source(self.body.following[index]).node)
        if not isinstance(value, ir.Value) or value.dtype not in (ir.DataType.INT32, ir.DataType.INT64):
            return None
        if node is None or node.op not in _SUMS or self._builder.shape(value) != ():
            return None
        state = self.body.states[index]
        for position in (0, 1):
            if self._source(node.inputs[position]) == state and self._number(node.inputs[1 - position]) == 1:
                return value
        return None

    def _scan(self, index: int) -> Scan | None:
        """A list that nothing reads in the loop, and that each step writes one element of, the first at 0."""
        held, state = self.initial[index], self.body.states[index]
        users = self._users.get(state, [])
        if not isinstance(held, TensorList) or held.whole is not None or len(users) != 1:
            return None
        node = self.made.get(users[0][0])
        if node is None or self._users.get(Ref(node.name)) != [("following", index)]:
            return None
        if node.op in _PUSHES and users[0][1] == _PUSHES[node.op][0] and held.grows:
            item = node.inputs[_PUSHES[node.op][1]]
        elif node.op in _WRITES and users[0][1] == _WRITES[node.op][0] and self._is_step(node.inputs[1]):
            item = node.inputs[_WRITES[node.op][2]]
        else:
            return None
        copies = {other.name for other in self.body.nodes if self._source(Ref(other.name)) in (state, Ref(node.name))}
        grows = held.grows or bool(node.attribute("resize_if_index_out_of_bounds", False))
        return Scan(item, frozenset({*copies, node.name}), grows)

    def _is_step(self, ref: Ref) -> bool:
        """Whether a number is that of the step, from 0."""
        source = self._source(ref)
        if source not in self.body.states:
            return False
        return self.starts_at_0(self.body.states.index(source))

    def _trips(self) -> ir.Value | None:
        """How many steps there are, an int64 scalar, if counters alone say so."""
        limits = self._limits(self.body.condition)
        if not limits:
            return None
        counts: list[ir.Value] = []
        for start, limit in limits:
            count = self._distance(start, limit)
            if not any(same_number(self._builder, count, other) for other in counts):
                counts.append(count)
        return counts[0] if len(counts) == 1 else self._builder.op("Min", *counts)

    def _limits(self, ref: Ref) -> list[tuple[ir.Value, ir.Value]] | None:
        """Start and end of the counters that are compared; an empty list for what is true, None for anything else."""
        if self._number(ref) is True:
            return []
        node = self.made.get(self._source(ref).node)
        if node is None:
            return None
        if node.op == "LogicalAnd":
            sides = [self._limits(side) for side in node.inputs]
            return None if sides[0] is None or sides[1] is None else [*sides[0], *sides[1]]
        if node.op == "LogicalOr":
            others = [side for side in node.inputs if self._number(side) is not False and not self._is_false(side)]
            return self._limits(others[0]) if len(others) == 1 else None
        return self._compared(node)

    def _is_false(self, ref: Ref) -> bool:
        """A conjunction with something that is known to be false."""
        node = self.made.get(self._source(ref).node)
        return node is not None and node.op == "LogicalAnd" and any(self._number(r) is False for r in node.inputs)

    def _compared(self, node: Node) -> list[tuple[ir.Value, ir.Value]] | None:
        """`counter < limit`, or `limit > counter`."""
        if node.op not in ("Less", "Greater"):
            return None
        pair = [self._source(ref) for ref in (node.inputs if node.op == "Less" else node.inputs[::-1])]
        if pair[0] not in self.body.states or pair[1] in self.body.states or pair[1].node in self.made:
            return None
        start, limit = self.counters.get(self.body.states.index(pair[0])), self._driver.known(pair[1])
        if start is None or not isinstance(limit, ir.Value) or self._builder.shape(limit) not in ((), (1,)):
            return None
        return [(start, limit)]

    def _distance(self, start: ir.Value, limit: ir.Value) -> ir.Value:
        limit = self.int64(limit)
        known = self._builder.elements(start)
        if known is not None and known.dtype != object and not known.any():
            return limit
        return self._builder.op("Sub", limit, self.int64(start))
