"""Nodes become tasks: a convolution, product or sum takes the additions and activations behind it along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runtime.engine.resolve import Spec
from runtime.plan import Graph, Node

__all__ = ["Tail", "Task", "fuse"]

_LEADERS = frozenset({"Conv", "Dense", "Add", "Mul", "Sub"})
_ACTIVATIONS = frozenset({"Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "HardSwish", "HardSigmoid"})


class Tail(NamedTuple):
    """What is done to a result before it is stored.

    Attributes:
        op: `Add` of another value, an activation, or `Swish`, x * sigmoid(x).
        nodes: What it stands for; the last one has the result.
        other: For `Add`, the value to add.
    """

    op: str
    nodes: tuple[Node, ...]
    other: str = ""


class Task(NamedTuple):
    """One node with its tails: it reads `inputs`, and writes `outputs`, which for one with tails is the last tail's."""

    node: Node
    tails: tuple[Tail, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def fuse(graph: Graph, specs: Mapping[str, Spec]) -> list[Task]:
    """The tasks in the order in which they run; what is known without running isn't among them."""
    fuser = _Fuser(graph, specs)
    placed: list[tuple[int, Task]] = []
    for index, node in enumerate(graph.nodes):
        if index in fuser.taken or all(specs[name].known for name in node.outputs if name):
            continue
        tails, last = fuser.tails(index) if node.op in _LEADERS else ([], index)
        others = tuple(tail.other for tail in tails if tail.other)
        placed.append((last, Task(node, tuple(tails), (*node.reads, *others), graph.nodes[last].outputs)))
    return [task for _, task in sorted(placed, key=lambda entry: entry[0])]


class _Fuser:
    """Finds tails.

    Attributes:
        taken: Numbers of the nodes that are tails already.
    """

    def __init__(self, graph: Graph, specs: Mapping[str, Spec]) -> None:
        self.taken: set[int] = set()
        self._nodes = graph.nodes
        self._specs = specs
        self._readers: defaultdict[str, list[int]] = defaultdict(list)
        for index, node in enumerate(graph.nodes):
            for name in node.reads:
                self._readers[name].append(index)
        self._outputs = set(graph.outputs)

    def tails(self, index: int) -> tuple[list[Tail], int]:
        """The tails of a node, and the number of the last one's node."""
        found: list[Tail] = []
        while True:
            value = self._nodes[index].outputs[0]
            readers = [] if value in self._outputs else self._readers[value]
            tail = self._next(value, readers)
            if tail is None or self.taken.intersection(readers):
                return found, index
            found.append(tail)
            self.taken.update(readers)
            index = readers[-1]

    def _next(self, value: str, readers: Sequence[int]) -> Tail | None:
        """The tail behind a value, if the nodes that read it make one."""
        nodes = tuple(self._nodes[reader] for reader in readers)
        if [node.op for node in nodes] == ["Sigmoid", "Mul"]:
            return self._swish(value, nodes, readers)
        if len(nodes) != 1:
            return None
        (node,) = nodes
        if node.op in _ACTIVATIONS and node.inputs[0] == value and self._known(node.inputs[1:]):
            return Tail(node.op, nodes)
        return self._sum(value, node) if node.op == "Add" else None

    def _swish(self, value: str, nodes: tuple[Node, ...], readers: Sequence[int]) -> Tail | None:
        gate = nodes[0].outputs[0]
        alone = self._readers[gate] == [readers[1]] and gate not in self._outputs
        return Tail("Swish", nodes) if alone and set(nodes[1].inputs) == {value, gate} else None

    def _sum(self, value: str, node: Node) -> Tail | None:
        """Another value of the same shape, of more axes than one, or one known number per channel."""
        other = node.inputs[1] if node.inputs[0] == value else node.inputs[0]
        spec, shape = self._specs[other], self._specs[value].shape
        per_channel = spec.known and spec.shape == shape[-1:] != ()
        same = not spec.known and spec.shape == shape and len(shape) > 1 and other != value
        return Tail("Add", (node,), other) if per_channel or same else None

    def _known(self, names: Sequence[str]) -> bool:
        return all(not name or self._specs[name].known for name in names)
