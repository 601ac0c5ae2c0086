"""Training flags: what decides between training and inference is found by what hangs on it, and set to inference.

The side of a condition on which something of training is computed, and not on the other, is the training side: batch
statistics, random numbers, assignments. The flag may be a placeholder, with or without a default, a variable, or a
constant; it may be read through `not`, `equal` and the like; and it may be the wrong way round (`is_test`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from exporter.formats.dtypes import dtype_of
from exporter.formats.records import Array
from exporter.inference.control_flow.conditions import (
    IFS,
    SELECTS,
    Condition,
    find_conditions,
    one_sided,
    open_switches,
    original,
    take,
)
from exporter.inference.control_flow.open_loops import open_loops
from exporter.inference.findings import Findings
from exporter.inference.graph.inline import CALLS, Inliner
from exporter.inference.graph.op_types import PLACEHOLDERS
from exporter.inference.graph.queries import BOOL, LOOP_STATE, MERGES, RANDOM_OPS, SWITCHES, over_batch, training_op
from exporter.inference.graph.rewriter import COMPUTED_OPS, Rewriter
from exporter.inference.graph.rounds import rounds
from exporter.report.decisions import Details, Reason
from exporter.sources.graph import FunctionCall, Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["resolve_flags"]


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Something of training: what it is, and the node."""

    what: str
    node: str


_MOST_FLAGS = 4

_FLAG_SOURCES = PLACEHOLDERS | VARIABLE_OPS | {"Const"}


def resolve_flags(rewriter: Rewriter, inliner: Inliner, outputs: list[Ref], findings: Findings) -> None:
    """Inlines calls and resolves every condition that is known, or known to be about training, until none is left."""
    for _ in rounds("resolving the graph's flags"):
        calls = [node for node in rewriter.order(outputs) if node.op in CALLS]
        for node in calls:
            inliner.expand(node)
        loops = open_loops(rewriter, inliner, rewriter.order(outputs, controls=True))
        conditions = find_conditions(rewriter, outputs)
        resolved = [c for c in conditions if _resolve_known(rewriter, inliner, c)]
        if calls or loops or resolved:
            continue
        if not _decide_one(rewriter, conditions, findings):
            return


def _resolve_known(rewriter: Rewriter, inliner: Inliner, condition: Condition) -> bool:
    value = rewriter.value(condition.predicate)
    if value is None or value.size != 1:
        return False
    if rewriter.resolve(Ref(condition.node.name)).node != condition.node.name:
        return False
    if condition.node.op in MERGES:
        # the Switches of this predicate let through, wherever they are on the way to the Merge
        sides = [side for side in (condition.if_true, condition.if_false, *condition.sides) if side is not None]
        switches = [node for node in rewriter.order(sides, controls=True) if node.op in SWITCHES]
        predicates = {node.name: original(rewriter, rewriter.inputs(node)[1]) for node in switches}
        open_switches(rewriter, [node for node in switches if predicates[node.name] == condition.predicate])
    take(rewriter, inliner, condition, int(value.item()) if condition.is_numbered else int(bool(value)))
    return True


def _decide_one(rewriter: Rewriter, conditions: list[Condition], findings: Findings) -> bool:
    """Sets the outermost predicate that is a training flag; False if there is none."""
    for condition in reversed(conditions):
        sources = _sources(rewriter, condition)
        if not 0 < len(sources) <= _MOST_FLAGS:
            continue
        evidence = _inference_side(rewriter, condition)
        if evidence is not None:
            _set(rewriter, condition, sources, evidence[0], evidence[1], findings)
            return True
    for condition in conditions:  # one that nothing of training hangs on, but that has a default
        sources = _sources(rewriter, condition)
        if len(sources) == 1 and sources[0].op == "PlaceholderWithDefault":
            given = rewriter.inputs(sources[0])[0]
            default = rewriter.value(given)
            if default is not None:
                rewriter.redirect(Ref(sources[0].name), given)
                findings.decide("flag", sources[0].name, default.item(), Reason.UNTRAINED_DEFAULT)
                return True
    return False


def _sources(rewriter: Rewriter, condition: Condition) -> list[Node]:
    """What a predicate depends on, if all of it can be flags: scalar placeholders, variables and constants.

    A random mask is chosen by, element by element, with a rate that is no flag; nor is what its shape depends on.
    """
    nodes = rewriter.order([condition.predicate])
    drawn = frozenset(Ref(node.name) for node in nodes if node.op in RANDOM_OPS)
    if drawn and condition.node.op in SELECTS:
        nodes = rewriter.order([condition.predicate], stop=drawn)
    leaves = [node for node in nodes if not rewriter.inputs(node) or _has_default(node)]
    branches = condition.node.op not in SELECTS and all(n.op in COMPUTED_OPS for n in nodes if n not in leaves)
    sources = [node for node in leaves if node.op in _FLAG_SOURCES and _is_scalar(node, of_scalar=branches)]
    defaults = {ref for node in leaves if _has_default(node) for ref in rewriter.inputs(node)}
    others = [node for node in leaves if node not in sources and node.op != "Const"]
    if any(Ref(node.name) not in defaults for node in others):
        return []
    found = [node for node in sources if node.op != "Const"]
    masked = drawn and condition.node.op in SELECTS and any(node.attribute("dtype") != BOOL for node in found)
    return [] if masked else found


