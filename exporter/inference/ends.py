"""The ends of a graph's forward computation: the tensors that could be meant as outputs.

Labels are what feeds losses and metrics but no layer; what depends on them, on gradients or on assignments is
training. Of the rest an end is what no other part of the rest uses. Where the loss needs no labels (autoencoders,
GANs), the end is what the arithmetic of the loss starts from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.inference.conditions import IFS
from exporter.inference.groups import (
    CANDIDATE_SAMPLERS,
    DATA_SOURCES,
    DECODERS,
    GRADIENT_OPS,
    LAYER_OPS,
    NO_VALUE,
    PLACEHOLDERS,
)
from exporter.inference.loss import LossArithmetic
from exporter.inference.markers import (
    ASSIGN_OPS,
    BOOL,
    COSMETIC,
    LOOP_RESULT,
    LOOP_STATE,
    MERGES,
    SHAPE_OPS,
    SWITCHES,
    assigns,
    behind,
    has_computed_default,
    variable_behind,
)
from exporter.inference.ranks import hinted_shape, ranks
from exporter.inference.rewriter import Rewriter
from exporter.inference.watching import Watching
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["CHOICES", "End", "EndSearch"]

_NOT_VALUES = SHAPE_OPS | SWITCHES | {"ZerosLike", "OnesLike", "Assert"}
_UPDATES = re.compile(r"^(Resource|Sparse)?(Resource)?(Apply|SparseApply|Scatter)")
_GRADIENT_SCOPE = re.compile(r"(^|/)gradients(_\d+)?/")

_NOT_NUMBERS = (7, 20, 21)
"""TensorFlow's type numbers of strings, resources and variants."""

CHOICES = frozenset({"ArgMax", "ArgMin", "TopK", "TopKV2"})


