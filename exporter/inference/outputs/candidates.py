"""The ends of a graph's forward computation: the tensors that could be meant as outputs.

An end is what no other part of the forward computation uses. Where the loss needs no labels (autoencoders, GANs), it is
what the arithmetic of the loss starts from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.inference.control_flow.conditions import IFS
from exporter.inference.graph.op_types import (
    LAYER_OPS,
)
from exporter.inference.graph.queries import (
    ASSIGN_OPS,
    COSMETIC,
    LOOP_RESULT,
    LOOP_STATE,
    MERGES,
    PREDICATES,
    SHAPE_OPS,
    SWITCHES,
    assigns,
    behind,
    variable_behind,
)
from exporter.inference.graph.ranks import ranks
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.outputs.loss import LossArithmetic
from exporter.inference.outputs.monitoring import Watching
from exporter.inference.outputs.partition import Forward
from exporter.inference.outputs.training_groups import made_for_others
from exporter.sources.graph import Node, Ref

__all__ = ["CHOICES", "PARTS", "End", "EndSearch"]

_NOT_VALUES = SHAPE_OPS | SWITCHES | {"ZerosLike", "OnesLike", "Assert"}
_NOT_NUMBERS = (7, 20, 21)
"""TensorFlow's type numbers of strings, resources and variants."""

_PREPARING = frozenset({"Add", "AddV2", "Cast", "Div", "Mul", "RealDiv", "Sub"})
"""What an input is prepared with: shifts and scales."""

CHOICES = frozenset({"ArgMax", "ArgMin", "TopK", "TopKV2"})

_CTC_DECODERS = frozenset({"CTCBeamSearchDecoder", "CTCBeamSearchDecoderV2", "CTCGreedyDecoder"})

_COMPARED = 64
"""Numbers of constants that are compared before all of them are."""

PARTS = {"Split": "num_split", "SplitV": "num_split", "Unpack": "num"}
"""Ops that part a tensor, and the attribute that says into how many."""


@dataclass(frozen=True, slots=True)
class End:
    """A candidate for an output.

    Attributes:
        ref: The tensor.
        sources: The inputs that it depends on.
        only_loss: Whether a loss or metric uses it, and nothing else.
        is_fed: Whether it is fed to layers that judge it: ones that see an input directly as well, as a generator's
            images are, or that another loss trains, as an actor's actions are.
    """

    ref: Ref
    sources: frozenset[Ref]
    only_loss: bool
    is_fed: bool = False


