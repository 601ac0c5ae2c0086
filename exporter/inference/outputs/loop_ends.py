"""Ends of a graph that are only there because a loop is: what it gives and nobody takes, and trial steps before it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from exporter.inference.control_flow.open_loops import COLLECTORS
from exporter.inference.graph.op_types import LAYER_OPS
from exporter.inference.graph.queries import COSMETIC, LOOP_RESULT, LOOP_STATE, behind, loop_of
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.outputs.candidates import End, EndSearch
from exporter.report.decisions import Reason
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["is_counter", "loop_leftovers"]

_FORMS = COSMETIC | COLLECTORS.keys() | {"StridedSlice", "Transpose"}


def loop_leftovers(search: EndSearch, ends: Sequence[End]) -> Iterator[tuple[End, Reason]]:
    """What a loop gives and nothing uses, if something is computed from its other results; and why it is left out.

    If nothing is, its variables, as long as there is something that it gives step by step. Also a step before a loop of
    the layers in it, with which Keras finds out the shape of a step's result. What has been given a name is wanted.
    """
    kept = list(ends)
    for forms in (_FORMS, COSMETIC):
        plain = {end.ref: _loop_behind(search.rewriter, end.ref, forms) for end in kept}
        used: set[str] = set()
        for end in kept:
            if plain[end.ref] is None:
                used |= {loop_of(node) for node in search.rewriter.order([end.ref]) if node.op == LOOP_RESULT}
        unused = [end for end in kept if plain[end.ref] in used and not _is_wanted(search.rewriter, end.ref)]
        yield from ((end, Reason.UNUSED_AFTER_LOOP) for end in unused)
        kept = [end for end in kept if end not in unused]
    if not any(node.op == LOOP_STATE for node in search.rewriter.order(end.ref for end in kept)):
        return
    for end in kept:
        if _is_trial(search.rewriter, end, [other for other in kept if other is not end]):
            yield end, Reason.TRIAL_STEP


def is_counter(search: EndSearch, end: End) -> bool:
    """Whether an end is a number that a loop has counted."""
    return search.ranks.get(end.ref.node) == 0 and _loop_behind(search.rewriter, end.ref, COSMETIC) is not None


def _loop_behind(rewriter: Rewriter, ref: Ref, forms: Collection[str]) -> str | None:
    """The loop that a tensor is a result of, behind ops that give it another form."""
    node = rewriter.producer(ref)
    while node.op in forms:
        node = rewriter.producer(rewriter.inputs(node)[COLLECTORS.get(node.op, 0)])
    return loop_of(node) if node.op == LOOP_RESULT else None


def _is_wanted(rewriter: Rewriter, ref: Ref) -> bool:
    """Whether somebody wants it who wrote the graph.

    It is a copy of what the steps of a loop have made: only who wants it gives it a name of its own. Or a slice of a
    variable of the loop, as of the state with which the next call goes on: layers slice what was collected alone.
    """
    node = rewriter.producer(ref)
    if node.op == "Identity" and node.attribute("loop") is None:
        return rewriter.node(behind(rewriter, ref).node).op in COLLECTORS
    sliced = False
    while node.op in COSMETIC or node.op == "StridedSlice":
        sliced |= node.op == "StridedSlice"
        node = rewriter.producer(rewriter.inputs(node)[0])
    return sliced and node.op == LOOP_RESULT


def _is_trial(rewriter: Rewriter, end: End, others: Sequence[End]) -> bool:
    """Whether all that an end has for itself are layers whose weights are applied in a loop that another end needs."""
    needed = {node.name: node for node in rewriter.order(other.ref for other in others)}
    own = [node for node in rewriter.order([end.ref]) if node.name not in needed]
    layers = [node for node in own if node.op in LAYER_OPS]
    if not layers or any(node.op == LOOP_STATE or node.op in VARIABLE_OPS for node in own):
        return False
    inside = _inside_loops(rewriter, needed.values())
    applied = _weights(rewriter, [node for node in needed.values() if node.op in LAYER_OPS and node.name in inside])
    tried = _weights(rewriter, layers)
    return bool(tried) and tried <= applied


def _weights(rewriter: Rewriter, layers: Iterable[Node]) -> set[str]:
    """The variables among the second operands of layers."""
    refs = [rewriter.inputs(node)[1] for node in layers if len(node.inputs) > 1]
    return {node.name for node in rewriter.order(refs) if node.op in VARIABLE_OPS}


def _inside_loops(rewriter: Rewriter, nodes: Collection[Node]) -> set[str]:
    """What depends on a loop's variables before the loop ends."""
    users: dict[str, list[Node]] = {}
    for node in nodes:
        for ref in rewriter.inputs(node):
            users.setdefault(ref.node, []).append(node)
    found: set[str] = set()
    pending = [node for node in nodes if node.op == LOOP_STATE]
    while pending:
        node = pending.pop()
        if node.name not in found and node.op != LOOP_RESULT:
            found.add(node.name)
            pending += users.get(node.name, [])
    return found
