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
            x, w = node.inputs[:2] if is_op(node, "MatMul") else (None, None)
            if x is None or w is None or x.shape is None or w.shape is None:
                continue
            if len(x.shape) >= 1 and len(w.shape) == 2 and constants.is_constant(w) and not constants.is_constant(x):
                put_instead(graph, namer, node, "Dense", node.inputs)
