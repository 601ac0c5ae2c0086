"""Conditions of a graph, in all three forms TensorFlow has for them, and what becomes of one whose predicate is known.

v1   Switch(data, pred) -> two outputs, of which one is dead; Merge(a, b) passes on what is alive
v2   If(pred, args...), StatelessIf: two functions
op   Select(pred, a, b), SelectV2: both sides computed, one taken
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.inference.inline import CALLS, Inliner
from exporter.inference.loops import open_loops
from exporter.inference.markers import LOOP_RESULT, LOOP_STATE, MERGES, SWITCHES, loop_of
from exporter.inference.rewriter import Rewriter
from exporter.inference.rounds import rounds
from exporter.sources.graph import Node, Ref

__all__ = [
    "GUARDED",
    "IFS",
    "SELECTS",
    "Condition",
    "find_conditions",
    "one_sided",
    "open_switches",
    "original",
    "take",
    "take_both",
]

IFS = frozenset({"If", "StatelessIf"})
SELECTS = frozenset({"Select", "SelectV2"})

GUARDED = "on_one_side"
"""The attribute of what reads a TensorArray for one side of a condition alone."""

_TAKEN_IF = "on_a_side_that_is_taken_if"
"""The attribute of a condition on a side of another one: the tensor that says whether that side is taken."""

_READS = frozenset({"TensorArrayReadV3", "TensorListGetItem"})

_COPIES = SWITCHES | {"Identity", "StopGradient", "Snapshot"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A place where a predicate chooses.

    Attributes:
        node: The Merge, If or Select.
        predicate: The tensor that decides, behind all copies of it.
        if_true: What is taken when it is true; None for an If, whose sides are functions.
        if_false: What is taken when it is false.
    """

    node: Node
    predicate: Ref
    if_true: Ref | None
    if_false: Ref | None


def original(rewriter: Rewriter, ref: Ref) -> Ref:
    """The tensor behind copies: identities, switches on the way into a branch."""
    ref = rewriter.resolve(ref)
    node = rewriter.node(ref.node)
    while node.op in _COPIES:
        ref = rewriter.inputs(node)[0]
        node = rewriter.node(ref.node)
    return ref


def find_conditions(rewriter: Rewriter, outputs: Iterable[Ref]) -> list[Condition]:
    """The conditions on the way to these tensors, outer ones after the inner ones they depend on."""
    nodes = rewriter.order(outputs, controls=True)
    return [*_merges(rewriter, nodes), *_others(rewriter, nodes)]


def _others(rewriter: Rewriter, nodes: Iterable[Node]) -> Iterator[Condition]:
    for node in nodes:
        if node.op in IFS:
            yield Condition(node, original(rewriter, rewriter.inputs(node)[0]), None, None)
        elif node.op in SELECTS:
            predicate, a, b = rewriter.inputs(node)
            yield Condition(node, original(rewriter, predicate), a, b)


_Token = tuple[Ref, bool]


def _merges(rewriter: Rewriter, nodes: Iterable[Node]) -> Iterator[Condition]:
    """Every Merge of two branches of one Switch predicate.

    Each tensor carries the set of (predicate, side) under which it is alive. A Merge whose inputs differ in the side of
    one predicate joins the branches of that condition, and what comes out no longer depends on it.
    """
    alive: dict[str, frozenset[_Token]] = {}
    for node in nodes:
        refs = rewriter.inputs(node)
        if node.op in MERGES:
            joined = _join([_tokens(rewriter, alive, ref) for ref in refs])
            if joined is None:
                alive[node.name] = frozenset()
                continue
            predicate, true_side, rest = joined
            alive[node.name] = rest
            yield Condition(node, predicate, refs[true_side], refs[1 - true_side])
        else:
            tokens = [_tokens(rewriter, alive, ref) for ref in refs]
            tokens += [alive.get(control, frozenset()) for control in node.controls]
            alive[node.name] = frozenset().union(*tokens) if tokens else frozenset()


def _tokens(rewriter: Rewriter, alive: dict[str, frozenset[_Token]], ref: Ref) -> frozenset[_Token]:
    """Under which sides a tensor is alive: what its node is alive under, and for a Switch the side itself."""
    node = rewriter.node(ref.node)
    base = alive.get(ref.node, frozenset())
    if node.op in SWITCHES:
        return base | {(original(rewriter, rewriter.inputs(node)[1]), ref.port == 1)}
    return base


def _join(sides: list[frozenset[_Token]]) -> tuple[Ref, int, frozenset[_Token]] | None:
    """The predicate that two sides differ in, which side is the true one, and what both stay under."""
    if len(sides) != 2:
        return None
    first, second = sides
    for predicate, side in sorted(first):
        if (predicate, not side) in second:
            rest = (first | second) - {(predicate, True), (predicate, False)}
            return predicate, 0 if side else 1, rest
    return None


def take(rewriter: Rewriter, inliner: Inliner, condition: Condition, side: bool) -> None:
    """Resolves a condition: everything that used it uses the chosen side."""
    node = condition.node
    if node.op in IFS:
        branch = node.attribute("then_branch" if side else "else_branch")
        for port, ref in enumerate(inliner.inline(node, branch, rewriter.inputs(node)[1:])):
            rewriter.redirect(Ref(node.name, port), ref)
        rewriter.put(Node(node.name, "NoOp"))
        return
    chosen = condition.if_true if side else condition.if_false
    assert chosen is not None
    rewriter.redirect(Ref(node.name, 0), chosen)
    if node.op in MERGES:
        index = rewriter.inputs(node).index(rewriter.resolve(chosen))
        rewriter.redirect(
            Ref(node.name, 1), rewriter.constant(f"{node.name}/value_index", np.array(index, np.int32), 3)
        )


