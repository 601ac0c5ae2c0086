"""While loops of both forms, opened: every loop becomes plain nodes in the graph around it, with two ops for its cycle.

v1   Enter, Merge, Switch, LoopCond, NextIteration, Exit
v2   While(args..., cond, body), StatelessWhile: two functions

`LoopState(initial, next)` is a loop variable at the start of a step, `LoopResult(state, condition)` what it is after
the last one. Both name their loop. So all stages see the inside of a loop as they see everything else; what doesn't
depend on a loop variable is outside of the loop; and what nobody needs of a loop (gradients' stacks, for one) is gone.
`nesting` puts the loops together again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from exporter.inference.graph.inline import STEPWISE_OPS, Inliner
from exporter.inference.graph.queries import LOOP_RESULT, LOOP_STATE, MERGES, STEPWISE, SWITCHES
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Graph, Node, Ref

__all__ = ["COLLECTORS", "WHILES", "open_loops", "with_open_loops"]

WHILES = frozenset({"While", "StatelessWhile"})
COLLECTORS = {
    "TensorArrayConcatV3": 1,
    "TensorArrayGatherV2": 2,
    "TensorArrayGatherV3": 2,
    "TensorListConcatV2": 0,
    "TensorListStack": 0,
}
"""Ops that hand out what the steps of a loop have made, and which of their inputs that is."""

_ENTERS = frozenset({"Enter", "RefEnter"})
_COPIES = _ENTERS | {"LoopCond"}
_EXITS = frozenset({"Exit", "RefExit"})
_ENDS = frozenset({"NextIteration", "RefNextIteration"})


def with_open_loops(graph: Graph) -> tuple[Graph, Mapping[Ref, Ref]]:
    """A graph with its loops opened, and which tensors of it stand for the results of `While` nodes.

    Functions that aren't called from the graph itself stay as they are.
    """
    rewriter = Rewriter(graph)
    results: dict[Ref, Ref] = {}
    inliner = Inliner(rewriter)
    nodes = list(graph)
    while open_loops(rewriter, inliner, nodes, results):
        nodes = [node for name in rewriter.added() if (node := rewriter.node(name)).op in WHILES]
    if not rewriter.added():
        return graph, {}
    names = dict.fromkeys((*graph.nodes, *rewriter.added()))
    plain = (rewriter.node(name) for name in names)
    opened = {n.name: Node(n.name, n.op, rewriter.inputs(n), n.controls, n.attributes) for n in plain}
    aliases = {old: rewriter.resolve(new) for old, new in results.items()}
    for node in graph:
        if node.op == "Identity" and node.inputs[0] in aliases:
            attributes = {**node.attributes, "loop": node.inputs[0].node}
            opened[node.name] = Node(node.name, node.op, opened[node.name].inputs, node.controls, attributes)
    return Graph(opened, graph.functions, graph.collections), aliases


def open_loops(
    rewriter: Rewriter, inliner: Inliner, nodes: Iterable[Node], results: dict[Ref, Ref] | None = None
) -> bool:
    """Opens all loops among these nodes, but for those inside functions that a `While` calls; whether there were any.

    Args:
        rewriter: The graph.
        inliner: Inlines the functions.
        nodes: Where to look.
        results: Is given the tensors that stand for the results of `While` nodes.
    """
    found = list(nodes)
    whiles = [node for node in found if node.op in WHILES and _has_functions(rewriter, node)]
    for node in whiles:
        results = {} if results is None else results
        results.update(_open_while(rewriter, inliner, node))
    frames = _Frames(rewriter, found) if any(node.op == "LoopCond" for node in found) else None
    if frames is None or not frames.loops:
        return bool(whiles)
    frames.mark_stepwise()
    frames.open()
    return True


def _has_functions(rewriter: Rewriter, node: Node) -> bool:
    return all(getattr(node.attribute(key), "name", None) in rewriter.graph.functions for key in ("cond", "body"))


def _open_while(rewriter: Rewriter, inliner: Inliner, node: Node) -> dict[Ref, Ref]:
    """A `While` node gives way to its functions' nodes; it stays as a node without meaning."""
    initial = rewriter.inputs(node)
    types = node.attribute("T", ())
    states = [rewriter.add(f"{node.name}/state_{i}", "NoOp") for i in range(len(initial))]
    following = inliner.inline(node, node.attribute("body"), states, loop=node.name)
    (condition,) = inliner.inline(node, node.attribute("cond"), states, loop=node.name)
    results: dict[Ref, Ref] = {}
    for port, (state, before, after) in enumerate(zip(states, initial, following, strict=True)):
        attributes = {"loop": node.name, "T": types[port] if port < len(types) else None, "of_while": True}
        rewriter.put(Node(state.node, LOOP_STATE, (before, after), (), attributes))
        result = rewriter.add(f"{node.name}/result_{port}", LOOP_RESULT, (state, condition), **attributes)
        results[Ref(node.name, port)] = result
        rewriter.redirect(Ref(node.name, port), result)
        _pass_invariant(rewriter, state, result)
    rewriter.put(Node(node.name, "NoOp"))
    return results


def _pass_invariant(rewriter: Rewriter, state: Ref, result: Ref) -> None:
    """A loop variable that no step changes is what it was before."""
    before, after = rewriter.inputs(rewriter.node(state.node))
    while rewriter.node(after.node).op == "Identity":
        after = rewriter.inputs(rewriter.node(after.node))[0]
    if after == state:
        rewriter.redirect(state, before)
        rewriter.redirect(result, before)


