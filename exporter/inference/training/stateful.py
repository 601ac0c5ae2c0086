"""Variables that a model changes at every call, as a stateful RNN does: an exported model can't, and that is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set

from exporter.inference.graph.op_types import GRADIENT_OPS
from exporter.inference.graph.queries import ASSIGN_OPS, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Ref

__all__ = ["states"]

_GRADIENTS = re.compile(r"(^|/)gradients(_\d+)?/")


def states(rewriter: Rewriter, needed: Set[str], inputs: Iterable[Ref], others: Set[str]) -> list[str]:
    """The variables that the outputs need and that are assigned what is computed from the inputs.

    Args:
        rewriter: The whole graph.
        needed: Names of the nodes that the outputs need.
        inputs: The model's inputs, of which the outputs may not need some.
        others: Variables that are known to be assigned to for another reason, such as moving statistics.
    """
    read = {ref for name in needed for ref in rewriter.inputs(rewriter.node(name))}
    given = {ref.node for ref in inputs if ref in read}
    found: dict[str, None] = {}
    for name in dict.fromkeys((*rewriter.graph.nodes, *rewriter.added())):
        node = rewriter.node(name)
        if node.op not in ASSIGN_OPS or len(node.inputs) < 2:
            continue
        variable = variable_behind(rewriter, node.inputs[0])
        if variable is None or variable not in needed or variable in others or variable in found:
            continue
        nodes = rewriter.order(rewriter.inputs(node)[1:])
        trains = any(other.op in GRADIENT_OPS or _GRADIENTS.search(other.name) for other in nodes)
        if not trains and any(other.name in given for other in nodes):
            found[variable] = None
    return list(found)
