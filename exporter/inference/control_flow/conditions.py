"""Conditions of a graph, in all forms TensorFlow has for them, and what becomes of one whose predicate is known.

v1   Switch(data, pred) -> two outputs, of which one is dead; Merge(a, b) passes on what is alive
     _SwitchN(data, index) -> n outputs, of which one is alive; Merge of n
v2   If(pred, args...), StatelessIf: two functions; Case(index, args...), StatelessCase: several
op   Select(pred, a, b), SelectV2: both sides computed, one taken

One on data becomes a SelectV2 of both sides that says which `CONDITION` it is; `branches` lets such ones compute only
the side that is taken, where that matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.inference.control_flow.open_loops import open_loops
from exporter.inference.graph.inline import CALLS, Inliner
from exporter.inference.graph.queries import CONDITION, CONDITIONAL, LOOP_RESULT, LOOP_STATE, MERGES, SWITCHES, loop_of
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.graph.rounds import rounds
from exporter.sources.graph import FunctionCall, Node, Ref

__all__ = [
    "CASES",
    "GUARDED",
    "IFS",
    "SELECTS",
    "Condition",
    "find_conditions",
    "mark_conditional",
    "one_sided",
    "open_switches",
    "original",
    "take",
    "take_both",
]

IFS = frozenset({"If", "StatelessIf"})
CASES = frozenset({"Case", "StatelessCase"})
SELECTS = frozenset({"Select", "SelectV2"})

GUARDED = "on_one_side"
"""The attribute of what reads a TensorArray for one side of a condition alone."""

_TAKEN_BY = "on_a_side_that_is_taken_by"
"""The attribute of a condition on a side of others: the tensors that say whether that side is taken."""

_READS = frozenset({"TensorArrayReadV3", "TensorListGetItem"})

_COPIES = SWITCHES | {"Identity", "StopGradient", "Snapshot"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A place where a predicate chooses.

    Attributes:
        node: The Merge, If, Case or Select.
        predicate: The tensor that decides, behind all copies of it; of a Case the number of its side.
        if_true: What is taken when it is true; None for an If, whose sides are functions, and for a Case.
        if_false: What is taken when it is false.
        sides: Of a Merge of several sides these, in the order of their numbers.
    """

    node: Node
    predicate: Ref
    if_true: Ref | None
    if_false: Ref | None
    sides: tuple[Ref, ...] = ()

    @property
    def is_numbered(self) -> bool:
        """Whether the predicate is the number of a side; one that there isn't means the last."""
        return self.node.op in CASES or bool(self.sides)


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
    # Each tensor carries the set of (predicate, side) under which it is alive. A Merge whose inputs differ in the side
    # of one predicate joins the branches of that condition, and what comes out no longer depends on it.
    alive: dict[str, frozenset[_Token]] = {}
    merges = [_of_merge(rewriter, node, alive) for node in nodes]
    found = [condition for condition in merges if condition is not None]
    for node in nodes:
        if node.op in IFS | CASES:
            found.append(Condition(node, original(rewriter, rewriter.inputs(node)[0]), None, None))
        elif node.op in SELECTS:
            predicate, a, b = rewriter.inputs(node)
            found.append(Condition(node, original(rewriter, predicate), a, b))
    return found


_Predicate = tuple[Ref, bool]
"""What decides, and whether it is the number of a side."""

_Token = tuple[_Predicate, int]
"""A predicate, and the side of it that something is alive on."""


def mark_conditional(rewriter: Rewriter, nodes: Iterable[Node]) -> None:
    """Notes in what comes after a Switch, and isn't merged with the other side yet, that it is `CONDITIONAL`."""
    alive: dict[str, frozenset[_Token]] = {}
    for node in nodes:
        _of_merge(rewriter, node, alive)
        if alive[node.name] and node.op not in SWITCHES:
            rewriter.put(_with(node, CONDITIONAL, True))


def _of_merge(rewriter: Rewriter, node: Node, alive: dict[str, frozenset[_Token]]) -> Condition | None:
    """Notes under which sides a node is alive; the condition, if it is the Merge of one."""
    refs = rewriter.inputs(node)
    if node.op not in MERGES:
        tokens = [_tokens(rewriter, alive, ref) for ref in refs]
        tokens += [alive.get(control, frozenset()) for control in node.controls]
        alive[node.name] = frozenset().union(*tokens) if tokens else frozenset()
        return None
    joined = _join([_tokens(rewriter, alive, ref) for ref in refs])
    alive[node.name] = frozenset() if joined is None else joined[2]
    if joined is None:
        return None
    (predicate, is_numbered), order, _ = joined
    sides = tuple(refs[place] for place in order)
    return Condition(node, predicate, *(None, None, sides) if is_numbered else (sides[1], sides[0]))


def _tokens(rewriter: Rewriter, alive: dict[str, frozenset[_Token]], ref: Ref) -> frozenset[_Token]:
    """Under which sides a tensor is alive: what its node is alive under, and for a Switch the side itself."""
    node = rewriter.node(ref.node)
    base = alive.get(ref.node, frozenset())
    if node.op in SWITCHES:
        return base | {((original(rewriter, rewriter.inputs(node)[1]), node.op == "_SwitchN"), ref.port)}
    return base


def _join(sides: list[frozenset[_Token]]) -> tuple[_Predicate, list[int], frozenset[_Token]] | None:
    """The predicate that sides differ in, their places in the order of their numbers, and what all stay under."""
    if len(sides) < 2:
        return None
    for predicate, _ in sorted(sides[0]):
        numbers = [{number for other, number in side if other == predicate} for side in sides]
        found = [next(iter(own)) for own in numbers if len(own) == 1]
        if len(found) == len(sides) and sorted(found) == list(range(len(sides))):
            order = sorted(range(len(sides)), key=found.__getitem__)
            rest = frozenset(token for side in sides for token in side if token[0] != predicate)
            return predicate, order, rest
    return None


