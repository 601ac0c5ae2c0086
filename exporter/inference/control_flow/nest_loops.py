"""Puts the loops of an opened graph together: each becomes one `Loop` node with the nodes of a step inside.

Inside of a loop is what depends on one of its variables other than by way of the loop's results. A loop of which any
part is inside of another is inside as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from exporter.errors import CorruptError
from exporter.inference.graph.queries import CONDITIONAL, LOOP_RESULT, LOOP_STATE, loop_of
from exporter.inference.model import LOOP, LoopBody, read_inside
from exporter.sources.graph import Node, Ref

__all__ = ["all_nodes", "nest_loops", "sort_names"]

_DEEPEST = 16


def nest_loops(nodes: Sequence[Node], assigned: Mapping[str, tuple[str, ...]]) -> list[Node]:
    """The nodes in topological order, loops as `Loop` nodes; each `LoopResult` is an Identity of a result.

    Args:
        nodes: All that is needed, in an order that is topological but for the cycles of loops.
        assigned: For loops that assign to variables that are needed, which; in their nodes' attribute `assigned`.

    Raises:
        CorruptError: Loops that are neither one after the other nor one in the other, or nested more than 16 deep.
    """
    if not any(node.op == LOOP_STATE for node in nodes):
        return list(nodes)
    return _Nesting(nodes, assigned).level(None)


def all_nodes(nodes: Iterable[Node]) -> list[Node]:
    """These nodes and all that are in the bodies of loops and conditions among them."""
    found = []
    for node in nodes:
        found.append(node)
        found += all_nodes(read_inside(node)[0])
    return found


class _Nesting:
    def __init__(self, nodes: Sequence[Node], assigned: Mapping[str, tuple[str, ...]]) -> None:
        self._assigned = assigned
        self._nodes = {node.name: node for node in nodes}
        self._states: dict[str, list[Node]] = {}
        self._results: dict[str, list[Node]] = {}
        for node in nodes:
            if node.op in (LOOP_STATE, LOOP_RESULT):
                group = self._states if node.op == LOOP_STATE else self._results
                group.setdefault(loop_of(node), []).append(node)
        self._users: dict[str, list[Node]] = {}
        for node in nodes:
            for ref in node.inputs:
                self._users.setdefault(ref.node, []).append(node)
        inside = {loop: self._inside(loop) for loop in self._states}
        self._around = {loop: self._order(loop, states[0].name, inside) for loop, states in self._states.items()}
        self._homes: dict[str, tuple[str, ...]] = {}
        for node in nodes:
            loops = [loop for loop, names in inside.items() if node.name in names]
            self._homes[node.name] = tuple(sorted(loops, key=lambda loop: len(self._around[loop])))
        self._names: dict[str, str] = {}
        for loop in self._states:
            name, count = f"{loop}/loop", 0
            while name in self._nodes:
                count += 1
                name = f"{loop}/loop_{count}"
            self._names[loop] = name

    def _order(self, loop: str, state: str, inside: Mapping[str, set[str]]) -> tuple[str, ...]:
        """The loops that a loop is in."""
        around = tuple(other for other, names in inside.items() if other != loop and state in names)
        if len(around) > _DEEPEST or any(self._states[other][0].name in inside[loop] for other in around):
            raise CorruptError("its frames overlap, or are nested more than 16 deep").within(f"loop {loop}")
        return around

    def _inside(self, loop: str) -> set[str]:
        """What depends on a loop's variables before the loop ends."""
        found: set[str] = set()
        pending = list(self._states[loop])
        while pending:
            node = pending.pop()
            if node.name in found or (node.op == LOOP_RESULT and loop_of(node) == loop):
                continue
            found.add(node.name)
            pending += self._users.get(node.name, [])
            if node.op in (LOOP_STATE, LOOP_RESULT):
                inner = loop_of(node)
                pending += [*self._states.get(inner, []), *self._results.get(inner, [])]
        return found

    def level(self, loop: str | None) -> list[Node]:
        """The nodes at the level of a loop's body, or of the graph; loops at that level as one node each."""
        home: tuple[str, ...] = ()
        own: set[str] = set()  # the level's own variables, at which its cycle ends
        if loop is not None:
            home = (*sorted(self._around[loop], key=lambda other: len(self._around[other])), loop)
            own = {state.name for state in self._states[loop]}
        units: dict[str, str] = {}  # what stands for a node: itself, or the loop of this level that it is in
        for name in self._nodes:
            loops = self._homes[name]
            if loops[: len(home)] == home:
                units[name] = self._names[loops[len(home)]] if len(loops) > len(home) else name
        needs: dict[str, dict[str, None]] = {unit: {} for unit in units.values()}
        for name, unit in units.items():
            for ref in self._nodes[name].inputs if name not in own else ():
                other = units.get(ref.node)
                if other is not None and other != unit:
                    needs[unit][other] = None
        return [self._made(unit) for unit in sort_names(needs) if unit not in own]

    def _made(self, name: str) -> Node:
        node = self._nodes.get(name)
        if node is None:
            return self._loop(next(loop for loop, unit in self._names.items() if unit == name))
        if node.op != LOOP_RESULT:
            return node
        state = self._nodes.get(node.inputs[0].node)
        if state is None or state.op != LOOP_STATE or loop_of(state) != loop_of(node):
            return Node(node.name, "Identity", node.inputs[:1], (), node.attributes)
        port = self._states[loop_of(node)].index(state)
        return Node(node.name, "Identity", (Ref(self._names[loop_of(node)], port),), (), node.attributes)

    def _loop(self, loop: str) -> Node:
        states = self._states[loop]
        conditions = dict.fromkeys(node.inputs[1] for node in self._results.get(loop, ()))
        if len(conditions) != 1:
            raise CorruptError("it has no condition, or several").within(f"loop {loop}")
        following = tuple(state.inputs[1] for state in states)
        body = LoopBody(
            tuple(Ref(state.name) for state in states), tuple(self.level(loop)), next(iter(conditions)), following
        )
        inputs = tuple(state.inputs[0] for state in states)
        attributes = {"body": body, "assigned": self._assigned.get(loop, ())}
        ends = [self._nodes[body.condition.node]] if body.condition.node in self._nodes else []
        if any(CONDITIONAL in node.attributes for node in (*states, *ends)):
            attributes[CONDITIONAL] = True
        return Node(self._names[loop], LOOP, inputs, (), attributes)


def sort_names(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Each after what it needs, otherwise in the order given."""
    done: dict[str, None] = {}
    entered: set[str] = set()
    for start in needs:
        pending = [(start, False)]
        while pending:
            name, finished = pending.pop()
            if finished:
                done[name] = None
            elif name not in entered:
                entered.add(name)
                pending.append((name, True))
                pending += [(other, False) for other in reversed(list(needs[name])) if other not in entered]
    return list(done)
