"""What only looks at a network: checks, prints, summaries, and the arithmetic that makes numbers for them.

scalar_summary(mean(cast(equal(activation, 0))))     how many zeros a layer gives
assert(all(is_finite(y)))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from exporter.inference.graph.op_types import LOSS_ARITHMETIC, NO_VALUE
from exporter.inference.graph.queries import BOOL, COSMETIC, MERGES, PREDICATES, SWITCHES, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.graph.rounds import rounds
from exporter.sources.graph import Node, Ref

__all__ = ["Watching"]

_CHECKS = PREDICATES | {"IsFinite", "IsInf", "IsNan", "All", "Any"}
_TEXTS = frozenset({"AsString", "EncodeJpeg", "EncodePng", "StringFormat", "StringJoin"})
_IFS = frozenset({"If", "StatelessIf"})
_CONDITIONS = MERGES | SWITCHES | _IFS
_STATISTICS = LOSS_ARITHMETIC | COSMETIC | _CHECKS | _CONDITIONS | {"Max", "Min"}

_ELEMENTWISE = frozenset({"Add", "AddV2", "Identity", "Mul", "Sub"})
"""What a result is scaled and named by at its end, and no summary of it: of a result that is shown, it is a part."""


class Watching:
    """Tells what looks at a network from the network.

    Args:
        rewriter: The graph.
        nodes: The nodes that layers contribute to and labels don't.
        users: For each node the nodes that use its results.
        gradients: Names of the nodes of backpropagation.

    Attributes:
        only: Names of the nodes that make what is only looked at.
        watched: The tensors that are looked at, by way of these nodes or directly.
    """

    def __init__(
        self, rewriter: Rewriter, nodes: Iterable[Node], users: Mapping[str, Sequence[Node]], gradients: Set[str]
    ) -> None:
        self._rewriter = rewriter
        self._nodes = {node.name: node for node in nodes}
        self._users = users
        self._gradients = gradients
        self.only = self._checks()
        self.watched: set[Ref] = set()
        for node in self._nodes.values():
            readers = [user for user in users.get(node.name, ()) if user.name not in self.only]
            # summaries alone use it, as numbers; an image may well be a result
            shown = bool(readers) and all(user.op in NO_VALUE and user.op != "ImageSummary" for user in readers)
            if node.name not in self.only and shown:
                self._follow(node)
        self.watched = {ref for ref in self.watched if ref.node not in self.only}

    def _checks(self) -> set[str]:
        """What ends in a check or a text: nobody computes on with it."""
        found: set[str] = set()
        for _ in rounds("finding the graph's checks"):
            size = len(found)
            found |= {node.name for node in self._nodes.values() if self._is_check(node, found)}
            if len(found) == size:
                break
        return found

    def _is_check(self, node: Node, found: Set[str]) -> bool:
        users = self._users.get(node.name, ())
        if node.op == "CheckNumerics" and not users:
            return True
        if node.op in SWITCHES | _IFS:
            return self._guards(node)
        if node.op == "Identity" and users:
            return all(self._guards(user) and self._rewriter.inputs(user)[1].node == node.name for user in users)
        looking = all(user.op in NO_VALUE or user.name in found or self._guards(user) for user in users)
        return bool(users) and looking and node.op in _CHECKS | _TEXTS | {"CheckNumerics"}

    def _guards(self, node: Node) -> bool:
        """Whether it chooses between a check and nothing: `tf.Assert` puts its data into a condition."""
        return (node.op in SWITCHES or _checks(node)) and self._leads_nowhere(node)

    def _leads_nowhere(self, node: Node, depth: int = 6) -> bool:
        if node.op in NO_VALUE or depth == 0:
            return depth > 0
        passes = node.op in SWITCHES | MERGES | {"Identity"} or _checks(node)
        return passes and all(self._leads_nowhere(user, depth - 1) for user in self._users.get(node.name, ()))

    def _follow(self, shown: Node) -> None:
        """From what is shown back to what it says something of; losses, which have gradients, aren't meant."""
        made = {shown.name} if self._is_statistic(shown) else set[str]()
        for _ in rounds("finding what summaries show"):
            size, serving = len(made), made | self.only | self._gradients
            for ref in self._behind(made):
                users = {user.name for user in self._users.get(ref.node, ())}
                if users <= serving and self._is_statistic(self._nodes[ref.node]):
                    made.add(ref.node)
            if len(made) == size:
                break
        if any(user.name in self._gradients for name in made for user in self._users.get(name, ())):
            return
        # the end of the network itself, scaled or named: layers use nothing before it
        readers = {user.name for ref in self._behind(made) for user in self._users.get(ref.node, ())}
        if readers & self._nodes.keys() <= made | self.only and {self._nodes[n].op for n in made} <= _ELEMENTWISE:
            made = set()
        self.only |= made
        self.watched |= self._behind(made) if made else {Ref(shown.name)}

    def _behind(self, made: Set[str]) -> set[Ref]:
        """What the nodes are computed from."""
        refs = {ref for name in made for ref in self._rewriter.inputs(self._nodes[name])}
        return {ref for ref in refs if ref.node in self._nodes and ref.node not in made}

    def _is_statistic(self, node: Node) -> bool:
        inputs = self._rewriter.inputs(node)
        weighted = any(ref.node in self._nodes for ref in inputs)
        of_weights = any(variable_behind(self._rewriter, ref) is not None for ref in inputs)
        return node.op in _STATISTICS and weighted and not of_weights


def _checks(node: Node) -> bool:
    """Whether it is a condition that gives nothing, or but the truth values that a check gives."""
    return node.op in _IFS and all(kind == BOOL for kind in node.attribute("Tout", ()) or ())
