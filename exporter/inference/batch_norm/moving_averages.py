"""Which variable a graph averages a batch statistic into: read off the assignments, whatever the names are.

V <- V - (V - T) * k              assign_moving_average, ExponentialMovingAverage
V <- V * d + T * (1 - d)          written by hand
V <- T                            momentum 0, or a fused op that has averaged already
B <- B - (B - T) * k, V <- B / (1 - d^n)      zero debias
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exporter.inference.graph.queries import (
    ASSIGN_OPS,
    COSMETIC,
    FUSED_BATCH_NORMS,
    MERGES,
    MOMENTS,
    behind,
    over_batch,
    variable_behind,
)
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node, Ref

__all__ = ["Updates", "is_statistic"]

_SUMS = frozenset({"Add", "AddV2", "Sub", "AddN"})
_PRODUCTS = frozenset({"Mul", "RealDiv", "Div", "DivNoNan"})
_STEPS = frozenset({"AssignSub", "AssignSubVariableOp", "AssignAdd", "AssignAddVariableOp"})
_ARITHMETIC = _SUMS | _PRODUCTS | MERGES | {"Square", "Maximum", "Sqrt", "Relu", "Select", "SelectV2"}

_DEEPEST = 12


def is_statistic(rewriter: Rewriter, ref: Ref, depth: int = _DEEPEST) -> bool:
    """Whether a tensor is a statistic of the batch: a mean or sum over axis 0, or arithmetic on such."""
    ref = behind(rewriter, ref)
    node = rewriter.node(ref.node)
    if node.op in FUSED_BATCH_NORMS:
        return ref.port in (1, 2)
    if node.op in MOMENTS:
        return over_batch(rewriter, node) or (depth > 0 and is_statistic(rewriter, rewriter.inputs(node)[0], depth - 1))
    if node.op not in _ARITHMETIC or depth == 0:
        return False
    return any(is_statistic(rewriter, other, depth - 1) for other in rewriter.inputs(node))


class Updates:
    """The variables that batch statistics go into.

    Args:
        rewriter: The whole graph, assignments included.
        forward: Names of the nodes that the outputs need; of several variables that average one statistic, the one that
            is only written there is the moving statistic (batch renormalisation reads the others).
    """

    def __init__(self, rewriter: Rewriter, forward: frozenset[str]) -> None:
        self._rewriter = rewriter
        nodes = (rewriter.node(name) for name in dict.fromkeys((*rewriter.graph.nodes, *rewriter.added())))
        self._assigns = [node for node in nodes if node.op in ASSIGN_OPS and len(node.inputs) > 1]
        self._by_statistic: dict[Ref, str] = {}
        self._exact: dict[Ref, str] = {}
        self._copies: dict[str, str] = {}
        averaged: dict[str, list[Ref]] = {}
        for node in self._assigns:
            variable = variable_behind(rewriter, node.inputs[0])
            if variable is None or self._adds_up(node, variable):
                continue
            tensor = self._averaged(variable, rewriter.inputs(node)[1])
            if tensor is None:
                continue
            if is_statistic(rewriter, tensor):
                averaged.setdefault(variable, []).append(tensor)
            elif self._mentions(variable, rewriter.inputs(node)[1]) or node.op in _STEPS:
                copied = self._plain_read(tensor)
                if copied is not None and copied != variable:
                    self._copies.setdefault(variable, copied)
        final = self._averages_of_copies(averaged) | self._debiased(set(averaged))
        self.deviations = {name for name, tensors in averaged.items() if self._under_root(tensors[0]) is not None}
        averaged |= self._from_deviations(averaged)
        for variable in sorted(averaged, key=lambda name: (name not in forward, name)):
            statistic = final.get(variable, variable)
            for tensor in averaged[variable]:
                self._exact[rewriter.resolve(tensor)] = statistic
                for ref in self._views(tensor):
                    self._by_statistic[ref] = statistic

    def variable(self, statistic: Ref) -> str | None:
        """The variable (its node's name) that a batch statistic is averaged into."""
        return self._by_statistic.get(behind(self._rewriter, statistic))

    def averaged(self) -> list[tuple[Ref, str]]:
        """The very tensors that are averaged, which have the shape of their variables."""
        return list(self._exact.items())

    def statistics(self) -> list[tuple[Ref, str]]:
        """The statistics themselves, behind squeezes and the like, so perhaps of another shape."""
        return list(self._by_statistic.items())

    def shadows(self) -> dict[str, str]:
        """Variables that average another variable: that one's name to the shadow's."""
        return {copied: shadow for shadow, copied in self._copies.items()}

    def _adds_up(self, node: Node, variable: str) -> bool:
        """Whether it adds whole statistics to the variable, `V <- V + T`: a sum over the steps, and no average."""
        rewriter = self._rewriter
        ref = rewriter.inputs(node)[1]
        if node.op in ("Assign", "AssignVariableOp"):
            total = rewriter.node(behind(rewriter, ref).node)
            if total.op not in ("Add", "AddV2"):
                return False
            a, b = rewriter.inputs(total)
            ref = b if self._plain_read(a) == variable else a
        elif node.op not in ("AssignAdd", "AssignAddVariableOp"):
            return False
        whole = rewriter.node(behind(rewriter, ref).node)
        return whole.op in MOMENTS | FUSED_BATCH_NORMS and is_statistic(rewriter, ref)

    def _under_root(self, tensor: Ref) -> Ref | None:
        """The variance of `sqrt(variance + epsilon)`."""
        root = self._rewriter.node(behind(self._rewriter, tensor).node)
        if root.op != "Sqrt":
            return None
        total = self._rewriter.producer(self._rewriter.inputs(root)[0])
        terms = self._rewriter.inputs(total) if total.op in _SUMS else ()
        return next((term for term in terms if is_statistic(self._rewriter, term)), None)

    def _from_deviations(self, averaged: Mapping[str, list[Ref]]) -> dict[str, list[Ref]]:
        """Moving variances that are computed from an averaged standard deviation: `V <- A * A - epsilon`."""
        found: dict[str, list[Ref]] = {}
        for node in self._assigns:
            target = variable_behind(self._rewriter, node.inputs[0])
            if target is None or target in averaged:
                continue
            source = self._squared(self._rewriter.inputs(node)[1])
            tensors = averaged[source] if source in self.deviations else []
            variances = [self._under_root(tensor) for tensor in tensors]
            if variances:
                found[target] = [variance for variance in variances if variance is not None]
        return found

    def _squared(self, ref: Ref, depth: int = _DEEPEST) -> str | None:
        """The variable whose square, less a constant, a value is."""
        node = self._rewriter.producer(ref)
        if node.op in ASSIGN_OPS or depth == 0:
            return variable_behind(self._rewriter, node.inputs[0])
        read = variable_behind(self._rewriter, ref)
        if read is not None or node.op not in {"Relu", "Maximum", "Sub", "Mul", "Square"} | COSMETIC:
            return read
        found = (self._squared(other, depth - 1) for other in self._rewriter.inputs(node))
        return next((name for name in found if name is not None), None)

    def _averages_of_copies(self, averaged: Mapping[str, list[Ref]]) -> dict[str, str]:
        """A variable that the last batch's statistic is just copied to, and which another one averages."""
        shadows = self.shadows()
        statistics = {self._rewriter.resolve(ref) for tensors in averaged.values() for ref in tensors}
        plain = {
            variable_behind(self._rewriter, node.inputs[0])
            for node in self._assigns
            if node.op in ("Assign", "AssignVariableOp") and self._rewriter.inputs(node)[1] in statistics
        }
        return {variable: shadows[variable] for variable in averaged if variable in plain and variable in shadows}

    def _plain_read(self, tensor: Ref) -> str | None:
        return variable_behind(self._rewriter, tensor)

    def _averaged(self, variable: str, ref: Ref, depth: int = _DEEPEST) -> Ref | None:
        """The tensor T that an assigned value averages into the variable V; None if the value isn't of such a form."""
        ref = self._rewriter.resolve(ref)
        node = self._rewriter.node(ref.node)
        if depth == 0:
            return None
        if not self._mentions(variable, ref):
            return ref
        inputs = self._rewriter.inputs(node)
        if node.op in COSMETIC:
            return self._averaged(variable, inputs[0], depth - 1)
        mine = [other for other in inputs if self._mentions(variable, other)]
        others = [other for other in inputs if other not in mine]
        if node.op in _PRODUCTS:
            return self._averaged(variable, mine[0], depth - 1) if len(mine) == 1 else None
        if node.op not in _SUMS or len(inputs) != 2:
            return None
        if len(mine) == 2:
            inner = [other for other in mine if self._plain_read(other) != variable]
            return self._averaged(variable, inner[0], depth - 1) if len(inner) == 1 else None
        if self._plain_read(mine[0]) == variable:
            return others[0]
        # T of `T * (1 - d)`
        product = self._rewriter.producer(others[0])
        inputs = self._rewriter.inputs(product) if product.op in _PRODUCTS else ()
        factors = [other for other in inputs if is_statistic(self._rewriter, other)]
        return factors[0] if len(factors) == 1 else others[0]

    def _mentions(self, variable: str, ref: Ref, depth: int = _DEEPEST) -> bool:
        """Whether a tensor is the variable, or plain arithmetic on it."""
        node = self._rewriter.producer(ref)
        if node.name == variable:
            return True
        if depth == 0 or node.op not in _SUMS | _PRODUCTS | COSMETIC | {"ReadVariableOp"}:
            return False
        return any(self._mentions(variable, other, depth - 1) for other in self._rewriter.inputs(node))

    def _debiased(self, averaged: set[str]) -> dict[str, str]:
        """For a biased average, the variable that gets its debiased value."""
        found: dict[str, str] = {}
        for node in self._assigns:
            target = variable_behind(self._rewriter, node.inputs[0])
            if target is None or target in averaged:
                continue
            biased = self._divided(self._rewriter.inputs(node)[1], averaged)
            if biased is not None:
                found[biased] = target
        return found

    def _divided(self, ref: Ref, averaged: set[str], divided: bool = False, depth: int = _DEEPEST) -> str | None:
        """The averaged variable that a value is a quotient of: `V - B / (1 - d^n)`, with B possibly just assigned."""
        node = self._rewriter.producer(ref)
        if node.name in averaged:
            return node.name if divided else None
        if depth == 0 or node.op not in _SUMS | _PRODUCTS | COSMETIC | ASSIGN_OPS | {"ReadVariableOp"}:
            return None
        inputs = self._rewriter.inputs(node)
        if node.op in ("RealDiv", "Div"):
            return self._divided(inputs[0], averaged, True, depth - 1)
        found = (self._divided(other, averaged, divided, depth - 1) for other in inputs)
        return next((name for name in found if name is not None), None)

    def _views(self, tensor: Ref) -> Iterator[Ref]:
        """The statistic itself, and what it still is behind a bias correction or a mean over virtual batches."""
        ref = behind(self._rewriter, tensor)
        yield ref
        node = self._rewriter.node(ref.node)
        while node.op in _PRODUCTS or (node.op == "Mean" and not over_batch(self._rewriter, node)):
            inner = [other for other in self._rewriter.inputs(node) if is_statistic(self._rewriter, other)]
            if len(inner) != 1:
                return
            ref = behind(self._rewriter, inner[0])
            node = self._rewriter.node(ref.node)
            if node.op == "Sum":
                return
            yield ref
