"""Chooses the outputs of a training graph that has no signature, among the ends of its forward computation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from exporter.errors import UsageError
from exporter.inference.findings import Findings
from exporter.inference.graph.op_types import DECODERS
from exporter.inference.graph.queries import RANDOM_OPS, SHAPE_OPS, behind
from exporter.inference.graph.ranks import hinted_shape
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.outputs.candidates import CHOICES, End, EndSearch
from exporter.inference.outputs.loop_ends import is_counter, loop_leftovers
from exporter.inference.outputs.strays import (
    after_scores,
    copies,
    dead_ends,
    joined_pieces,
    judged_by,
    shown_images,
    statistics_ends,
)
from exporter.report.decisions import Choice, Reason
from exporter.sources.graph import Ref

__all__ = ["find_outputs"]

_NOISE = (
    RANDOM_OPS
    | SHAPE_OPS
    | {"Add", "AddV2", "Cast", "Const", "Div", "Fill", "Floor", "GreaterEqual", "Identity", "Mul", "RealDiv"}
    | {"Select", "SelectV2", "StridedSlice", "Sub", "ZerosLike"}
)
"""What dropout is made of."""

_LISTED = 12


def find_outputs(rewriter: Rewriter, given: Iterable[Ref], findings: Findings) -> list[Ref]:
    """The outputs, in the graph's order.

    Args:
        rewriter: The whole graph.
        given: Inputs that the user has named; empty to find them too.

    Raises:
        UsageError: There is no output, or there are several networks to choose from; lists the candidates.
    """
    search = EndSearch(rewriter, list(given))
    ends = search.ends()
    chosen = _choose(search, ends, findings) if ends else []
    if not chosen:
        raise UsageError(
            "no output could be found: nothing that layers compute is left over at the end",
            hint="Name one with --output; `inspect` lists the graph's tensors",
        )
    for ref in chosen:
        findings.decide("output", str(ref), Choice.OUTPUT, Reason.FORWARD_END)
    for node in search.decoders:
        if any(_feeds(search, ref, Ref(node.name)) for ref in chosen):
            findings.decide("output", node.name, Choice.SET_ASIDE, Reason.DECODER, does=DECODERS[node.op])
    return chosen


def _without_unused_noise(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without what dropout makes of inner results and nothing uses, such as the outputs of all steps but the last."""
    if len(ends) < 2 or not any(node.op in RANDOM_OPS for node in search.rewriter.order(end.ref for end in ends)):
        return ends
    needed = {end.ref: search.rewriter.order([end.ref]) for end in ends}
    users = Counter(node.name for nodes in needed.values() for node in nodes)
    kept = []
    for end in ends:
        own = [node for node in needed[end.ref] if users[node.name] == 1]
        if any(node.op in RANDOM_OPS for node in own) and all(node.op in _NOISE for node in own):
            _set_aside(findings, end, Reason.UNUSED_NOISE)
        else:
            kept.append(end)
    return kept


