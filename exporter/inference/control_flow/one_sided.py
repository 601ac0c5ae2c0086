"""Lets conditions on data compute only the side that is taken, where computing both could be wrong, or take long.

A condition is first a `SelectV2` of both sides (see `conditions`). What only one side needs, and TensorFlow computes
on that side alone, can go into a branch of an `IF` node; the selections then are what that gives. It has to where a
side holds a loop, which need not end if the other is taken; what may fail on data of the other side; what takes long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.inference.control_flow.nest_loops import all_nodes, sort_names
from exporter.inference.graph.queries import CONDITION, CONDITIONAL, RANDOM_OPS, STEPWISE
from exporter.inference.model import IF, LOOP, Branches, LoopBody, read_inside
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["nest_conditions"]

_DIVISIONS = frozenset({"Div", "FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod"})
"""Ops that fail for an integer of 0."""

_LOOKUPS = frozenset({"Gather", "GatherNd", "GatherV2", "ResourceGather", "ResourceGatherNd"})
"""Ops that fail for an index that isn't there."""

_OF_SOMETHING = frozenset({"ArgMax", "ArgMin", "TopK", "TopKV2"})
"""Ops that fail where there is nothing, or too little, to choose from."""

_LONG = frozenset(
    {
        "CombinedNonMaxSuppression",
        "Conv2D",
        "Conv2DBackpropInput",
        "Conv3D",
        "Conv3DBackpropInputV2",
        "DepthwiseConv2dNative",
        "NonMaxSuppression",
        "NonMaxSuppressionV2",
        "NonMaxSuppressionV3",
        "NonMaxSuppressionV4",
        "NonMaxSuppressionV5",
    }
)
"""Ops that take longer than to ask whether they are needed."""

_MANY_PRODUCTS = 16
_PRODUCTS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul"})

_STAYING = VARIABLE_OPS | {"Const", "ReadVariableOp"}
"""Weights are there in any case."""

_INTEGERS = frozenset({3, 4, 5, 6, 9, 17, 22, 23})


def nest_conditions(
    nodes: Sequence[Node], wanted: Iterable[Ref], *, forced: Collection[str] = frozenset()
) -> list[Node]:
    """The nodes in topological order, with an `IF` for each condition that has to be one, in loops' bodies too.

    Args:
        nodes: In topological order, loops put together.
        wanted: What is needed of them.
        forced: The names of conditions that have to be one, whatever is in them.
    """
    conditions = [node for node in all_nodes(nodes) if CONDITION in node.attributes]
    if not conditions:
        return list(nodes)
    return _Level(nodes, wanted, frozenset(forced)).nested()


@dataclass(frozen=True)
class _Sides:
    """What can go into the branches of a condition: names of nodes, then and otherwise."""

    selections: tuple[Node, ...]
    then: frozenset[str]
    otherwise: frozenset[str]


