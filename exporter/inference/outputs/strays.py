"""Ends of a forward computation that are no results: statistics, images to be looked at, layers nobody trains, pieces.

What only losses read is a result as a whole: several pieces of one tensor give way to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from exporter.inference.graph.op_types import LAYER_OPS
from exporter.inference.graph.queries import (
    ASSIGN_OPS,
    COSMETIC,
    FUSED_BATCH_NORMS,
    MERGES,
    MOMENTS,
    SWITCHES,
    behind,
    over_batch,
    variable_behind,
)
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.outputs.candidates import PARTS, End, EndSearch
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["after_scores", "copies", "dead_ends", "joined_pieces", "judged_by", "shown_images", "statistics_ends"]

_SUMS = frozenset({"Add", "AddV2", "Sub", "AddN", "Neg"})
_PRODUCTS = frozenset({"Mul", "RealDiv", "Div", "DivNoNan", "Square", "SquaredDifference"})
_OF_STATISTICS = (
    _SUMS | _PRODUCTS | MERGES | SWITCHES | COSMETIC | {"Maximum", "Minimum", "Rsqrt", "Sqrt", "Select", "SelectV2"}
)
"""What moving averages are made of, whether or not the assignments are still there."""

_DISPLAY = _SUMS | _PRODUCTS | {"Cast", "ClipByValue", "Floor", "Identity", "Maximum", "Minimum", "Round", "Rint"}
"""What makes a picture of numbers."""

_SCREENS = (4, 17)
"""TensorFlow's type numbers of uint8 and uint16."""

_KERNEL_OPS = LAYER_OPS - FUSED_BATCH_NORMS - {"BiasAdd", "BiasAddV1"}

_VIEWS = COSMETIC - {"Identity", "Cast", "StopGradient", "Snapshot"}

_TRIED = 200


def statistics_ends(search: EndSearch, ends: Iterable[End]) -> list[End]:
    """Ends that are made of the batch's means and variances alone: they get into moving averages, or did once."""
    rewriter = search.rewriter
    known: dict[str, bool | None] = {}  # whether all data come by way of a statistic; None if there are none
    found = []
    for end in ends:
        ref = rewriter.resolve(end.ref)
        for node in rewriter.order([ref]):
            if node.name not in known:
                known[node.name] = _judged(rewriter, node, known)
        if known[ref.node] or (rewriter.node(ref.node).op in FUSED_BATCH_NORMS and ref.port in (1, 2)):
            found.append(end)
    return found


def _judged(rewriter: Rewriter, node: Node, known: dict[str, bool | None]) -> bool | None:
    if node.op in VARIABLE_OPS | {"Const"}:
        return None
    if node.op in MOMENTS and over_batch(rewriter, node):
        return True
    inputs = rewriter.inputs(node)
    found = [
        True if rewriter.node(ref.node).op in FUSED_BATCH_NORMS and ref.port in (1, 2) else known.get(ref.node, False)
        for ref in (inputs[:1] if node.op in SWITCHES else inputs)
    ]
    if any(item is False for item in found) or not found:
        return False
    if all(item is None for item in found):
        return None
    return node.op in _OF_STATISTICS


def shown_images(search: EndSearch, ends: Iterable[End]) -> dict[End, Ref]:
    """Ends that turn a result into bytes to be looked at, and the result, which other layers use as numbers."""
    found: dict[End, Ref] = {}
    for end in ends:
        node = search.rewriter.node(end.ref.node)
        if node.op != "Cast" or node.attribute("DstT") not in _SCREENS:
            continue
        while node.op in _DISPLAY:
            inputs = search.rewriter.inputs(node)
            weighted = [ref for ref in inputs if ref.node in search.weighted]
            if len(weighted) != 1 or any(variable_behind(search.rewriter, ref) for ref in inputs):
                break
            before = search.rewriter.node(weighted[0].node)
            others = [user for user in search.by_node.get(before.name, ()) if user.name != node.name]
            if any(_computes(search, user) for user in others):
                found[end] = weighted[0]
                break
            node = before
    return found


def _computes(search: EndSearch, user: Node) -> bool:
    """Whether layers come of it, as where a second network judges what the first has made."""
    seen, pending = set[str](), [user]
    while pending:
        node = pending.pop()
        if node.name in seen or node.name not in search.weighted or node.name in search.watching.only:
            continue
        if node.op in LAYER_OPS:
            return True
        seen.add(node.name)
        pending += search.by_node.get(node.name, ())
    return False