def open_switches(rewriter: Rewriter, nodes: Iterable[Node]) -> None:
    """Lets the tensors that go into branches through a Switch go there directly; only Merges decide from then on."""
    for node in nodes:
        if node.op in SWITCHES:
            data = rewriter.inputs(node)[0]
            rewriter.redirect(Ref(node.name, 0), data)
            rewriter.redirect(Ref(node.name, 1), data)


def take_both(rewriter: Rewriter, inliner: Inliner, condition: Condition) -> None:
    """A condition on data becomes a SelectV2 of both sides: the same numbers, since neither has side effects.

    What reads a TensorArray on one side is noted to be `GUARDED`: where the other side is taken, the element that it
    asks for need not be there. Loops make no step on a side that isn't taken.
    """
    node = condition.node
    if node.op in SELECTS:
        return
    if node.op in IFS:
        arguments = rewriter.inputs(node)[1:]
        then = inliner.inline(node, node.attribute("then_branch"), arguments)
        other = inliner.inline(node, node.attribute("else_branch"), arguments)
        _open(rewriter, inliner, [*then, *other])
        _guard(rewriter, then, other)
        _bound_loops(rewriter, condition, then, other)
        for port, (a, b) in enumerate(zip(then, other, strict=True)):
            selected = rewriter.add(f"{node.name}/select", "SelectV2", (condition.predicate, a, b))
            rewriter.redirect(Ref(node.name, port), selected)
        rewriter.put(Node(node.name, "NoOp"))
        return
    assert condition.if_true is not None
    assert condition.if_false is not None
    _guard(rewriter, [condition.if_true], [condition.if_false])
    _bound_loops(rewriter, condition, [condition.if_true], [condition.if_false])
    operands = (condition.predicate, condition.if_true, condition.if_false)
    rewriter.redirect(Ref(node.name, 0), rewriter.add(f"{node.name}/select", "SelectV2", operands))


def one_sided(rewriter: Rewriter, then: Sequence[Ref], other: Sequence[Ref]) -> tuple[list[Node], list[Node]]:
    """What is computed for the one alone, and what for the other, within one step of the loops around them."""
    sides = [{node.name: node for node in rewriter.order(refs, controls=True)} for refs in (then, other)]
    starts = frozenset(Ref(node.name) for side in sides for node in side.values() if node.op == LOOP_STATE)
    if starts:
        sides = [
            {node.name: node for node in rewriter.order(refs, stop=starts, controls=True)} for refs in (then, other)
        ]
    first, second = sides
    return (
        [node for name, node in first.items() if name not in second],
        [node for name, node in second.items() if name not in first],
    )


def _open(rewriter: Rewriter, inliner: Inliner, refs: list[Ref]) -> None:
    """Opens the calls and loops on the way to these tensors."""
    for _ in rounds("opening the functions of a condition"):
        nodes = rewriter.order(refs, controls=True)
        calls = [node for node in nodes if node.op in CALLS]
        for node in calls:
            inliner.expand(node)
        if not open_loops(rewriter, inliner, nodes) and not calls:
            return


def _bound_loops(rewriter: Rewriter, condition: Condition, then: list[Ref], other: list[Ref]) -> None:
    """Lets the loops of a side make no step where the other side is taken: they need not even end then.

    The same for what conditions in that side will turn out to hold.
    """
    outer = condition.node.attribute(_TAKEN_IF)
    for side, nodes in enumerate(one_sided(rewriter, then, other)):
        bounded = [node for node in nodes if node.op == LOOP_RESULT or node.op in IFS]
        shared = _shared_loops(rewriter, nodes) if bounded else set()
        bounded = [node for node in bounded if node.op in IFS or loop_of(node) not in shared]
        if not bounded:
            continue
        taken = condition.predicate
        if side == 1:
            taken = rewriter.add(f"{taken.node}/not", "LogicalNot", (taken,))
        if outer is not None:
            taken = rewriter.add(f"{taken.node}/and", "LogicalAnd", (outer, taken))
        going: dict[str, Ref] = {}
        for node in bounded:
            if node.op in IFS:
                attributes = {**node.attributes, _TAKEN_IF: taken}
                rewriter.put(Node(node.name, node.op, node.inputs, node.controls, attributes))
                continue
            loop = loop_of(node)
            if loop not in going:
                going[loop] = rewriter.add(f"{loop}/allowed", "LogicalAnd", (node.inputs[1], taken))
            inputs = (node.inputs[0], going[loop])
            rewriter.put(Node(node.name, node.op, inputs, node.controls, node.attributes))


def _shared_loops(rewriter: Rewriter, side: list[Node]) -> set[str]:
    """The loops of which something outside of a side uses a result, too."""
    inside = {node.name for node in side}
    found: set[str] = set()
    for name in dict.fromkeys((*rewriter.graph.nodes, *rewriter.added())):
        if name in inside:
            continue
        for ref in rewriter.inputs(rewriter.node(name)):
            made = rewriter.node(ref.node) if ref.node in rewriter else None
            if made is not None and made.op == LOOP_RESULT and made.name not in inside:
                found.add(loop_of(made))
    return found


def _guard(rewriter: Rewriter, then: list[Ref], other: list[Ref]) -> None:
    for nodes in one_sided(rewriter, then, other):
        for node in nodes:
            if node.op in _READS:
                attributes = {**node.attributes, GUARDED: True}
                rewriter.put(Node(node.name, node.op, node.inputs, node.controls, attributes))
