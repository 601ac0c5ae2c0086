"""Matrix products with a constant matrix as Dense."""

from __future__ import annotations

import onnx_ir as ir

from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op
from exporter.passes.naming import Namer
from exporter.passes.rewrite import put_instead

__all__ = ["matmul_to_dense"]


def matmul_to_dense(model: ir.Model) -> None:
    """MatMul(x, W) with x of rank 1 or more and a constant W[I, O] becomes Dense(x, W), which can hold a bias.

    In subgraphs, too.
    """
    constants, namer = Constants(), Namer(model.graph)
    for graph in (model.graph, *model.graph.subgraphs()):
        for node in list(graph):
            if is_op(node, "MatMul") and _fits(node, constants):
                put_instead(graph, namer, node, "Dense", node.inputs)


def _fits(node: ir.Node, constants: Constants) -> bool:
    x, w = node.inputs[0], node.inputs[1]
    if x is None or w is None or x.shape is None or w.shape is None or constants.is_constant(x):
        return False
    return len(w.shape) == 2 and len(x.shape) >= 1 and constants.is_constant(w)
