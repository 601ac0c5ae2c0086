"""Recognises batch norms that are written as arithmetic, and makes one node of each.

    inv = rsqrt(variance + epsilon) [* gamma]
    y = x * inv + (beta - mean * inv)            tf.nn.batch_normalization, every unfused layer
    y = (x - mean) * inv [+ beta]                written by hand, also with a division by sqrt(variance + epsilon)

Parameters are readings of variables or constants; whatever depends on data is no batch norm at inference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from exporter.inference.graph.op_types import PLACEHOLDERS
from exporter.inference.graph.queries import FUSED_BATCH_NORMS, SHAPE_OPS, VARIABLE_READS, behind, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.model import BATCH_NORM
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["Parameters", "recognise"]

_SUMS = frozenset({"Add", "AddV2"})
_ANY = 1000

_DIVISIONS = frozenset({"RealDiv", "Div"})


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one batch norm.

    Attributes:
        node: The node that computes it.
        epsilon: Added to the variance.
        gamma: None where there is none, so 1.
        beta: None where there is none, so 0.
        mean: The moving mean.
        variance: The moving variance.
    """

    node: str
    epsilon: float
    gamma: Ref | None
    beta: Ref | None
    mean: Ref
    variance: Ref


def recognise(rewriter: Rewriter, outputs: list[Ref], channels: Callable[[Ref], int | None]) -> list[Parameters]:
    """Every batch norm on the way to the outputs, fused ones and those written as arithmetic, in order.

    `channels` gives the length of a parameter vector, None if it isn't known.
    """
    nodes = rewriter.order(outputs)
    search = _Search(rewriter, nodes, channels)
    found = []
    for node in nodes:
        if node.op in FUSED_BATCH_NORMS and not node.attribute("is_training", True):
            gamma, beta, mean, variance = rewriter.inputs(node)[1:5]
            found.append(Parameters(node.name, float(node.attribute("epsilon", 1e-4)), gamma, beta, mean, variance))
        elif node.op in ("Rsqrt", "Sqrt"):
            parameters = search.match(node)
            if parameters is not None:
                found.append(parameters)
    return found


