"""Constants that a frozen graph assigns to: freezing has taken the variables' ops away, and left their updates.

moving_mean = Const, AssignSub(moving_mean, (moving_mean - batch_mean) * (1 - decay))
"""

from __future__ import annotations

from exporter.formats.dtypes import DATA_TYPES
from exporter.formats.records import Array
from exporter.inference.graph.queries import ASSIGN_OPS
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node, Ref
from exporter.sources.model import Variable

__all__ = ["thaw"]


def thaw(rewriter: Rewriter) -> dict[str, Variable]:
    """Makes variables again of the constants that are assigned to, with the constant as value.

    Returns:
        The variables by the names of their nodes.
    """
    found: dict[str, Variable] = {}
    for node in rewriter.graph:
        if node.op not in ASSIGN_OPS or not node.inputs:
            continue
        target = rewriter.producer(node.inputs[0])
        if target.op == "Const" and target.name not in found:
            found[target.name] = _thawed(rewriter, target)
    return found


def _thawed(rewriter: Rewriter, node: Node) -> Variable:
    array = rewriter.value(Ref(node.name))
    assert array is not None
    number = node.attribute("dtype")
    rewriter.put(Node(node.name, "VariableV2", (), (), {"dtype": number, "shape": array.shape}))

    def read() -> Array:
        return array

    return Variable(node.name, node.name, DATA_TYPES[number].name, array.shape, read)