def dead_ends(search: EndSearch, ends: Iterable[End]) -> list[End]:
    """Ends that no gradient gets to, in a graph that trains others: the head of a pretrained network, a spare layer.

    Either their last layers aren't trained, or none of those that they alone have.
    """
    found, trained = list(ends), search.trained_weights
    weights = {end: search.weights_before(end.ref) for end in found}
    counts = Counter(name for end in found for name in weights[end])
    dead = []
    for end in found if trained & counts.keys() else ():
        own = {name for name in weights[end] if counts[name] == 1}
        parts = () if end.only_loss else (own, _last_weights(search, end.ref))
        if any(part and not part & trained for part in parts):
            dead.append(end)
    return dead if len(dead) < len(found) else []


def judged_by(search: EndSearch, ends: Iterable[End]) -> list[End]:
    """Ends of a network that only compares what another has made with the input, and that nobody trains."""
    found = list(ends)
    made = [end for end in found if end.is_fed]
    if not made:
        return []
    trained = search.trained_weights
    own = set[str]().union(*(search.weights_before(end.ref) for end in made))
    judges = []
    for end in found:
        weights = search.weights_before(end.ref) - own
        judging = end.only_loss or (bool(trained) and not _last_weights(search, end.ref))
        if judging and not end.is_fed and not (weights & trained if trained else weights):
            judges.append(end)
    return judges


def copies(search: EndSearch, ends: Iterable[End]) -> list[End]:
    """Ends that training compares with and that a copy of trained weights computes: target networks, old policies.

    Averages of weights are copies too, but what they compute is no end of a loss alone.
    """
    trained = search.trained_weights
    values = search.downstream(trained) - search.downstream(search.gradients | search.forward)
    copied = set[str]()  # variables that no gradient gets to, assigned from ones that gradients get to
    for node in search.nodes:
        inputs = search.rewriter.inputs(node) if node.op in ASSIGN_OPS else ()
        name = variable_behind(search.rewriter, inputs[0]) if len(inputs) > 1 else None
        if name is not None and name not in trained and inputs[1].node in values:
            copied.add(name)
    return [end for end in ends if end.only_loss and not end.is_fed and search.weights_before(end.ref) & copied]


def after_scores(search: EndSearch, ends: Iterable[End]) -> list[End]:
    """Ends of losses that are computed from scores which labels pick from, to normalise them: a CRF's partition."""
    found = []
    for end in ends:
        others = {score.node for score in search.scores - {end.ref}} if end.only_loss else set()
        if others and any(node.name in others for node in search.rewriter.order([end.ref])):
            found.append(end)
    return found


def _last_weights(search: EndSearch, ref: Ref) -> set[str]:
    """The variables of the last layers before a tensor, biases and batch norms with them; none of constants."""
    rewriter, found, seen, pending = search.rewriter, set[str](), set[str](), [ref]
    while pending:
        node = rewriter.producer(pending.pop())
        if node.name in seen or node.name not in search.weighted:
            continue
        seen.add(node.name)
        found |= {name for other in rewriter.inputs(node) if (name := variable_behind(rewriter, other)) is not None}
        if node.op not in _KERNEL_OPS:
            pending += rewriter.inputs(node)
    return found


def joined_pieces(search: EndSearch, ends: list[End]) -> dict[End, Ref]:
    """For ends that only losses read and that are pieces of one tensor, that tensor: the last that all pass through."""
    groups: dict[frozenset[str], list[End]] = {}
    for end in ends:
        if end.only_loss and not end.is_fed:
            groups.setdefault(frozenset(search.layers_before(end.ref)), []).append(end)
    found: dict[End, Ref] = {}
    for group in groups.values():
        whole = _whole(search, [end.ref for end in group]) if len(group) > 1 else None
        if whole is None:
            continue
        # what the network itself makes of all parts of a tensor, such as boxes, beside the parts that a loss reads
        joined = [end.ref for end in group if search.loss.is_taken_apart(end.ref)]
        needed = {node.name for node in search.rewriter.order(joined)}
        again = len(joined) == 1 and whole.node in needed
        found |= dict.fromkeys(group, joined[0] if again else whole)
    return found


def _whole(search: EndSearch, refs: list[Ref]) -> Ref | None:
    rewriter = search.rewriter
    makers = {behind(rewriter, ref).node for ref in refs}
    if len(makers) == 1:
        return None
    needed = [{node.name for node in rewriter.order([ref])} for ref in refs]
    common = set.intersection(*needed) & search.weighted
    layers = search.layers_before(refs[0])
    candidates = [node for node in rewriter.order(refs) if node.name in common and node.op not in PARTS]
    for node in reversed(candidates[-_TRIED:]):
        stop = frozenset(Ref(node.name, port) for port in range(8))
        outside = {other.name for other in rewriter.order(refs, stop=stop)} - {node.name}
        if outside & layers or any(source.node in outside for source in search.sources):
            continue
        whole = Ref(node.name)
        while node.op in _VIEWS:  # reshapes that only the pieces are cut from
            whole = rewriter.inputs(node)[0]
            node = rewriter.node(whole.node)
        return whole
    return None