class _Level:
    """The nodes of a graph, of a step of a loop, or of a branch."""

    def __init__(self, nodes: Sequence[Node], wanted: Iterable[Ref], forced: frozenset[str]) -> None:
        self._forced = forced
        self._roots = [ref.node for ref in wanted]
        self._nodes = {node.name: self._inside(node) for node in nodes}
        self._reads = {name: _reads(node) for name, node in self._nodes.items()}

    def _inside(self, node: Node) -> Node:
        """A loop with the conditions in its body nested."""
        if node.op != LOOP:
            return node
        body: LoopBody = node.attribute("body")
        inner = nest_conditions(body.nodes, (body.condition, *body.following), forced=self._forced)
        attributes = {**node.attributes, "body": replace(body, nodes=tuple(inner))}
        return Node(node.name, node.op, node.inputs, node.controls, attributes)

    def nested(self) -> list[Node]:
        """The nodes, with those that belong into branches there: outer conditions first, as they come last."""
        done: set[str] = set()
        for name in reversed([name for name, node in self._nodes.items() if CONDITION in node.attributes]):
            if name in done or name not in self._nodes:
                continue
            condition = self._nodes[name].attribute(CONDITION)
            group = [node for node in self._nodes.values() if node.attribute(CONDITION) == condition]
            group = [node for node in group if node.name not in done]
            if len(group) > 1 and not self._is_apart(self._sides(group)):
                group = [self._nodes[name]]
            done.update(node.name for node in group)
            sides = self._sides(group)
            if condition in self._forced or self._matters([*sides.then, *sides.otherwise]):
                self._branch(sides)
        return list(self._nodes.values())

    def _is_apart(self, sides: _Sides) -> bool:
        """Whether no way leads from some selections of a condition to others, or what is computed for these."""
        after: set[str] = set()
        selections = {node.name for node in sides.selections}
        inside = sides.then | sides.otherwise
        if selections & inside:
            return False
        for name, reads in self._reads.items():
            if name not in inside and any(read in after or read in selections for read in reads):
                after.add(name)
        return not (after & selections) and not any(read in after for name in inside for read in self._reads[name])

    def _sides(self, selections: Sequence[Node]) -> _Sides:
        uses = Counter(read for reads in self._reads.values() for read in reads)
        uses.update(self._roots)
        results = [[node.inputs[place].node for node in selections] for place in (1, 2)]
        then, otherwise = (self._conditional(self._only_for(names, uses)) for names in results)
        return _Sides(tuple(selections), then, otherwise)

    def _only_for(self, names: Sequence[str], uses: Mapping[str, int]) -> set[str]:
        """The nodes that nothing else needs than these results."""
        left, found = Counter[str](), set[str]()
        pending = list(names)
        while pending:
            name = pending.pop()
            left[name] += 1
            if name in self._nodes and left[name] == uses[name]:
                found.add(name)
                pending += self._reads[name]
        return found

    def _conditional(self, names: set[str]) -> frozenset[str]:
        """Those that TensorFlow computes on one side only, and what follows from these."""
        found: set[str] = set()
        for name, node in self._nodes.items():
            if name not in names or node.op in _STAYING:
                continue
            marked = CONDITIONAL in node.attributes or CONDITION in node.attributes
            if marked or any(read in found for read in self._reads[name]):
                found.add(name)
        return frozenset(found)

    def _matters(self, names: Iterable[str]) -> bool:
        """Whether it matters that nodes aren't computed."""
        inner = all_nodes(self._nodes[name] for name in names)
        if any(node.op in _LONG | {LOOP} | RANDOM_OPS or STEPWISE in node.attributes for node in inner):
            return True
        return sum(node.op in _PRODUCTS for node in inner) > _MANY_PRODUCTS or any(map(self._may_fail, inner))

    def _may_fail(self, node: Node) -> bool:
        if node.op in _OF_SOMETHING:
            return True
        if node.op in _LOOKUPS:
            return not self._is_constant(node.inputs[1])
        if node.op == "StridedSlice":
            return bool(node.attribute("shrink_axis_mask", 0)) and not self._is_constant(node.inputs[1])
        return node.op in _DIVISIONS and node.attribute("T") in _INTEGERS and not self._is_constant(node.inputs[1])

    def _is_constant(self, ref: Ref) -> bool:
        node = self._nodes.get(ref.node)
        return node is not None and node.op == "Const"

    def _branch(self, sides: _Sides) -> None:
        """Puts an `IF` in the place of what goes into it; each selection is a copy of one of its results."""
        selections = sides.selections
        if_true, if_false = (tuple(node.inputs[place] for node in selections) for place in (1, 2))
        then, otherwise = (
            tuple(_Level([node for name, node in self._nodes.items() if name in side], refs, self._forced).nested())
            for side, refs in ((sides.then, if_true), (sides.otherwise, if_false))
        )
        branches = Branches(then, if_true, otherwise, if_false)
        stem = name = f"{selections[0].name}/if"
        count = 0
        while name in self._nodes:
            count += 1
            name = f"{stem}_{count}"
        made = Node(name, IF, selections[0].inputs[:1], (), {"branches": branches})
        copies = {}
        for port, node in enumerate(selections):
            attributes = {key: value for key, value in node.attributes.items() if key != CONDITION}
            copies[node.name] = Node(node.name, "Identity", (Ref(name, port),), (), attributes)
        inside = sides.then | sides.otherwise
        kept = {node.name: node for node in self._nodes.values() if node.name not in inside} | copies | {name: made}
        reads = {
            key: self._reads[key] if key in self._reads and key not in copies else _reads(kept[key]) for key in kept
        }
        order = sort_names({key: [read for read in reads[key] if read in kept] for key in kept})
        self._nodes = {key: kept[key] for key in order}
        self._reads = {key: reads[key] for key in order}


def _reads(node: Node) -> list[str]:
    """The nodes that a node reads, and what is inside of it, which may be there too."""
    return [ref.node for inner in all_nodes([node]) for ref in (*inner.inputs, *read_inside(inner)[1])]