class _Search:
    def __init__(self, rewriter: Rewriter, nodes: list[Node], channels: Callable[[Ref], int | None]) -> None:
        self.rewriter = rewriter
        self.channels = channels
        self.users = rewriter.consumers(nodes)
        self.fixed = _fixed(rewriter, nodes)

    def match(self, root: Node) -> Parameters | None:
        """The batch norm around `Rsqrt(variance + epsilon)` or `Sqrt(variance + epsilon)`."""
        under = self._under(root)
        if under is None:
            return None
        variance, epsilon = under
        inverse = Ref(root.name)
        gamma: Ref | None = None
        users = self.users.get(inverse, [])
        if root.op == "Sqrt":
            # `(x - mean) / sqrt(variance + epsilon)`, then perhaps `* gamma` and `+ beta`
            if len(users) != 1 or users[0][0].op not in _DIVISIONS or users[0][1] != 1:
                return None
            node = users[0][0]
            return self._around(node, self.rewriter.inputs(node)[0], None, variance, epsilon)
        if len(users) == 1 and users[0][0].op == "Mul":
            node, position = users[0]
            other = self.rewriter.inputs(node)[1 - position]
            if self._is_fixed(other):
                gamma, inverse = other, Ref(node.name)
        expanded = self._expanded(inverse, gamma, variance, epsilon)
        if expanded is not None:
            return expanded
        # `(x - mean) * inv`, then perhaps `* gamma` and `+ beta`
        products = self.users.get(inverse, [])
        if len(products) != 1 or products[0][0].op != "Mul":
            return None
        node, position = products[0]
        return self._around(node, self.rewriter.inputs(node)[1 - position], gamma, variance, epsilon)

    def _under(self, root: Node) -> tuple[Ref, float] | None:
        node = self.rewriter.producer(self.rewriter.inputs(root)[0])
        if node.op not in _SUMS:
            return None
        a, b = self.rewriter.inputs(node)
        for variance, added in ((a, b), (b, a)):
            value = self.rewriter.value(added)
            if value is not None and value.size == 1 and self._is_fixed(variance):
                return variance, float(value.reshape(-1)[0])
        return None

    def _is_fixed(self, ref: Ref) -> bool:
        return self.rewriter.resolve(ref).node in self.fixed

    def _expanded(self, inverse: Ref, gamma: Ref | None, variance: Ref, epsilon: float) -> Parameters | None:
        """`x * inv + (beta - mean * inv)`, `x * inv + (-mean) * inv`."""
        products = [(n, p) for n, p in self.users.get(inverse, []) if n.op == "Mul"]
        on_data = [(n, p) for n, p in products if not self._is_fixed(self.rewriter.inputs(n)[1 - p])]
        on_mean = [(n, p) for n, p in products if self._is_fixed(self.rewriter.inputs(n)[1 - p])]
        if len(on_data) != 1 or len(on_mean) != 1:
            return None
        scaled, position = on_data[0]
        x = self.rewriter.inputs(scaled)[1 - position]
        mean = self.rewriter.inputs(on_mean[0][0])[1 - on_mean[0][1]]
        total = self._only_user(Ref(scaled.name), _SUMS)
        if total is None:
            return None
        shift = next(ref for ref in self.rewriter.inputs(total) if ref != Ref(scaled.name))
        beta, mean_used = self._shift(shift, Ref(on_mean[0][0].name), mean)
        if mean_used is None:
            return None
        return self._replace(total, x, epsilon, gamma, beta, mean_used, variance)

    def _shift(self, shift: Ref, product: Ref, mean: Ref) -> tuple[Ref | None, Ref | None]:
        """Beta and mean of `beta - mean * inv` or `-mean * inv`; the mean is None if it is neither."""
        node = self.rewriter.producer(shift)
        if node.op == "Sub" and self.rewriter.inputs(node)[1] == product:
            return self.rewriter.inputs(node)[0], mean
        negated = self.rewriter.producer(mean)
        if shift == product and negated.op == "Neg":
            return None, self.rewriter.inputs(negated)[0]
        if node.op == "Neg" and self.rewriter.inputs(node)[0] == product:
            return None, mean
        return None, None

    def _around(self, node: Node, centred: Ref, gamma: Ref | None, variance: Ref, epsilon: float) -> Parameters | None:
        difference = self.rewriter.producer(centred)
        if difference.op == "Mul" and gamma is None:
            factors = self.rewriter.inputs(difference)
            gamma = next((ref for ref in factors if self._is_parameter(ref)), None)
            difference = self.rewriter.producer(factors[0] if gamma == factors[1] else factors[1])
        if difference.op != "Sub":
            return None
        x, mean = self.rewriter.inputs(difference)
        if self._is_fixed(x) or not self._is_fixed(mean):
            return None
        if gamma is None:
            node, gamma = self._then(node, {"Mul"})
        node, beta = self._then(node, _SUMS)
        return self._replace(node, x, epsilon, gamma, beta, mean, variance)

    def _then(self, node: Node, ops: frozenset[str] | set[str]) -> tuple[Node, Ref | None]:
        """The next op, if it is one of these with a fixed operand."""
        user = self._only_user(Ref(node.name), ops)
        if user is None:
            return node, None
        other = next((ref for ref in self.rewriter.inputs(user) if ref != Ref(node.name)), None)
        return (user, other) if other is not None and self._is_parameter(other) else (node, None)

    def _is_parameter(self, ref: Ref) -> bool:
        """A variable's reading, or in a frozen graph a constant vector."""
        if variable_behind(self.rewriter, ref) is not None:
            return True
        node = self.rewriter.node(behind(self.rewriter, ref).node)
        return node.op == "Const" and np.size(node.attribute("value")) > 1

    def _only_user(self, ref: Ref, ops: frozenset[str] | set[str]) -> Node | None:
        users = self.users.get(ref, [])
        return users[0][0] if len(users) == 1 and users[0][0].op in ops else None

    def _replace(
        self,
        node: Node,
        x: Ref,
        epsilon: float,
        gamma: Ref | None,
        beta: Ref | None,
        mean: Ref,
        variance: Ref,
    ) -> Parameters | None:
        """Puts a `BATCH_NORM` node in the place of the last op, where the parameters are vectors over the last axis."""
        channels = self.channels(variance)
        given = [ref for ref in (gamma, beta, mean, variance) if ref is not None]
        axes = {self._axis(ref) for ref in given} - {_ANY}
        if channels is None or len(axes) > 1 or None in axes:
            return None
        inputs = [x]
        for name, ref, value in (("gamma", gamma, 1), ("beta", beta, 0), ("mean", mean, 0), ("variance", variance, 1)):
            known = None if ref is None else self.rewriter.value(ref)
            if ref is None or (known is not None and known.size == 1):
                filled = np.full(channels, value if known is None else known.item(), np.float32)
                inputs.append(self.rewriter.constant(f"{node.name}/{name}", filled, 1))
                continue
            shape = self._shape(ref)
            if shape is None or len(shape) != 1:  # as a vector
                target = self.rewriter.constant(f"{ref.node}/flat_shape", np.array([-1], np.int32), 3)
                ref = self.rewriter.add(f"{ref.node}/flat", "Reshape", [ref, target], T=1, Tshape=3)
            inputs.append(ref)
        attributes = {"epsilon": epsilon, "axis": axes.pop() if axes else -1}
        self.rewriter.put(Node(node.name, BATCH_NORM, tuple(inputs), (), attributes))
        return Parameters(node.name, epsilon, gamma, beta, mean, variance)

    def _axis(self, ref: Ref) -> int | None:
        """The axis of x that a parameter goes along: that of a shape like [1, C, 1, 1], or the last.

        `_ANY` for what is computed from other parameters and follows them; None for what is no vector.
        """
        shape = self._shape(ref)
        if shape is None:
            return _ANY
        sizes = [i for i, size in enumerate(shape) if size != 1]
        if len(sizes) > 1:
            return None
        return -1 if len(shape) < 2 or not sizes or sizes[0] == len(shape) - 1 else sizes[0]

    def _shape(self, ref: Ref) -> tuple[int, ...] | None:
        """Of a Reshape to a constant shape (with -1 in it), a constant or a variable."""
        node = self.rewriter.producer(ref)
        while node.op in VARIABLE_READS:
            node = self.rewriter.producer(self.rewriter.inputs(node)[0])
        if node.op == "Reshape":
            shape = self.rewriter.value(self.rewriter.inputs(node)[1])
            return None if shape is None else tuple(int(size) for size in shape.reshape(-1))
        if node.op == "Const":
            return tuple(np.shape(node.attribute("value")))
        shape = node.attribute("shape") if node.op in VARIABLE_OPS else None
        return None if shape is None else tuple(size or -1 for size in shape)


def _fixed(rewriter: Rewriter, nodes: list[Node]) -> set[str]:
    """The nodes that no data gets into: what is computed from variables and constants alone."""
    fixed: set[str] = set()
    for node in nodes:
        inputs = rewriter.inputs(node)
        if node.op in SHAPE_OPS or node.op in PLACEHOLDERS or (not inputs and node.op not in VARIABLE_OPS | {"Const"}):
            continue
        if all(ref.node in fixed for ref in inputs):
            fixed.add(node.name)
    return fixed