def _without_copies(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without parts of the network that stand beside it with inputs of their own, and that training doesn't use.

    Keras builds such a copy of each model, and one more of it where it is a layer of another model. They are left where
    several networks would remain all the same.
    """
    weights = {end.ref: search.weights_before(end.ref) for end in ends if len(ends) > 1}
    trained = [end for end in ends if len(ends) > 1 and search.is_trained(end.ref)]
    copies = [
        end
        for end in ends
        if end not in trained
        and any(weights[end.ref] < weights[o.ref] and not end.sources & o.sources for o in trained)
    ]
    kept = [end for end in ends if end not in copies]
    if not copies or len({end.sources for end in kept}) > 1:
        return ends
    for end in copies:
        _set_aside(findings, end, Reason.UNTRAINED_COPY, kept[0].ref)
    return kept


def _without_judges(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without adversarial training, where what it trains is there once more by itself: a generator as it is used."""
    fed = [end for end in ends if end.is_fed]
    weights = {end: search.weights_before(end.ref) for end in ends if fed}
    judging = [end for end in ends if any(_feeds(search, other.ref, end.ref) for other in fed)]
    products = [
        end
        for end in ends
        if not end.only_loss and any(weights[other] and weights[other] <= weights[end] for other in fed)
        if end not in judging
    ]
    if not products:
        return ends
    made = set[str]().union(*(weights[end] for end in products))
    of_judges = set[str]().union(*(weights[end] for end in judging)) - made
    aside = [end for end in ends if end in fed + judging or (weights[end] and weights[end] <= of_judges)]
    for end in aside:
        _set_aside(findings, end, Reason.ADVERSARIAL_FOR, products[0].ref)
    return [end for end in ends if end not in aside]


def _without_samples(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without single samples cut out of inner results, which nothing uses but perhaps for their shape."""
    kept = []
    for end in ends:
        node = search.rewriter.node(end.ref.node)
        inner = search.rewriter.inputs(node)[0] if node.op == "StridedSlice" else end.ref
        alone = node.op == "StridedSlice" and node.attribute("shrink_axis_mask", 0) & 1
        if alone and not end.only_loss and any(_feeds(search, inner, o.ref) for o in ends if o is not end):
            _set_aside(findings, end, Reason.SINGLE_SAMPLE)
        else:
            kept.append(end)
    return kept


def _choose(search: EndSearch, ends: list[End], findings: Findings) -> list[Ref]:
    """All ends of one network; auxiliary heads, which only a loss uses, are set aside."""
    for end, reason in loop_leftovers(search, ends):
        _set_aside(findings, end, reason)
        ends = [other for other in ends if other is not end]
    for end in [end for end in ends if is_counter(search, end)]:
        _set_aside(findings, end, Reason.LOOP_COUNTER)
        ends = [other for other in ends if other is not end]
    ends = _without_strays(search, ends, findings)
    ends = _without_judges(search, ends, findings)
    ends = _without_samples(search, _without_copies(search, ends, findings), findings)
    results = [end for end in ends if not end.only_loss]
    if results and len({end.sources for end in results}) == 1:
        if any(end.is_fed for end in ends):
            for end in ends:
                if end.only_loss:
                    _set_aside(findings, end, Reason.ADVERSARIAL_ONLY)
            ends = results
        for end in ends:
            if end.only_loss and end.sources != results[0].sources:
                _set_aside(findings, end, Reason.OTHER_INPUTS)
        ends = [end for end in ends if not end.only_loss or end.sources == results[0].sources]
    ends = _without_unused_noise(search, _without_inner(search, ends, findings), findings)
    ends = _without_auxiliary(search, _without_logits(search, ends, findings), findings)
    ends = _put_together(search, ends, findings)
    if len({end.sources for end in ends}) > 1 or _one_feeds_another(search, ends):
        raise UsageError(
            f"the graph has several networks, or ends of one; the candidates for an output are {_list(search, ends)}",
            hint="Choose with --output NAME, once for each that is wanted",
        )
    position = {node.name: i for i, node in enumerate(search.nodes)}
    return sorted((end.ref for end in ends), key=lambda ref: (position[ref.node], ref.port))


def _without_strays(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without statistics, layers that nobody trains, and pictures of what something else uses as numbers."""
    for find, reason in (
        (statistics_ends, Reason.BATCH_STATISTICS_END),
        (copies, Reason.COPY_OF_TRAINED),
        (after_scores, Reason.AFTER_SCORES),
        (dead_ends, Reason.NEVER_TRAINED),
        (judged_by, Reason.COMPARED_WITH),
    ):
        strays = find(search, ends)
        if len(strays) < len(ends):
            for end in strays:
                _set_aside(findings, end, reason)
            ends = [end for end in ends if end not in strays]
    for end, result in shown_images(search, ends).items():
        _set_aside(findings, end, Reason.SHOWN_IMAGE, result)
        replaced = End(result, end.sources, end.only_loss)
        ends = [replaced if other is end else other for other in ends]
    return ends


def _put_together(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """With one tensor in the place of all the pieces of it that losses read."""
    whole = joined_pieces(search, ends)
    kept: dict[Ref, End] = {}
    for end in ends:
        ref = whole.get(end, end.ref)
        if end in whole:
            _set_aside(findings, end, Reason.PIECE, ref)
        kept.setdefault(ref, End(ref, end.sources, end.only_loss, end.is_fed))
    return list(kept.values())


def _without_inner(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without what a loss reads on the way to a result that nothing uses: boxes before the best are picked."""
    kept = []
    for end in ends:
        inner = end.only_loss and not end.is_fed
        made = [o for o in ends if inner and not o.only_loss and o is not end and _feeds(search, end.ref, o.ref)]
        makers = [search.rewriter.node(behind(search.rewriter, o.ref).node) for o in made]
        if made and not any(maker.op in CHOICES for maker in makers):
            _set_aside(findings, end, Reason.INNER, made[0].ref)
        else:
            kept.append(end)
    return kept


def _without_logits(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without ends that a loss starts from and that another end comes from by activations alone."""
    kept = []
    for end in ends:
        others = (o.ref for o in ends if o is not end) if end.only_loss else ()
        results = [ref for ref in others if _activates(search, end.ref, ref)]
        if results:
            _set_aside(findings, end, Reason.LOGITS, results[0])
        else:
            kept.append(end)
    return kept


def _activates(search: EndSearch, logits: Ref, result: Ref) -> bool:
    if search.rewriter.node(result.node).op in CHOICES or logits.node == result.node:
        return False
    needed = {node.name for node in search.rewriter.order([result])}
    made = behind(search.rewriter, logits)
    if made == behind(search.rewriter, result):  # views of one tensor: the first gives way
        return logits.node in needed
    used = any(made in search.rewriter.inputs(search.rewriter.node(name)) for name in needed)
    return used and search.layers_before(logits) == search.layers_before(result)


def _without_auxiliary(search: EndSearch, ends: list[End], findings: Findings) -> list[End]:
    """Without the heads of training that branch off in the middle: much of the network comes after the branch."""
    if len(ends) < 2 or not any(end.only_loss for end in ends):
        return ends
    layers = {end.ref: search.layers_before(end.ref) for end in ends}
    kept = []
    for end in ends:
        deeper = [
            other
            for other in (ends if end.only_loss else ())
            if layers[end.ref] - layers[other.ref]
            and len(layers[other.ref] - layers[end.ref]) > 2 * len(layers[end.ref] - layers[other.ref]) + 2
        ]
        if deeper:
            _set_aside(findings, end, Reason.AUXILIARY_HEAD, deeper[0].ref)
        else:
            kept.append(end)
    return kept


def _one_feeds_another(search: EndSearch, ends: list[End]) -> bool:
    rewriter = search.rewriter
    users = [end for end in ends if rewriter.node(end.ref.node).op not in CHOICES]
    needed = {
        node.name for node in rewriter.order(r for end in users for r in rewriter.inputs(rewriter.node(end.ref.node)))
    }
    fed = [end for end in ends if end.ref.node in needed]  # by others; or by itself, where it is in a loop
    return any(_feeds(search, a.ref, b.ref) for a in fed for b in users if a is not b)


def _feeds(search: EndSearch, a: Ref, b: Ref) -> bool:
    return a.node != b.node and a.node in {node.name for node in search.rewriter.order([b])}


def _set_aside(findings: Findings, end: End, reason: Reason, result: Ref | None = None) -> None:
    """Notes that an end is no output; `result` is the one that the reason speaks of."""
    details = {} if result is None else {"result": str(result)}
    findings.decide("output", str(end.ref), Choice.SET_ASIDE, reason, **details)


def _list(search: EndSearch, ends: list[End]) -> str:
    """The candidates network by network, the one with most weights first, and of each its last results first."""
    shown = []
    weights: dict[End, int] = {}
    for end in ends:
        shapes = [search.rewriter.node(name).attribute("shape") or () for name in search.weights_before(end.ref)]
        weights[end] = sum(prod(size or 1 for size in shape) for shape in shapes)
    largest = {end.sources: max(weights[o] for o in ends if o.sources == end.sources) for end in ends}
    fed = [end for end in ends if end.is_fed]

    def place(end: End) -> tuple[int, list[Ref], bool, bool, int]:
        judging = (end.only_loss and not end.is_fed) or any(_feeds(search, other.ref, end.ref) for other in fed)
        depth = len(search.layers_before(end.ref))
        return -largest[end.sources], sorted(end.sources), judging, end.only_loss, -depth

    ranked = sorted(ends, key=place)
    for end in ranked[:_LISTED]:
        shape = hinted_shape(search.rewriter.node(end.ref.node), end.ref.port)
        sizes = "" if shape is None else " [" + ", ".join("?" if s is None else str(s) for s in shape) + "]"
        needs = ", ".join(sorted(str(source) for source in end.sources)) or "nothing"
        shown.append(f"{end.ref}{sizes} (from {needs}), {weights[end]} parameters")
    more = f" and {len(ends) - _LISTED} more" if len(ends) > _LISTED else ""
    return "; ".join(shown) + more
