"""A plan: operators in the order they run, by the names of the values they read and write.

A value may be an array of the bundle, an input of the graph, or the output of an earlier node. A node of an operator
with subgraphs holds them as `Graph`s among its attributes; they see all values of the graphs around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from runtime.budget import Budget
from runtime.errors import FAILURES, NetError, RunError
from runtime.kernels import KERNELS
from runtime.kernels.base import Array, Kernel
from runtime.kernels.control import complete

__all__ = ["Graph", "Node", "See", "execute"]


class Node:
    """One call of an operator.

    Attributes:
        op: The operator, a key of `KERNELS`.
        name: For messages.
        inputs: Names of values; "" for one that is left out.
        outputs: Names of the values made; "" for one that nobody reads.
        attributes: Numbers, strings, lists of them, arrays and `Graph`s.
        kernel: What computes it in the place of the core's, where an engine has said so.
        captures: The values around it that its subgraphs read.
    """

    def __init__(
        self,
        op: str,
        name: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.op = op
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes or {}
        self.kernel: Kernel | None = None
        graphs = [value for value in self.attributes.values() if isinstance(value, Graph)]
        self.captures = tuple(sorted({name for graph in graphs for name in graph.captures}))

    @property
    def reads(self) -> tuple[str, ...]:
        """All values it needs, those of its subgraphs included."""
        return tuple(name for name in (*self.inputs, *self.captures) if name)


class Graph:
    """Nodes with the names of what goes in and what comes out.

    Attributes:
        captures: The values that it reads and doesn't make: weights, and for a subgraph those of the graph around it.
        last_reads: For each node, the values that nobody needs after it.
    """

    def __init__(self, inputs: tuple[str, ...], outputs: tuple[str, ...], nodes: tuple[Node, ...]) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.nodes = nodes
        made = {*inputs, *(name for node in nodes for name in node.outputs)}
        read = {*outputs, *(name for node in nodes for name in node.reads)}
        self.captures = tuple(sorted(read - made))
        self.last_reads = tuple(_last_reads(nodes, made - {"", *outputs}))


def _last_reads(nodes: Sequence[Node], mortal: set[str]) -> list[tuple[str, ...]]:
    left, ends = set(mortal), []
    for node in reversed(nodes):
        ending = left.intersection((*node.reads, *node.outputs))
        left -= ending
        ends.append(tuple(sorted(ending)))
    return ends[::-1]


See = Callable[[Node, "Sequence[Array]"], None]
"""What is told of a run: each node with its results."""


def execute(
    graph: Graph,
    scope: dict[str, Array],
    see: See | None = None,
    budget: Budget | None = None,
) -> None:
    """Runs the nodes on `scope`, which has the inputs and captures, and afterwards also the outputs.

    Args:
        graph: What to run.
        scope: Arrays by name; values are taken out of it after their last use.
        see: Called after each node with its results.
        budget: What it may take; the default is what follows from the arrays in `scope`.

    Raises:
        RunError: A node can't work on what reaches it; the message names the node and the shapes.
    """
    budget = Budget(sum(array.nbytes for array in scope.values())) if budget is None else budget
    held = sum(_own_bytes(scope[name]) for name in graph.inputs)
    for node, ended in zip(graph.nodes, graph.last_reads):
        inputs = [scope[name] if name else None for name in node.inputs]
        results = _call(node, inputs, scope, budget, held)
        held += sum(map(_own_bytes, results))
        scope.update(zip(node.outputs, results))
        if see is not None:
            see(node, results)
        for name in ended:
            held -= _own_bytes(scope.pop(name))


def _own_bytes(array: Array) -> int:
    """The memory of an array that isn't a part of another."""
    return array.nbytes if array.base is None else 0


def _call(
    node: Node, inputs: Sequence[Array | None], scope: Mapping[str, Array], budget: Budget, held: int
) -> tuple[Array, ...]:
    attributes = node.attributes
    if node.captures or any(isinstance(value, Graph) for value in attributes.values()):
        attributes = {key: _bound(value, scope, budget, _scans(node)) for key, value in attributes.items()}
    try:
        budget.check(node.op, inputs, attributes, held)
        results = (node.kernel or KERNELS[node.op])(inputs, attributes)
        results = complete(results, len(node.outputs)) if node.op == "Loop" else results
        if len(results) < len(node.outputs):
            raise ValueError(f"{len(results)} results for {len(node.outputs)} outputs")
        return results
    except NetError:
        raise
    except FAILURES as error:
        shapes = ", ".join("none" if x is None else f"{x.dtype}{list(x.shape)}" for x in inputs)
        reason = str(error) or type(error).__name__
        raise RunError(f"node {node.name!r} ({node.op}) can't work on {shapes}: {reason}"[:2000]) from error


def _scans(node: Node) -> int:
    """From which of its body's outputs on a loop keeps what each step gives."""
    if node.op == "Loop":
        return len(node.inputs) - 1
    return len(node.inputs) - int(node.attributes["num_scan_inputs"]) if node.op == "Scan" else 1 << 31


def _bound(value: Any, scope: Mapping[str, Array], budget: Budget, scans: int) -> Any:
    """A subgraph as a function of its inputs; anything else as it is."""
    return partial(_run_subgraph, value, scope, budget, scans) if isinstance(value, Graph) else value


def _run_subgraph(
    graph: Graph, scope: Mapping[str, Array], budget: Budget, scans: int, *inputs: Array
) -> tuple[Array, ...]:
    budget.step()
    inner = {name: scope[name] for name in graph.captures}
    inner.update(zip(graph.inputs, inputs))
    execute(graph, inner, budget=budget)
    results = tuple(inner[name] for name in graph.outputs)
    budget.keep(sum(array.nbytes for array in results[scans:]))
    return results