class _Frames:
    """The frames among some nodes.

    Attributes:
        loops: For each Merge that starts a step the name of its loop.
    """

    def __init__(self, rewriter: Rewriter, nodes: Sequence[Node]) -> None:
        self._rewriter = rewriter
        self._nodes = nodes
        self._conditions: dict[str, Ref] = {}
        self.loops: dict[str, str] = {}
        merges = {node.name: node for node in nodes if node.op in MERGES and self._end(node) is not None}
        frames = self._frames = dict[object, str]()
        conditions = [node.name for node in nodes if node.op == "LoopCond"]
        # a loop is called as its scope, where no other LoopCond is in that
        scopes = Counter(name.rpartition("/")[0] for name in conditions)
        names = {}
        for name in conditions:
            scope = name.rpartition("/")[0]
            names[name] = scope if scope and scopes[scope] == 1 else name
        for node in nodes:
            condition = self._loop_condition(node)
            merge = rewriter.producer(rewriter.inputs(node)[0]) if condition is not None else None
            if condition is not None and merge is not None and merge.name in merges:
                loop = self.loops[merge.name] = names[condition.name]
                self._conditions[loop] = rewriter.inputs(condition)[0]
                frames[self._frame(merge)] = loop
        for merge in merges.values():
            if merge.name not in self.loops and self._frame(merge) in frames:
                self.loops[merge.name] = frames[self._frame(merge)]

    def _loop_condition(self, node: Node) -> Node | None:
        """The LoopCond that a Switch obeys."""
        if node.op not in SWITCHES:
            return None
        condition = self._rewriter.producer(self._rewriter.inputs(node)[1])
        return condition if condition.op == "LoopCond" else None

    def _end(self, merge: Node) -> int | None:
        """Which input of a Merge comes from the step before."""
        ends = [i for i, ref in enumerate(self._rewriter.inputs(merge)) if self._rewriter.producer(ref).op in _ENDS]
        return ends[0] if len(ends) == 1 and len(merge.inputs) == 2 else None

    def _frame(self, merge: Node) -> object:
        end = self._end(merge)
        assert end is not None
        return self._rewriter.producer(self._rewriter.inputs(merge)[1 - end]).attribute("frame_name")

    def mark_stepwise(self) -> None:
        """Notes the loop in what does something else at each step and may depend on no loop variable."""
        inside = self._inside()
        for node in self._nodes:
            if node.op in STEPWISE_OPS and node.name in inside:
                attributes = {**node.attributes, STEPWISE: inside[node.name]}
                self._rewriter.put(Node(node.name, node.op, node.inputs, node.controls, attributes))

    def _inside(self) -> dict[str, str]:
        """The loop, or one around it, of what runs in a frame: all that comes after its start, by values or order."""
        users: dict[str, list[Node]] = {}
        for node in self._nodes:
            for name in (*(ref.node for ref in self._rewriter.inputs(node)), *node.controls):
                users.setdefault(name, []).append(node)
        entered = {n.name: self._frames.get(n.attribute("frame_name")) for n in self._nodes if n.op in _ENTERS}
        found = {name: loop for name, loop in entered.items() if loop is not None} | self.loops
        pending = list(found)
        while pending:
            name = pending.pop()
            for user in users.get(name, ()):
                if user.name not in found and user.op not in _EXITS:
                    found[user.name] = found[name]
                    pending.append(user.name)
        return found

    def open(self) -> None:
        """Writes the loops as `LoopState` and `LoopResult`."""
        rewriter, invariant = self._rewriter, []
        for node in self._nodes:
            if node.op in _EXITS:
                switch = rewriter.producer(rewriter.inputs(node)[0])
                variable = rewriter.resolve(switch.inputs[0]) if switch.op in SWITCHES else None
                if variable is not None and variable.node in self.loops:
                    loop = self.loops[variable.node]
                    attributes = {**node.attributes, "loop": loop}
                    inputs = (variable, self._conditions[loop])
                    rewriter.put(Node(node.name, LOOP_RESULT, inputs, node.controls, attributes))
        for node in self._nodes:
            if node.name in self.loops:
                end = self._end(node)
                assert end is not None
                before, last = node.inputs[1 - end], rewriter.producer(node.inputs[end])
                attributes = {**node.attributes, "loop": self.loops[node.name]}
                rewriter.put(Node(node.name, LOOP_STATE, (before, *last.inputs), node.controls, attributes))
                rewriter.put(Node(last.name, "NoOp"))
                invariant.append(Ref(node.name))
        for node in self._nodes:
            if self._loop_condition(node) is not None:
                attributes = {**node.attributes, "loop": self.loops.get(self._rewriter.inputs(node)[0].node)}
                rewriter.put(Node(node.name, "Identity", node.inputs[:1], node.controls, attributes))
                rewriter.redirect(Ref(node.name, 1), Ref(node.name))
        for node in self._nodes:
            if node.op in _COPIES:
                noted = {"loop": node.name} if node.op == "LoopCond" else {}
                rewriter.put(Node(node.name, "Identity", node.inputs, node.controls, {**node.attributes, **noted}))
        exits = {rewriter.inputs(n)[0]: n for n in map(self._now, self._nodes) if n.op == LOOP_RESULT}
        for state in invariant:
            result = exits.get(state)
            _pass_invariant(rewriter, state, Ref(result.name) if result is not None else state)

    def _now(self, node: Node) -> Node:
        return self._rewriter.node(node.name)