def take(rewriter: Rewriter, inliner: Inliner, condition: Condition, side: int) -> None:
    """Resolves a condition: everything that used it uses the chosen side, of a Case by its number."""
    node = condition.node
    if node.op in IFS | CASES:
        calls = _functions(node)
        chosen_call = calls[side if 0 <= side < len(calls) else -1]
        for port, ref in enumerate(inliner.inline(node, chosen_call, rewriter.inputs(node)[1:])):
            rewriter.redirect(Ref(node.name, port), ref)
        rewriter.put(Node(node.name, "NoOp"))
        return
    sides = condition.sides or (condition.if_false, condition.if_true)
    chosen = sides[side if 0 <= side < len(sides) else -1]
    assert chosen is not None
    rewriter.redirect(Ref(node.name, 0), chosen)
    if node.op in MERGES:
        index = rewriter.inputs(node).index(rewriter.resolve(chosen))
        rewriter.redirect(
            Ref(node.name, 1), rewriter.constant(f"{node.name}/value_index", np.array(index, np.int32), 3)
        )


def _functions(node: Node) -> tuple[FunctionCall, ...]:
    """What an If or a Case calls, by the number of the side; a predicate counts as 0 or 1."""
    if node.op in CASES:
        return tuple(node.attribute("branches", ()))
    return node.attribute("else_branch"), node.attribute("then_branch")


def _with(node: Node, key: str, value: object) -> Node:
    return Node(node.name, node.op, node.inputs, node.controls, {**node.attributes, key: value})


def open_switches(rewriter: Rewriter, nodes: Iterable[Node]) -> None:
    """Lets the tensors that go into branches through a Switch go there directly; only Merges decide from then on."""
    for node in nodes:
        if node.op in SWITCHES:
            data = rewriter.inputs(node)[0]
            for port in range(int(node.attribute("num_outs", 2))):
                rewriter.redirect(Ref(node.name, port), data)


def take_both(rewriter: Rewriter, inliner: Inliner, condition: Condition) -> None:
    """A condition on data becomes a SelectV2 of both sides: the same numbers, since neither has side effects.

    What reads a TensorArray on one side is noted to be `GUARDED`: where the other side is taken, the element that it
    asks for need not be there. Loops are noted to come after the predicate.
    """
    node = condition.node
    if node.op in SELECTS:
        return
    if node.op in IFS | CASES:
        arguments = rewriter.inputs(node)[1:]
        sides = []
        for call in _functions(node):
            before = set(rewriter.added())
            results = inliner.inline(node, call, arguments)
            _open(rewriter, inliner, results)
            for name in rewriter.added():
                if name not in before:
                    rewriter.put(_with(rewriter.node(name), CONDITIONAL, True))
            sides.append(results)
        for port, ref in enumerate(_selected(rewriter, condition, sides)):
            rewriter.redirect(Ref(node.name, port), ref)
        rewriter.put(Node(node.name, "NoOp"))
        return
    two = (condition.if_false, condition.if_true)
    sides = [[ref] for ref in condition.sides or two if ref is not None]
    (selected,) = _selected(rewriter, condition, sides)
    rewriter.redirect(Ref(node.name, 0), selected)


def _selected(rewriter: Rewriter, condition: Condition, sides: Sequence[Sequence[Ref]]) -> list[Ref]:
    """The results of whichever side is taken.

    Args:
        rewriter: The graph.
        condition: What decides.
        sides: The results of each, by its number.
    """
    node = condition.node
    results, others = (
        (list(sides[-1]), range(len(sides) - 2, -1, -1)) if condition.is_numbered else (list(sides[0]), (1,))
    )
    for number in others:
        predicate, then = condition.predicate, sides[number]
        name = str(predicate) if node.op in MERGES else node.name
        if condition.is_numbered:
            wanted = rewriter.constant(f"{node.name}/number", np.array(number, np.int32), 3)
            predicate = rewriter.add(f"{node.name}/is_number", "Equal", (predicate, wanted), T=3)
            name = f"{name}/{number}"
        for nodes in one_sided(rewriter, then, results):
            for reading in nodes:
                if reading.op in _READS:
                    rewriter.put(_with(reading, GUARDED, True))
        _order_loops(rewriter, condition, predicate, then, results)
        results = [
            rewriter.add(f"{node.name}/select", "SelectV2", (predicate, a, b), **{CONDITION: name})
            for a, b in zip(then, results, strict=True)
        ]
    return results


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


def _order_loops(
    rewriter: Rewriter, condition: Condition, predicate: Ref, then: Sequence[Ref], other: Sequence[Ref]
) -> None:
    """Lets the loops of a side come after what says whether it is taken, in whatever loop that is computed.

    The same for what conditions in that side will turn out to hold.
    """
    outer = condition.node.attribute(_TAKEN_BY, ())
    for nodes in one_sided(rewriter, then, other):
        held = [node for node in nodes if node.op == LOOP_RESULT or node.op in IFS | CASES]
        shared = _shared_loops(rewriter, nodes) if held else set()
        for node in held:
            if node.op in IFS | CASES:
                rewriter.put(_with(node, _TAKEN_BY, (*node.attribute(_TAKEN_BY, ()), *outer, predicate)))
            elif loop_of(node) not in shared:
                state = rewriter.producer(node.inputs[0])
                if state.op == LOOP_STATE and loop_of(state) == loop_of(node):
                    before = tuple(dict.fromkeys((*state.inputs[2:], *outer, predicate)))
                    inputs = (*state.inputs[:2], *before)
                    rewriter.put(Node(state.name, state.op, inputs, state.controls, state.attributes))


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
