"""Puts a function's body in place of the call."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.errors import CorruptError, LimitError, MissingError
from exporter.inference.graph.op_types import DATA_SOURCES
from exporter.inference.graph.queries import ASSIGN_OPS, RANDOM_OPS, STEPWISE
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import FunctionBody, FunctionCall, Node, Ref

__all__ = ["CALLS", "STEPWISE_OPS", "Inliner"]

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})

STEPWISE_OPS = ASSIGN_OPS | DATA_SOURCES | RANDOM_OPS
"""Ops that do something else at each step of a loop, whatever they are given."""

_DEEPEST = 64
_FREE_NODES, _PER_NODE = 20_000, 20
"""How many nodes calls may make: some anyway, and more for each node of the graph and of what it calls."""

_CALLED = ("f", "then_branch", "else_branch", "cond", "body", "branches")
"""The attributes that name what a node may call."""


class Inliner:
    """Inlines calls, within bounds that a graph of mutually recursive functions can't pass."""

    def __init__(self, rewriter: Rewriter) -> None:
        self._rewriter = rewriter
        self._depth: dict[str, int] = {}
        self._loops: dict[str, str] = {}
        self._count = 0
        self._distinct = 0
        self._sizes: dict[str, int] = {}

    def inline(
        self, node: Node, function: FunctionCall, arguments: Sequence[Ref], *, loop: str | None = None
    ) -> list[Ref]:
        """Adds the body's nodes under `<node>/<name in the function>`; returns what the function returns.

        Args:
            node: What calls the function.
            function: Its name.
            arguments: What it is given.
            loop: The loop of which the function is a step, where it is one.

        Raises:
            CorruptError: It passes more or fewer arguments than the function takes.
            MissingError: The library hasn't got the function.
            LimitError: Calls nested more than 64 deep, or that would make too many nodes; counted before any is made.
        """
        body = self._rewriter.graph.functions.get(function.name)
        if body is None:
            raise MissingError(f"the graph's library has no function {function.name!r}").within(f"node {node.name}")
        if len(arguments) != len(body.arguments):
            wanted = f"{function.name} takes {len(body.arguments)} arguments, and it gets {len(arguments)}"
            raise CorruptError(wanted).within(f"node {node.name}")
        depth = self._depth.get(node.name, 0) + 1
        size = self._size(function.name)
        most = _FREE_NODES + _PER_NODE * (len(self._rewriter.graph.nodes) + self._distinct)
        if depth > _DEEPEST or self._count + size > most:
            raise LimitError(f"function calls are nested more than {_DEEPEST} deep or grow beyond {most} nodes").within(
                f"node {node.name}"
            )
        self._count += len(body.nodes)
        given = dict(zip(body.arguments, arguments, strict=True))
        return self._copy(node, body, given, depth, loop or self._loops.get(node.name))

    def _size(self, name: str) -> int:
        """How many nodes a function becomes with all that it may call; one that calls itself counts once."""
        functions, pending = self._rewriter.graph.functions, [(name, False)]
        while pending:
            current, done = pending.pop()
            body = functions.get(current)
            if body is None or (current in self._sizes and not done):
                continue
            called = [other for node in body.nodes.values() for other in _called(node)]
            if done:
                self._sizes[current] = len(body.nodes) + sum(self._sizes.get(other, 0) for other in called)
            else:
                self._sizes[current] = 0
                self._distinct += len(body.nodes)
                pending.append((current, True))
                pending.extend((other, False) for other in called)
        return self._sizes.get(name, 0)

    def _copy(
        self, call: Node, body: FunctionBody, arguments: dict[str, Ref], depth: int, loop: str | None
    ) -> list[Ref]:
        names = {name: self._rewriter.free_name(f"{call.name}/{name}") for name in body.nodes}

        def outside(ref: Ref) -> Ref:
            inner = names.get(ref.node)
            return arguments[ref.node] if inner is None else Ref(inner, ref.port)

        for name, node in body.nodes.items():
            inputs = tuple(outside(ref) for ref in node.inputs)
            controls = tuple(names[control] for control in node.controls)
            # a node that does something else at each step knows its loop
            noted = {STEPWISE: loop} if loop is not None and node.op in STEPWISE_OPS else {}
            self._rewriter.put(Node(names[name], node.op, inputs, controls, {**node.attributes, **noted}))
            self._depth[names[name]] = depth
            if loop is not None:
                self._loops[names[name]] = loop
        return [outside(ref) for ref in body.outputs]

    def expand(self, node: Node) -> None:
        """A plain call: its results are the function's."""
        for port, ref in enumerate(self.inline(node, node.attribute("f"), self._rewriter.inputs(node))):
            self._rewriter.redirect(Ref(node.name, port), ref)
        self._rewriter.put(Node(node.name, "NoOp"))


def _called(node: Node) -> list[str]:
    """The functions that a node names, once for each time."""
    found = [node.attributes.get(key) for key in _CALLED]
    calls = [call for entry in found for call in (entry if isinstance(entry, tuple) else (entry,))]
    return [call.name for call in calls if isinstance(call, FunctionCall)]
