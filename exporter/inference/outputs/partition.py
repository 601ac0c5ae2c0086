"""Parts a graph into forward computation, labels, gradients and updates.

Labels are what feeds losses and metrics but no layer; what depends on them, on gradients or on assignments is training.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from functools import cached_property

from exporter.inference.graph.op_types import (
    CANDIDATE_SAMPLERS,
    CROSS_ENTROPIES,
    DATA_SOURCES,
    DECODERS,
    GRADIENT_OPS,
    LAYER_OPS,
    NO_VALUE,
    PLACEHOLDERS,
)
from exporter.inference.graph.queries import ASSIGN_OPS, BOOL, SHAPE_OPS, behind, has_computed_default, variable_behind
from exporter.inference.graph.ranks import hinted_shape
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["Forward"]

_OF_ANY_SIZE = frozenset(
    {
        "NonMaxSuppression",
        "NonMaxSuppressionV2",
        "NonMaxSuppressionV3",
        "NonMaxSuppressionV4",
        "NonMaxSuppressionV5",
        "NonMaxSuppressionWithOverlaps",
        "Unique",
        "UniqueV2",
        "UniqueWithCounts",
        "Where",
    }
)
"""Ops of which the values that they are given say how large the result is."""


_STEPS = frozenset({"AssignSub", "AssignSubVariableOp"})
_TABLES = frozenset({"Gather", "GatherV2", "ResourceGather"})
_UPDATES = re.compile(r"^(Resource|Sparse)?(Resource)?(Apply|SparseApply|Scatter)")
_GRADIENT_SCOPE = re.compile(r"(^|/)gradients(_\d+)?/")


class Forward:
    """The forward computation of a graph, and what else there is.

    Args:
        rewriter: The whole graph.
        given: Inputs that are known; all others are found if there are none.

    Attributes:
        nodes: All nodes.
        users: For each tensor the nodes that use it.
        by_node: For each node those that use one of its results.
        inputs: What the network is fed with.
        gradients, of_labels, forward, weighted: Names of the nodes of backpropagation, of those that depend on labels,
            of those that depend on inputs alone, and of the last those that layers contribute to.
        sources, reach: All that is fed, labels included; and for each of them the names of what depends on it.
        picked: What labels at which tables are read as well pick from; for what is no such label, nothing.
        decoders: What turns results into words or boxes, as far as no layer follows.
    """

    def __init__(self, rewriter: Rewriter, given: list[Ref]) -> None:
        self.rewriter = rewriter
        self.nodes = list(rewriter.graph)
        self.users = rewriter.consumers(self.nodes)
        self.by_node: dict[str, list[Node]] = {}
        for ref, uses in self.users.items():
            self.by_node.setdefault(ref.node, []).extend(node for node, _ in uses)
        self._any_size = self._made_of_any_size()
        # backpropagation's own ops, TensorFlow's own scope for gradients, and the second results of losses
        seeds = [node for node in self.nodes if node.op in GRADIENT_OPS or _GRADIENT_SCOPE.search(node.name)]
        for node in self.nodes:
            if node.op in CROSS_ENTROPIES:
                seeds += [user for user, _ in self.users.get(Ref(node.name, 1), [])]
        self.gradients: set[str] = set()
        self.gradients = self._closure(seeds, through_training=True)
        every = [ref for node in self.nodes for ref in self._source_refs(node)]
        self.sources = given or every
        self.reach = {ref: self._closure([node for node, _ in self.users.get(ref, [])]) for ref in self.sources}
        inputs = [ref for ref in self.sources if given or self._is_input(ref)] or self.sources
        self.picked = {} if given else {ref: self._picked(ref, inputs) for ref in inputs}
        inputs = [ref for ref in inputs if not self.picked.get(ref)]
        labels = [ref for ref in every if ref not in inputs]
        self.inputs = inputs
        self.of_labels: set[str] = set()
        for ref in labels:
            self.of_labels |= self._closure([node for node, _ in self.users.get(ref, [])])
        self.of_labels |= self._closure(node for node in self.nodes if node.op in CROSS_ENTROPIES)
        reached: set[str] = set()
        for ref in inputs:
            reached |= self.reach[ref]
        self.decoders = [node for node in self.nodes if node.name in reached and self._only_decodes(node)]
        self.of_labels |= self._closure(self.decoders)
        self.forward = reached - self.of_labels
        layers = [node for node in self.nodes if node.name in self.forward and self._applies_weights(node)]
        self.weighted = self._closure(layers) & self.forward if layers else self.forward

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
            return node.op in SHAPE_OPS and any(ref.node in self._any_size for ref in self.rewriter.inputs(node))
        if node.op in ASSIGN_OPS or node.op in NO_VALUE or _UPDATES.match(node.op):
            return False
        return node.name not in self.gradients

    def _made_of_any_size(self) -> set[str]:
        """What follows from tensors whose size the data decide about: it may be of any size, too."""
        found: set[str] = set()
        pending = [node for node in self.nodes if node.op in _OF_ANY_SIZE]
        while pending:
            node = pending.pop()
            if node.name not in found and node.op not in SHAPE_OPS:
                found.add(node.name)
                pending += self.by_node.get(node.name, ())
        return found

    def _source_refs(self, node: Node) -> list[Ref]:
        if node.op in DATA_SOURCES:
            return [ref for ref in self.users if ref.node == node.name] if node.name in self.by_node else []
        if node.op not in PLACEHOLDERS or node.attribute("dtype") == BOOL or has_computed_default(self.rewriter, node):
            return []
        # old files write an empty shape for a placeholder of unknown shape; the hint tells
        declares_shape = node.attribute("_output_shapes") is None or hinted_shape(node, 0) == ()
        return [] if node.attribute("shape") == () and declares_shape else [Ref(node.name)]

    def _is_input(self, ref: Ref) -> bool:
        """Whether layers see it, and no loss draws other classes beside those that it names."""
        reached = [self.rewriter.node(name) for name in self.reach[ref]]
        return any(map(self._is_layer, reached)) and not any(node.op in CANDIDATE_SAMPLERS for node in reached)

    def _picked(self, ref: Ref, inputs: Iterable[Ref]) -> set[Ref]:
        """What a label picks from, where tables are read at it as well: transitions between tags, centres of classes.

        No layer but the tables sees it, and it picks from what other inputs give, or a cross-entropy does; none if it
        is no such label.
        """
        reached = [self.rewriter.node(name) for name in self.reach[ref]]
        if not all(node.op in _TABLES for node in reached if self._is_layer(node)):
            return set()
        results = set[str]().union(*(self.reach[other] for other in inputs if other != ref)) - self.reach[ref]
        if not any(self._applies_weights(self.rewriter.node(name)) for name in results):
            return set()
        return {
            other
            for node in reached
            for other in self._operands(node, self.reach[ref] | {ref.node})
            if other.node in results
        }

    def _operands(self, node: Node, labels: Set[str]) -> list[Ref]:
        """What an op picks from by labels."""
        inputs = self.rewriter.inputs(node)
        if node.op in CROSS_ENTROPIES | _TABLES | {"GatherNd"}:
            return [inputs[0]] if inputs[1].node in labels else []
        if node.op != "Mul":
            return []
        return [
            other
            for other, label in (inputs, inputs[::-1])
            if label.node in labels and self.rewriter.node(behind(self.rewriter, label).node).op == "OneHot"
        ]

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

    def sources_of(self, ref: Ref) -> frozenset[Ref]:
        """The inputs that a tensor depends on."""
        return frozenset(source for source in self.inputs if ref.node in self.reach[source])

    def is_trained(self, ref: Ref) -> bool:
        """Whether backpropagation uses something of what a tensor is computed from, but for weights."""
        needed = [node for node in self.rewriter.order([ref]) if node.name in self.weighted]
        return any(user.name in self.gradients for node in needed for user in self.by_node.get(node.name, ()))

    @cached_property
    def trained_weights(self) -> set[str]:
        """Variables that a gradient gets to: what an optimiser assigns to, along with a result of backpropagation.

        For the rows of a table it first puts the gradient into variables of its own, and then assigns from those.
        """
        found: set[str] = set()
        steps: list[tuple[str, tuple[Ref, ...]]] = []
        for node in self.nodes:
            inputs = self.rewriter.inputs(node)
            updates = "Apply" in node.op or "Scatter" in node.op or "Assign" in node.op
            name = variable_behind(self.rewriter, inputs[0]) if updates and len(inputs) > 1 else None
            if name is None:
                continue
            if any(ref.node in self.gradients for ref in inputs[1:]):
                found.add(name)
            elif node.op in _STEPS:
                steps.append((name, inputs[1:]))
        # the forward computation reads the model's variables, and not those that are an optimiser's own
        reads = [ref for name in self.forward for ref in self.rewriter.inputs(self.rewriter.node(name))]
        of_slots = self.downstream(found - {variable_behind(self.rewriter, ref) for ref in reads})
        return found | {name for name, values in steps if any(ref.node in of_slots for ref in values)}

    def downstream(self, names: Iterable[str]) -> set[str]:
        """These nodes, and all that is computed from them."""
        found, pending = set[str](), list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += (user.name for user in self.by_node.get(name, ()))
        return found

    def weights_before(self, ref: Ref) -> set[str]:
        """The variables that a tensor needs."""
        return {node.name for node in self.rewriter.order([ref]) if node.op in VARIABLE_OPS}

    def layers_before(self, ref: Ref) -> set[str]:
        """The layers that a tensor needs."""
        return {node.name for node in self.rewriter.order([ref]) if node.op in LAYER_OPS}
