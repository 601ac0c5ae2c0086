"""Loops as ONNX's `Loop`.

A condition that compares a counter with a number known before the loop becomes the number of steps, and the counter
that of the step. A TensorArray that each step writes at its own number becomes what the steps give, stacked; other loop
variables are handed on from step to step, TensorArrays as one tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from exporter.inference.control_flow.nest_loops import all_nodes
from exporter.inference.model import read_inside
from exporter.ir.dims import UNKNOWN, Dims, same_dim, to_shape
from exporter.lower.loop_form import Driver, LoopForm
from exporter.lower.tf.context import RefusalError
from exporter.lower.tf.list_ops import list_of
from exporter.lower.tf.lists import Operand, TensorList, merged_dims, padded, same_number, tensor_of
from exporter.sources.graph import Node

__all__ = ["lower_loop"]

_ATTEMPTS = 8


def lower_loop(driver: Driver, node: Node) -> tuple[Operand, ...] | None:
    """The loop variables after the last step; None if a node of the body can't be lowered.

    Raises:
        RefusalError: The loop itself can't be said in ONNX.
    """
    return _Loop(driver, node).lower()


@dataclass(frozen=True, slots=True)
class _Step:
    """A lowered body: the loop variables after it, of scans the elements."""

    graph: ir.Graph
    following: list[Operand]


class _Loop:
    def __init__(self, driver: Driver, node: Node) -> None:
        self.driver = driver
        self.builder = driver.builder
        self.node = node
        self.form = form = LoopForm(driver, node)
        self.body, self.trips, self.carried, self.scans = form.body, form.trips, form.carried, form.scans
        self.initial = [self._opened(value) for value in form.initial]
        self.dims = [self.builder.shape(value) if isinstance(value, ir.Value) else None for value in self.initial]

    def _opened(self, value: Operand) -> Operand:
        """A state to begin with; for as many samples as there are where the batch was written down in it."""
        batch = self.driver.memory.batch
        if batch is None or not isinstance(value, ir.Value):
            return value
        return batch.state(self.builder, value)

    def lower(self) -> tuple[Operand, ...] | None:
        """Lowers the body until the shapes of the loop variables are those of every step."""
        assigned = self.node.attribute("assigned", ())
        if assigned:
            raise RefusalError(f"it assigns to {', '.join(assigned)}, which the model reads")
        going = self.builder.constant(np.array(True))
        if self.trips is None:
            first = self._condition(self.initial)
            if first is None:
                return None
            going = self.builder.op("Reshape", first, self.builder.constant(np.zeros(0, np.int64)))
        for _ in range(_ATTEMPTS):
            step = self._step()
            if step is None:
                return None
            if not self._widen(step.following):
                break
            self.builder.discard(step.graph)
        else:
            raise RefusalError("the shapes of its loop variables change from step to step")
        return self._finish(going, step)

    def _condition(self, states: Sequence[Operand]) -> ir.Value | None:
        """Whether there is a step, from the loop variables before it."""
        nodes = self._needed_for_condition()
        given = dict(zip(self.body.states, states, strict=True))
        found = self.driver.compute(nodes, given, [self.body.condition])
        if found is None:
            return None
        assert isinstance(found[0], ir.Value)
        return found[0]

    def _needed_for_condition(self) -> list[Node]:
        needed: set[str] = set()
        pending = [self.body.condition.node]
        while pending:
            node = self.form.made.get(pending.pop())
            if node is not None and node.name not in needed:
                needed.add(node.name)
                inner = all_nodes([node])
                pending += [ref.node for other in inner for ref in other.inputs]
                pending += [ref.node for other in inner for ref in read_inside(other)[1]]
        return [node for node in self.body.nodes if node.name in needed]

    def _step(self) -> _Step | None:
        """The body on variables of the shapes that `initial` has."""
        with self.builder.body(f"{self.node.name}/body") as graph, self.builder.source(self.node.name):
            number = self.builder.body_input(f"{self.node.name}/step", ir.DataType.INT64, ())
            going = self.builder.body_input(f"{self.node.name}/going", ir.DataType.BOOL, ())
            states = [self._state(index, number) for index in range(len(self.initial))]
            given = dict(zip(self.body.states, states, strict=True))
            left_out = frozenset[str]().union(*(scan.nodes for scan in self.scans.values()))
            nodes = [node for node in self.body.nodes if node.name not in left_out]
            wanted = [self.scans[i].item if i in self.scans else ref for i, ref in enumerate(self.body.following)]
            following = self.driver.compute(nodes, given, wanted)
            if following is None:
                return None
            if self.trips is None:
                after = [states[i] if i in self.scans else value for i, value in enumerate(following)]
                next_going = self._condition(after)
                if next_going is None:
                    return None
                going = self.builder.op("Reshape", next_going, self.builder.constant(np.zeros(0, np.int64)))
            items = [following[i] for i in self.scans]
            if any(isinstance(item, TensorList) for item in items):
                raise RefusalError("it puts a TensorArray into another one")
            handed = [self._handed_on(following[i]) for i in self.carried]
            self.builder.body_outputs([going, *handed, *(item for item in items if isinstance(item, ir.Value))])
        return _Step(graph, following)

    def _handed_on(self, value: Operand) -> ir.Value:
        return tensor_of(self.builder, value) if isinstance(value, TensorList) else value

    def _state(self, index: int, number: ir.Value) -> Operand:
        """A loop variable at the start of a step."""
        before = self.initial[index]
        if index in self.scans:
            return before
        if index not in self.carried:
            return self._counted(index, number)
        name = f"{self.body.states[index]}/before"
        if isinstance(before, ir.Value):
            return self.builder.body_input(name, before.dtype, self.dims[index])
        if before.grows:
            dims = None if before.element is None else (UNKNOWN, *before.element)
            return self._list_of(before, self.builder.body_input(name, before.dtype, dims))
        whole = None if before.whole is None else self.builder.shape(before.whole)
        dims = whole if before.element is None or whole is not None else (UNKNOWN, *before.element)
        return replace(before, whole=self.builder.body_input(name, before.dtype, dims))

    def _list_of(self, held: TensorList, whole: ir.Value) -> TensorList:
        """A list whose elements are now these; one that grows is as long as there are."""
        if not held.grows:
            return replace(held, whole=whole)
        return replace(list_of(self.builder, whole), element=held.element, grows=True)

    def _counted(self, index: int, number: ir.Value) -> ir.Value:
        """A counter from the number of the step."""
        start = self.form.counters[index]
        assert start.dtype is not None
        if not self.form.starts_at_0(index):
            number = self.builder.op("Add", number, self.form.int64(start))
        if start.dtype == ir.DataType.INT64:
            return number
        return self.builder.op("Cast", number, to=start.dtype.value)

    def _widen(self, following: Sequence[Operand]) -> bool:
        """Lets `initial` be what is true of the variables before every step; whether that was news."""
        news = False
        for index in self.carried:
            before, after = self.initial[index], following[index]
            if isinstance(before, TensorList) != isinstance(after, TensorList):
                raise RefusalError("a TensorArray becomes a tensor, or a tensor a TensorArray, from step to step")
            if isinstance(before, TensorList) and isinstance(after, TensorList):
                grows = before.grows or after.grows
                if not grows and not same_number(self.builder, after.size, before.size):
                    raise RefusalError("a TensorArray changes its size, and can't grow")
                element = merged_dims(before.element, after.element)
                news |= grows != before.grows or (before.whole is None and element != before.element)
                self.initial[index] = replace(before, element=element, grows=grows)
            elif isinstance(before, ir.Value) and isinstance(after, ir.Value):
                if before.dtype != after.dtype:
                    raise RefusalError(f"the loop variable {self.body.states[index]} changes its element type")
                common = _common(self.dims[index], self.builder.shape(after))
                news |= common != self.dims[index]
                self.dims[index] = common
        return news

    def _finish(self, going: ir.Value, step: _Step) -> tuple[Operand, ...]:
        """The node and what its results stand for."""
        initial = [self._handed_on(self.initial[i]) for i in self.carried]
        values = self.builder.loop(self.trips, going, initial, step.graph)
        results: dict[int, Operand] = {}
        for index, value in zip(self.carried, values, strict=False):
            before = self.initial[index]
            results[index] = self._list_of(before, value) if isinstance(before, TensorList) else value
        for index, value in zip(self.scans, values[len(self.carried) :], strict=True):
            results[index] = self._scanned(index, value)
        for index in self.form.counters:
            if index not in results:
                results[index] = self._after(index)
        return tuple(results[index] for index in range(len(self.initial)))

    def _scanned(self, index: int, value: ir.Value) -> TensorList:
        """What the steps gave, as a list of its size."""
        held = self.initial[index]
        assert isinstance(held, TensorList)
        dims = self.builder.shape(value)
        element = merged_dims(held.element, None if dims is None else dims[1:])
        value = self._of_any_count(value, element)
        if self.scans[index].grows:
            size = self.builder.elements(held.size)
            if size is None or size.dtype == object or size.any():
                value = padded(self.builder, replace(held, grows=True), value)
            return replace(list_of(self.builder, value), element=element, grows=True)
        if self.trips is None or not same_number(self.builder, self.trips, held.size):
            value = padded(self.builder, held, value)
        return replace(held, element=element, whole=value)

    def _of_any_count(self, value: ir.Value, element: Dims | None) -> ir.Value:
        """What the steps gave, in its shape even where there was no step to tell it, if that is known otherwise."""
        count = None if self.trips is None else self.builder.elements(self.trips)
        number = None if count is None or count.size != 1 else count.reshape(-1)[0]
        first = number if isinstance(number, ir.SymbolicDim) else UNKNOWN if number is None else max(int(number), 0)
        if element is None:
            return value
        sizes = [self.builder.size(dim) for dim in element]
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes) and not (isinstance(first, int) and first > 0):
            value.shape = to_shape((UNKNOWN,) * (1 + len(element)))
            steps = self.builder.op("Shape", value, start=0, end=1)
            value = self.builder.op("Reshape", value, self.builder.op("Concat", steps, *known, axis=0))
        value.shape = to_shape((first, *element))
        return value

    def _after(self, index: int) -> ir.Value:
        """A counter after the last step."""
        assert self.trips is not None
        start = self.form.counters[index]
        assert start.dtype is not None
        steps = self.builder.op("Max", self.trips, self.builder.constant(np.array(0, np.int64)))
        end = self.builder.op("Add", self.form.int64(start), steps)
        return end if start.dtype == ir.DataType.INT64 else self.builder.op("Cast", end, to=start.dtype.value)


def _common(a: Dims | None, b: Dims | None) -> Dims | None:
    """What is true of both shapes; the first itself where that is it."""
    if a is None or b is None or len(a) != len(b):
        return None
    pairs = list(zip(a, b, strict=True))
    return tuple(p if same_dim(p, q) or _is_open(p) else UNKNOWN for p, q in pairs)


def _is_open(dim: object) -> bool:
    return isinstance(dim, ir.SymbolicDim) and dim.value is None