_COMPARING = frozenset(
    {"Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "NotEqual"}
)

_PARTS = {"Split": "num_split", "SplitV": "num_split", "Unpack": "num"}
"""Ops that part a tensor, and the attribute that says into how many."""


@dataclass(frozen=True, slots=True)
class End:
    """A candidate for an output.

    Attributes:
        ref: The tensor.
        sources: The inputs that it depends on.
        only_loss: Whether a loss or metric uses it, and nothing else.
        is_fed: Whether it is fed to layers that see an input directly as well, as a generator's images are.
    """

    ref: Ref
    sources: frozenset[Ref]
    only_loss: bool
    is_fed: bool = False


class EndSearch:
    """Parts a graph into forward computation, labels, gradients and updates, and finds where the first of these ends.

    Args:
        rewriter: The whole graph.
        given: Inputs that are known; all others are found if there are none.
    """

    def __init__(self, rewriter: Rewriter, given: list[Ref]) -> None:
        self.rewriter = rewriter
        self.nodes = list(rewriter.graph)
        self.users = rewriter.consumers(self.nodes)
        self.by_node: dict[str, list[Node]] = {}
        for ref, uses in self.users.items():
            self.by_node.setdefault(ref.node, []).extend(node for node, _ in uses)
        self.gradients: set[str] = set()
        self.gradients = self._closure(self._gradient_seeds(), through_training=True)
        self.sources = given or [ref for node in self.nodes for ref in self._source_refs(node)]
        self.reach = {ref: self._closure([node for node, _ in self.users.get(ref, [])]) for ref in self.sources}
        inputs = [ref for ref in self.sources if given or self._is_input(ref)] or self.sources
        labels = [ref for ref in self._all_sources() if ref not in inputs]
        self.inputs = inputs
        self.of_labels: set[str] = set()
        for ref in labels:
            self.of_labels |= self._closure([node for node, _ in self.users.get(ref, [])])
        reached: set[str] = set()
        for ref in inputs:
            reached |= self.reach[ref]
        self.decoders = [node for node in self.nodes if node.name in reached and self._only_decodes(node)]
        self.of_labels |= self._closure(self.decoders)
        self.forward = reached - self.of_labels
        layers = [node for node in self.nodes if node.name in self.forward and self._applies_weights(node)]
        self.weighted = self._closure(layers) & self.forward if layers else self.forward
        self.ranks = ranks(rewriter, rewriter.order(self._weighted_refs()))
        self.loss = LossArithmetic(rewriter, self.weighted, self.of_labels, self.by_node, self.ranks)
        weighted = [node for node in self.nodes if node.name in self.weighted]
        self.watching = Watching(rewriter, weighted, self.by_node, self.gradients)

    def _weighted_refs(self) -> list[Ref]:
        return [Ref(node.name) for node in self.nodes if node.name in self.weighted]

    def _all_sources(self) -> list[Ref]:
        return [ref for node in self.nodes for ref in self._source_refs(node)]

    def _gradient_seeds(self) -> list[Node]:
        """Backpropagation's own ops, the second results of losses, and TensorFlow's own scope for gradients."""
        seeds = [node for node in self.nodes if node.op in GRADIENT_OPS or _GRADIENT_SCOPE.search(node.name)]
        for node in self.nodes:
            if node.op in ("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"):
                seeds += [user for user, _ in self.users.get(Ref(node.name, 1), [])]
        return seeds

    def _closure(self, seeds: Iterable[Node], *, through_training: bool = False) -> set[str]:
        """What depends on these nodes by value, they themselves included; assignments and summaries end it."""
        found: set[str] = set()
        pending = [node for node in seeds if through_training or self._goes_on(node)]
        while pending:
            node = pending.pop()
            if node.name in found:
                continue
            found.add(node.name)
            users = self.by_node.get(node.name, ())
            pending.extend(user for user in users if user.name not in found and self._goes_on(user))
        return found

    def _goes_on(self, node: Node) -> bool:
        if node.op in SHAPE_OPS or node.op in ("ZerosLike", "OnesLike"):
            return False
        if node.op in ASSIGN_OPS or node.op in NO_VALUE or _UPDATES.match(node.op):
            return False
        return node.name not in self.gradients

    def _source_refs(self, node: Node) -> list[Ref]:
        if node.op in DATA_SOURCES:
            return [ref for ref in self.users if ref.node == node.name] if node.name in self.by_node else []
        if node.op not in PLACEHOLDERS or node.attribute("dtype") == BOOL or has_computed_default(self.rewriter, node):
            return []
        return [] if node.attribute("shape") == () and self._declares_shape(node) else [Ref(node.name)]

    def _declares_shape(self, node: Node) -> bool:
        """Old files write an empty shape for a placeholder of unknown shape; the hint tells."""
        return node.attribute("_output_shapes") is None or hinted_shape(node, 0) == ()

    def _is_input(self, ref: Ref) -> bool:
        """Whether layers see it, and no loss draws other classes beside those that it names."""
        reached = [self.rewriter.node(name) for name in self.reach[ref]]
        return any(map(self._is_layer, reached)) and not any(node.op in CANDIDATE_SAMPLERS for node in reached)

    def _is_layer(self, node: Node) -> bool:
        """An op that applies weights; a table of constants (class weights, vocabularies) isn't one."""
        if node.op not in LAYER_OPS:
            return False
        return not node.op.startswith("Gather") or self._is_weight(self.rewriter.inputs(node)[0])

    def _applies_weights(self, node: Node) -> bool:
        return self._is_layer(node) or any(self._is_weight(ref) for ref in self.rewriter.inputs(node))

    def _only_decodes(self, node: Node) -> bool:
        """Whether it decodes results, and no layer sees what comes out."""
        return node.op in DECODERS and not any(
            self._applies_weights(self.rewriter.node(name)) for name in self._closure([node])
        )

    def _is_weight(self, ref: Ref) -> bool:
        return variable_behind(self.rewriter, ref) is not None

    def ends(self) -> list[End]:
        """Every end, in the graph's order."""
        found: dict[Ref, bool] = {}
        looking = self.watching.only
        for node in self.nodes:
            if node.name not in self.weighted or node.name in looking or node.op in _NOT_VALUES:
                continue
            users = [user for user in self.by_node.get(node.name, []) if user.name not in looking]
            if any(user.name in self.forward for user in users):
                continue
            if self.ranks.get(node.name) == 0:
                starts = self.loss.start(Ref(node.name))
                found.update((ref, True) for ref in sorted(starts - found.keys()) if self.ranks.get(ref.node) != 0)
            elif self._is_result(node, users):
                for ref in _results(node):
                    self._add_result(found, ref, bool(users))
        watched = self._measured(self.watching.watched) - found.keys()
        found.update((ref, True) for ref in sorted(watched))
        fed = self._fed_to_shared_layers()
        for ref in fed:
            found.setdefault(ref, True)
        inner = self._inner(watched - set(fed), found)
        ends = {ref: only_loss for ref, only_loss in found.items() if ref not in inner}
        return [End(ref, self._sources_of(ref), only_loss, ref in fed) for ref, only_loss in ends.items()]

    def _measured(self, watched: Iterable[Ref]) -> set[Ref]:
        """What people look at; where that is a single number, a loss say, what its arithmetic starts from."""
        found: set[Ref] = set()
        for ref in watched:
            found |= self.loss.start(ref) if self.ranks.get(ref.node) == 0 else {ref}
        return found

    def _inner(self, watched: Iterable[Ref], ends: Iterable[Ref]) -> set[Ref]:
        """Of the tensors that people look at, those that an end is computed from."""
        needed = {ref: {node.name for node in self.rewriter.order([ref])} for ref in ends}
        return {
            ref for ref in watched if any(ref.node in names for end, names in needed.items() if end.node != ref.node)
        }

    def _add_result(self, found: dict[Ref, bool], ref: Ref, only_loss: bool) -> None:
        """A result; for what only a loss or metric uses, what it was made of to suit that."""
        if not only_loss:
            found[ref] = False
            return
        ref = self._compared(ref)
        choice = behind(self.rewriter, ref)
        if self.rewriter.node(choice.node).op in CHOICES:
            scores = self.loss.plain(self.rewriter.inputs(self.rewriter.node(choice.node))[0])
            found.setdefault(scores, True)
            ref = choice
        found.setdefault(self.loss.prediction(ref), True)

    def _compared(self, ref: Ref) -> Ref:
        """What metrics compare with a threshold before they look at the labels; the tensor itself if it is no such."""
        start, node = ref, self.rewriter.node(ref.node)
        while node.op in _COMPARING or (start != ref and node.op in COSMETIC | {"Tile", "Transpose"}):
            weighted = [other for other in self.rewriter.inputs(node) if other.node in self.weighted]
            if len(weighted) != 1:
                return ref
            start = weighted[0]
            node = self.rewriter.node(start.node)
        return start

    def _is_result(self, node: Node, users: list[Node]) -> bool:
        """Nothing uses it, a loss or metric does, or people look at it as an image."""
        if users:
            return any(user.name in self.of_labels or user.op == "ImageSummary" for user in users)
        return not self._is_leftover(node)

    def _is_leftover(self, node: Node) -> bool:
        """A check, the result of a condition that updates variables, the copy that a custom gradient leaves behind."""
        if node.op == "CheckNumerics" or node.attribute("T") in _NOT_NUMBERS:
            return True
        if node.op == LOOP_RESULT:
            return bool(node.attribute("of_while", False))
        if node.op in (LOOP_STATE, "NextIteration") or node.attribute("loop") is not None:
            return not self._is_loop_result(node)
        if node.op not in {"Identity"} | MERGES | IFS:
            return False
        made = self.rewriter.producer(self.rewriter.inputs(node)[0]) if node.op == "Identity" else node
        if made.op in MERGES:
            sides = [self.rewriter.node(behind(self.rewriter, ref).node) for ref in self.rewriter.inputs(made)]
            return any(side.op in ASSIGN_OPS for side in sides)
        if made.op in IFS:
            calls = (made.attribute("then_branch"), made.attribute("else_branch"))
            return any(assigns(self.rewriter, call) for call in calls)
        beside = self.by_node.get(made.name, [])
        return any(user.op == "IdentityN" for user in beside)

    def _is_loop_result(self, node: Node) -> bool:
        """Whether it is the copy of a variable that the steps of a loop change."""
        return self.rewriter.producer(self.rewriter.inputs(node)[0]).op == LOOP_RESULT

    def _fed_to_shared_layers(self) -> list[Ref]:
        """What is fed to layers that also see an input directly: a generator's output, beside the real images."""
        fed: dict[tuple[object, ...], list[Ref]] = {}
        for node in self.nodes:
            if node.op in LAYER_OPS and node.name in self.forward and len(node.inputs) > 1:
                kernel = variable_behind(self.rewriter, node.inputs[1])
                if kernel is not None:
                    use = (kernel, node.op, node.attribute("transpose_b", False))
                    fed.setdefault(use, []).append(behind(self.rewriter, node.inputs[0]))
        found: list[Ref] = []
        for refs in fed.values():
            if any(ref in self.inputs for ref in refs):
                found += [ref for ref in refs if ref.node in self.weighted and ref not in found]
        return found

    def _sources_of(self, ref: Ref) -> frozenset[Ref]:
        return frozenset(source for source in self.inputs if ref.node in self.reach[source])

    def is_trained(self, ref: Ref) -> bool:
        """Whether backpropagation uses something of what a tensor is computed from, but for weights."""
        needed = [node for node in self.rewriter.order([ref]) if node.name in self.weighted]
        return any(user.name in self.gradients for node in needed for user in self.by_node.get(node.name, ()))

    def weights_before(self, ref: Ref) -> set[str]:
        """The variables that a tensor needs."""
        return {node.name for node in self.rewriter.order([ref]) if node.op in VARIABLE_OPS}

    def layers_before(self, ref: Ref) -> set[str]:
        """The layers that a tensor needs."""
        return {node.name for node in self.rewriter.order([ref]) if node.op in LAYER_OPS}


def _results(node: Node) -> list[Ref]:
    """The results of an end: all parts of a split, else the first."""
    count = node.attribute(_PARTS[node.op], 1) if node.op in _PARTS else 1
    return [Ref(node.name, port) for port in range(count)]