def _has_default(node: Node) -> bool:
    return node.op == "PlaceholderWithDefault"


def _is_scalar(node: Node, *, of_scalar: bool) -> bool:
    """Whether it is one number, by its shape; `of_scalar`: what chooses a branch is computed from it elementwise."""
    shape = node.attribute("shape")
    if node.op == "Const":
        return bool(np.size(node.attribute("value")) == 1)
    if shape is None:
        return of_scalar or bool(node.attribute("dtype") == BOOL)
    return shape in ((), (1,))


def _inference_side(rewriter: Rewriter, condition: Condition) -> tuple[bool, _Evidence] | None:
    """Which side is inference, and what shows it; None where neither side, or both, have something of training."""
    if condition.is_numbered:
        return None
    if condition.node.op in IFS:
        then, other = (_branch(rewriter, condition.node, name) for name in ("then_branch", "else_branch"))
        true_side, false_side = _without(then, other), _without(other, then)
    else:
        assert condition.if_true is not None
        assert condition.if_false is not None
        true_side, false_side = one_sided(rewriter, [condition.if_true], [condition.if_false])
    on_true, on_false = _evidence(rewriter, true_side), _evidence(rewriter, false_side)
    if on_true and not on_false:
        return False, on_true
    if on_false and not on_true:
        return True, on_false
    return None


def _without(nodes: Mapping[str, Node], others: Mapping[str, Node]) -> list[Node]:
    return [node for name, node in nodes.items() if name not in others]


def _branch(rewriter: Rewriter, node: Node, branch: str) -> dict[str, Node]:
    """What an If computes on one side: its function, and what the arguments come from that this side returns."""
    call = node.attribute(branch)
    body = rewriter.graph.functions.get(call.name)
    if body is None:
        return {}
    arguments = dict(zip(body.arguments, rewriter.inputs(node)[1:], strict=False))
    pending, seen = [ref.node for ref in body.outputs], set[str]()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += [ref.node for ref in body.nodes[name].inputs] if name in body.nodes else []
    given = [arguments[name] for name in arguments if name in seen]
    inner = {f"{node.name}/{branch}/{inner.name}": inner for inner in _body(rewriter, call)}
    starts = frozenset(Ref(outer.name) for outer in rewriter.order(given, controls=True) if outer.op == LOOP_STATE)
    return inner | {outer.name: outer for outer in rewriter.order(given, stop=starts, controls=True)}


def _body(rewriter: Rewriter, call: FunctionCall, depth: int = 8) -> list[Node]:
    """The nodes of a function and of those it calls."""
    body = rewriter.graph.functions.get(call.name)
    if body is None or depth == 0:
        return []
    nodes = list(body.nodes.values())
    for node in body.nodes.values():
        for name in ("f", "then_branch", "else_branch"):
            inner = node.attribute(name) if node.op in CALLS | IFS else None
            if isinstance(inner, FunctionCall):
                nodes += _body(rewriter, inner, depth - 1)
    return nodes


def _evidence(rewriter: Rewriter, nodes: Iterable[Node]) -> _Evidence | None:
    """Something of training among these nodes."""
    for node in nodes:
        found = training_op(node)
        if found is not None:
            return _Evidence(found, node.name)
    for node in nodes:
        if node.op == "SquaredDifference" or (
            node.op == "Mean" and node.name in rewriter and over_batch(rewriter, node)
        ):
            return _Evidence("moments of the batch are taken", node.name)
    return None


def _set(
    rewriter: Rewriter, condition: Condition, sources: list[Node], side: bool, found: _Evidence, findings: Findings
) -> None:
    """Gives the flags the values that put the predicate on the inference side; failing that, sets the predicate."""
    details: Details = {"side": not side, "evidence": found.what, "node": found.node}
    for values in itertools.product(*(_choices(rewriter, source) for source in sources)):
        for source, value in zip(sources, values, strict=True):
            attributes = {"value": value, "dtype": source.attribute("dtype", BOOL)}
            rewriter.put(Node(source.name, "Const", (), (), attributes))
        result = rewriter.value(condition.predicate)
        if result is not None and result.size == 1 and bool(result) == side:
            for source, value in zip(sources, values, strict=True):
                findings.decide("flag", source.name, value.item(), Reason.TRAINING_SIDE, **details)
            return
    for source in sources:
        rewriter.put(source)
    rewriter.redirect(condition.predicate, rewriter.constant(f"{condition.predicate.node}/set", np.array(side), BOOL))
    findings.decide("flag", str(condition.predicate), side, Reason.TRAINING_SIDE, **details)


def _choices(rewriter: Rewriter, source: Node) -> list[Array]:
    """Values to try for a flag: its default if it has one, false, true."""
    dtype = dtype_of(source.attribute("dtype", BOOL))
    kind = dtype if dtype.kind in "biuf" else np.dtype(np.int32)
    shape = tuple(size or 1 for size in source.attribute("shape") or ())
    default = rewriter.value(rewriter.inputs(source)[0]) if _has_default(source) else None
    both = [np.full(shape, value, kind) for value in (0, 1)]
    return both if default is None or not default.any() else both[::-1]