class EndSearch(Forward):
    """Finds where the forward computation of a graph ends.

    Args:
        rewriter: The whole graph.
        given: Inputs that are known; all others are found if there are none.

    Attributes:
        ranks: Of what layers contribute to, as far as they are known.
        loss: Tells the arithmetic of losses.
        scores: What labels pick from at which tables are read as well.
        watching: Tells what only looks at the network.
    """

    def __init__(self, rewriter: Rewriter, given: list[Ref]) -> None:
        super().__init__(rewriter, given)
        weighted = [node for node in self.nodes if node.name in self.weighted]
        self.ranks = ranks(rewriter, rewriter.order(Ref(node.name) for node in weighted))
        self.loss = LossArithmetic(rewriter, self.weighted, self.of_labels, self.by_node, self.ranks)
        self._constants: dict[tuple[object, bytes], list[tuple[str, npt.NDArray[Any]]]] = {}
        self.scores = {self.loss.whole(ref) for refs in self.picked.values() for ref in refs}
        self.watching = Watching(rewriter, weighted, self.by_node, self.gradients)

    def ends(self) -> list[End]:
        """Every end, in the graph's order."""
        found: dict[Ref, bool] = {}
        looking = self.watching.only
        for node in self.nodes:
            if node.name not in self.weighted or node.name in looking or node.op in _NOT_VALUES:
                continue
            users = [user for user in self.by_node.get(node.name, []) if user.name not in looking]
            if any(user.name in self.forward for user in users):
                for ref in _results(node) if node.op in PARTS else ():  # the mean beside a deviation that layers use
                    reading = {user.name for user in users if ref in self.rewriter.inputs(user)}
                    if reading & self.of_labels and not reading & self.forward:
                        found.setdefault(self._judged(ref), True)
                continue
            copied_in_loop = node.op == "Identity" and node.attribute("loop") is not None
            if not users and copied_in_loop and not self._is_loop_result(node):
                continue
            judged = any(user.name in self.of_labels or user.op == "ImageSummary" for user in users)
            if self.ranks.get(node.name) == 0:
                starts = {self.loss.whole(self._chosen_from(ref)) for ref in self.loss.start(Ref(node.name))}
                found.update((ref, True) for ref in sorted(starts - found.keys()) if self.ranks.get(ref.node) != 0)
            elif judged or (not users and not self._is_leftover(node)):
                measured = node.op in CHOICES and bool(self.by_node.get(node.name))
                for ref in _results(node):
                    if users or measured:
                        found.setdefault(self._judged(ref), True)
                    else:
                        found[ref] = False
                    if not users:
                        found.update((scores, True) for scores in self._judged_scores(ref) - found.keys())
        found.update((ref, True) for ref in sorted(self.scores - found.keys()))
        watched = self._measured(self.watching.watched) - found.keys()
        found.update((ref, True) for ref in sorted(watched))
        fed = self._fed_to_shared_layers()
        fed += [ref for ref in made_for_others(self) if ref not in fed]
        for ref in fed:
            found.setdefault(ref, True)
        needed = {ref: {node.name for node in self.rewriter.order([ref])} for ref in found}
        ends = []
        for ref, only_loss in found.items():
            following = [end for end, names in needed.items() if ref.node in names and end.node != ref.node]
            if following and ref in watched and ref not in fed:  # people look at it on the way to an end
                continue
            ends.append(End(ref, self.sources_of(ref), only_loss, ref in fed))
        return ends

    def _judged(self, ref: Ref) -> Ref:
        """What a loss or metric judges, before it was made to suit that: of an accuracy's choice the scores."""
        return self.loss.prediction(self._chosen_from(self._compared(ref)))

    def _measured(self, watched: Iterable[Ref]) -> set[Ref]:
        """What people look at; where that is a single number, a loss say, what its arithmetic starts from."""
        found: set[Ref] = set()
        for ref in watched:
            starts = self.loss.start(ref) if self.ranks.get(ref.node) == 0 else {ref}
            found |= {self._chosen_from(start) for start in starts}
        return found

    def _chosen_from(self, ref: Ref) -> Ref:
        """The scores that a choice is made from, else the tensor itself, before gradients are stopped."""
        choice = self.rewriter.node(behind(self.rewriter, ref).node)
        if choice.op in CHOICES | _CTC_DECODERS:
            ref = self.rewriter.inputs(choice)[0]
        while self.rewriter.node(ref.node).op == "StopGradient":
            ref = self.rewriter.inputs(self.rewriter.node(ref.node))[0]
        return ref

    def _judged_scores(self, ref: Ref) -> set[Ref]:
        """The scores that a choice which nothing uses is made from, where a loss reads them too: Q values, logits."""
        scores = self._chosen_from(ref)
        users = self.by_node.get(scores.node, ())
        judged = any(user.name in self.of_labels for user in users)
        return {scores} if judged and self.rewriter.node(behind(self.rewriter, ref).node).op in CHOICES else set()

    def _compared(self, ref: Ref) -> Ref:
        """What metrics compare with a threshold before they look at the labels; the tensor itself if it is no such."""
        start, node, compares = ref, self.rewriter.node(ref.node), False
        while node.op in PREDICATES | COSMETIC | {"Tile", "Transpose"}:
            weighted = [other for other in self.rewriter.inputs(node) if other.node in self.weighted]
            if len(weighted) != 1:
                return ref
            compares |= node.op in PREDICATES
            start = weighted[0]
            node = self.rewriter.node(start.node)
        return start if compares else ref

    def _is_leftover(self, node: Node) -> bool:
        """What isn't meant as a result.

        A check, the result of a condition that updates variables, the copy that a custom gradient leaves behind, what
        starts the sides of a condition.
        """
        if node.op == "CheckNumerics" or node.attribute("T") in _NOT_NUMBERS:
            return True
        if node.op == LOOP_RESULT:
            return bool(node.attribute("of_while", False))
        if node.op in (LOOP_STATE, "NextIteration") or node.attribute("loop") is not None:
            return not self._is_loop_result(node)
        if node.op not in {"Identity"} | MERGES | IFS:
            return False
        made = self.rewriter.producer(self.rewriter.inputs(node)[0]) if node.op == "Identity" else node
        if made.op in SWITCHES:
            data, predicate = (behind(self.rewriter, ref) for ref in self.rewriter.inputs(made))
            return data == predicate
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
                kernel = variable_behind(self.rewriter, node.inputs[1]) or self._frozen(node.inputs[1])
                if kernel is not None:
                    use = (kernel, node.op, node.attribute("transpose_b", False))
                    for place, ref in enumerate(self._joined(behind(self.rewriter, node.inputs[0]))):
                        fed.setdefault((*use, place), []).append(ref)
        found: list[Ref] = []
        for refs in fed.values():
            given = [prepared for prepared in map(self._prepared, refs) if prepared is not None]
            for ref in refs if given else ():
                made = self._unprepared(ref, given[0])
                if made.node in self.weighted and made not in found:
                    found.append(made)
        return found

    def _joined(self, ref: Ref) -> list[Ref]:
        """The tensors that a concatenation joins, as a picture and the one it is made from; else the tensor itself."""
        node = self.rewriter.node(ref.node)
        if node.op not in ("Concat", "ConcatV2"):
            return [ref]
        inputs = self.rewriter.inputs(node)
        return [behind(self.rewriter, other) for other in (inputs[1:] if node.op == "Concat" else inputs[:-1])]

    def _frozen(self, ref: Ref) -> str | None:
        """Constant weights, by the first constant that holds them: a network built twice from arrays has them twice."""
        node = self.rewriter.producer(behind(self.rewriter, ref))
        value = node.attribute("value") if node.op == "Const" else None
        if value is None:
            return None
        alike = self._constants.setdefault((value.shape, value.reshape(-1)[:_COMPARED].tobytes()), [])
        for name, other in alike:
            if other is value or np.array_equal(other, value):
                return name
        alike.append((node.name, value))
        return node.name

    def _prepared(self, ref: Ref) -> list[str] | None:
        """What is done to an input before layers see it, by op types from the last on; None if it is no input."""
        ops: list[str] = []
        while ref not in self.inputs:
            before = self._only_operand(ref)
            if before is None or ref.node in self.weighted:
                return None
            ops.append(self.rewriter.node(ref.node).op)
            ref = before
        return ops

    def _unprepared(self, ref: Ref, ops: Iterable[str]) -> Ref:
        """What a network has made, before the same is done to it that is done to an input."""
        for op in ops:
            before = self._only_operand(ref)
            if before is None or self.rewriter.node(ref.node).op != op:
                break
            ref = before
        return ref

    def _only_operand(self, ref: Ref) -> Ref | None:
        """The tensor that arithmetic with numbers changes one by one."""
        node = self.rewriter.node(ref.node)
        if node.op not in _PREPARING:
            return None
        operands = [behind(self.rewriter, other) for other in self.rewriter.inputs(node)]
        changed = [other for other in operands if self.rewriter.node(other.node).op != "Const"]
        return changed[0] if len(changed) == 1 else None


def _results(node: Node) -> list[Ref]:
    """The results of an end: all parts of a split, else the first."""
    count = node.attribute(PARTS[node.op], 1) if node.op in PARTS else 1
    return [Ref(node.name, port) for port in range(count)]
