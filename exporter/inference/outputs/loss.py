"""Loss arithmetic: what lies between a prediction and the loss, to be gone back over to find the prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from exporter.inference.graph.op_types import CROSS_ENTROPIES, LABEL_LOSSES, LOSS_ARITHMETIC
from exporter.inference.graph.queries import BOOL, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node, Ref

__all__ = ["LossArithmetic"]

_COPIES = frozenset({"Identity", "StopGradient"})
_PARTS = frozenset({"Unpack", "StridedSlice", "Slice", "Split", "SplitV"})
_NORMS = frozenset({"Abs", "Square", "SquaredDifference"})
_VIEWS = _PARTS | {"Reshape", "ExpandDims", "Squeeze", "Transpose"}
_LOGS = frozenset({"Log", "Log1p", "Softplus"})
_CLIPS = frozenset({"Maximum", "Minimum", "ClipByValue"})
_JOINS = frozenset({"Concat", "ConcatV2", "Pack"})
_HINGES = frozenset({"Relu", "Softplus"})
_ACTIVATIONS = frozenset({"LogSoftmax", "Relu", "Sigmoid", "Softmax", "Squeeze", "Tanh"})


class LossArithmetic:
    """Goes back from losses to predictions.

    Args:
        rewriter: The graph.
        weighted: Names of the nodes that layers contribute to and labels don't.
        of_labels: Names of the nodes that labels contribute to.
        users: For each node the nodes that use its results.
        ranks: The number of axes of each node's result.
    """

    def __init__(
        self,
        rewriter: Rewriter,
        weighted: Set[str],
        of_labels: Set[str],
        users: Mapping[str, Sequence[Node]],
        ranks: Mapping[str, int | None],
    ) -> None:
        self._rewriter = rewriter
        self._weighted = weighted
        self._of_labels = of_labels
        self._users = users
        self._ranks = ranks

    def start(self, ref: Ref, *, views: bool = False) -> set[Ref]:
        """The tensors that the arithmetic behind a tensor starts from; itself if it is no such arithmetic.

        With `views`, parts and other shapes of a tensor count as the tensor.
        """
        given = self._rewriter.resolve(ref)
        loss = self._rewriter.node(given.node)
        if loss.op in CROSS_ENTROPIES:
            return self.start(self._rewriter.inputs(loss)[0], views=views)
        ref = self._behind(ref, _COPIES | _VIEWS if views else _COPIES)
        node = self._rewriter.node(ref.node)
        weighted = [other for other in self._rewriter.inputs(node) if other.node in self._weighted]
        if not weighted or not self._is_arithmetic(node):
            return {ref if views else given}
        found = set[Ref]().union(*(self.start(other, views=views) for other in weighted))
        if len(found) == 1 or self._ranks.get(node.name) == 0:
            return found
        whole = found if views else self.start(ref, views=True)
        if len(whole) == 1:
            return whole
        return found if self._measures(node, found) else {ref}

    def _measures(self, node: Node, found: set[Ref]) -> bool:
        """Whether it says how far tensors are apart: a squared difference, or a number for each row of them."""
        users = [user for user in self._users.get(node.name, ()) if user.name in self._weighted | self._of_labels]
        if node.op in _NORMS or (node.op == "Sub" and users and all(user.op in _NORMS for user in users)):
            return True
        rank = self._ranks.get(node.name)
        ranks = [self._ranks.get(ref.node) for ref in found]
        return rank is not None and all(other is not None and other > rank for other in ranks)

    def _is_arithmetic(self, node: Node) -> bool:
        inputs = self._rewriter.inputs(node)
        if any(variable_behind(self._rewriter, other) is not None for other in inputs):
            return False
        if node.op in _CLIPS:
            return self._is_before_log(node) or any(self._is_margin(other) for other in inputs)
        if node.op == "Cast":
            return bool(node.attribute("SrcT") == BOOL)  # how many are right
        return node.op in LOSS_ARITHMETIC or (node.op in _HINGES and self._is_margin(inputs[0]))

    def _is_before_log(self, node: Node, depth: int = 4) -> bool:
        """Whether values are kept away from 0 for a logarithm; a model may well clip its results otherwise."""
        users = self._users.get(node.name, ())
        if any(user.op in _LOGS for user in users):
            return True
        return depth > 0 and any(self._is_before_log(user, depth - 1) for user in users if user.op in _CLIPS | {"Sub"})

    def _is_margin(self, ref: Ref) -> bool:
        """`margin - x` or `x + margin`."""
        node = self._rewriter.producer(ref)
        if node.op not in ("Sub", "Add", "AddV2"):
            return False
        values = [self._rewriter.value(other) for other in self._rewriter.inputs(node)]
        return any(value is not None and value.size == 1 for value in values)

    def plain(self, ref: Ref) -> Ref:
        """A tensor without the copies on it."""
        return self._behind(ref, _COPIES)

    def prediction(self, ref: Ref) -> Ref:
        """What a loss or metric with labels was given, for a tensor that only such a one uses."""
        ref = self.whole(self._unflattened(ref))
        node = self._rewriter.node(ref.node)
        if node.op == "ExpandDims" and self._meets_labels(self._rewriter.inputs(node)[0]):
            ref = self._rewriter.inputs(node)[0]
        bases = self.start(ref)
        base = next(iter(bases))
        if len(bases) != 1 or base == ref:
            return ref
        between = self._rewriter.order([ref], stop=frozenset({base}))
        ops = {node.op for node in between if node.name in self._weighted}
        # embeddings are compared by their distances, summed over squares of differences
        distance = "Sum" in ops and bool(ops & {"Square", "SquaredDifference", "Mul"})
        distance = distance and not self._is_arithmetic(self._rewriter.node(base.node))
        judged = bool(ops & _LOGS) or distance or self._meets_labels(base) or self.is_taken_apart(base)
        return base if judged else ref

    def _unflattened(self, ref: Ref) -> Ref:
        """Before the reshape to two axes that cross-entropies make for themselves, by the tensor's own shape.

        TensorFlow goes on computing with the constants it writes for a shape it knows; an author's is one constant.
        """
        node = self._rewriter.node(ref.node)
        users = [user for user in self._users.get(node.name, ()) if user.name in self._of_labels]
        if node.op != "Reshape" or not users or any(user.op not in LABEL_LOSSES for user in users):
            return ref
        data, shape = self._rewriter.inputs(node)
        nodes = self._rewriter.order([shape])
        shaped = [other for other in nodes if other.op == "Shape"]
        own = any(data in self._rewriter.inputs(other) for other in shaped)
        folded = len(nodes) > 1 and all(other.inputs or other.op == "Const" for other in nodes)
        return data if own or folded else ref

    def whole(self, ref: Ref) -> Ref:
        """Before a part is cut out for the loss.

        The last step is left out, as it has no label; all rows are put into one to be picked from; what the network
        has put together is taken apart again.
        """
        node = self._rewriter.node(ref.node)
        if (
            node.op in ("StridedSlice", "Slice")
            and self._rewriter.producer(self._rewriter.inputs(node)[0]).op in _JOINS
        ):
            return self._rewriter.inputs(node)[0]
        if node.op == "StridedSlice" and self._leaves_the_last_out(node):
            return self._rewriter.inputs(node)[0]
        if node.op == "Reshape" and self._width(self._rewriter.inputs(node)[0]) > 1:
            target = self._rewriter.value(self._rewriter.inputs(node)[1])
            if target is not None and target.reshape(-1).tolist() in ([-1], [-1, 1]):
                return self._rewriter.inputs(node)[0]
        return ref

    def is_taken_apart(self, ref: Ref) -> bool:
        """Whether the network has put it together from results, as boxes from centres and sizes, and losses part it.

        What is put together for a loss is read whole.
        """
        node = self._rewriter.producer(ref)
        users = [user for user in self._users.get(node.name, ()) if user.name in self._weighted | self._of_labels]
        joined = node.op in _JOINS and sum(other.node in self._weighted for other in self._rewriter.inputs(node)) > 1
        return joined and all(user.op in _PARTS for user in users)

    def _leaves_the_last_out(self, node: Node) -> bool:
        """`x[:, :-1]`, of any number of axes."""
        masks = ("shrink_axis_mask", "new_axis_mask", "ellipsis_mask")
        if any(node.attribute(mask, 0) for mask in masks):
            return False
        values = [self._rewriter.value(ref) for ref in self._rewriter.inputs(node)[1:]]
        begin, end, strides = (None if value is None else value.reshape(-1).tolist() for value in values)
        if begin is None or end is None or strides is None or any(step != 1 for step in strides):
            return False
        kept, open_ends = node.attribute("begin_mask", 0), node.attribute("end_mask", 0)
        cut = [axis for axis in range(len(end)) if not open_ends >> axis & 1]
        whole = all(kept >> axis & 1 or begin[axis] == 0 for axis in range(len(begin)))
        return whole and len(cut) == 1 and cut[0] > 0 and end[cut[0]] == -1

    def _width(self, ref: Ref, depth: int = 6) -> int:
        """How many numbers a layer's result has on its last axis, seen through activations; 0 if that isn't known."""
        node = self._rewriter.producer(ref)
        variables = [variable_behind(self._rewriter, other) for other in self._rewriter.inputs(node)[1:2]]
        if variables and variables[0] is not None:
            shape = self._rewriter.node(variables[0]).attribute("shape")
            return int(shape[-1]) if isinstance(shape, tuple) and shape and shape[-1] is not None else 0
        passes = node.op in _ACTIVATIONS | _COPIES and depth
        return self._width(self._rewriter.inputs(node)[0], depth - 1) if passes else 0

    def _meets_labels(self, ref: Ref) -> bool:
        return any(user.name in self._of_labels for user in self._users.get(ref.node, ()))

    def _behind(self, ref: Ref, ops: frozenset[str]) -> Ref:
        ref = self._rewriter.resolve(ref)
        node = self._rewriter.node(ref.node)
        while node.op in ops:
            ref = self._rewriter.inputs(node)[1 if node.op == "Split" else 0]
            node = self._rewriter.node(ref.node)
        return ref
