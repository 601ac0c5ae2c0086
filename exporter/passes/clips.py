"""Lower and upper bounds as one Clip."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.ops import is_op
from exporter.passes.naming import Namer
from exporter.passes.rewrite import put_instead, with_number

__all__ = ["merge_clips"]


def merge_clips(model: ir.Model) -> None:
    """Min(Max(x, a), b), Min(Relu(x), b) and Max(Min(x, b), a) with numbers a <= b become Clip(x, a, b)."""
    graph = model.graph
    namer = Namer(graph)
    for node in list(graph):
        outer = with_number(node) if is_op(node, "Min", "Max") else None
        before = None if outer is None else outer[1].producer()
        if outer is None or before is None or len(outer[1].uses()) > 1 or outer[1].is_graph_output():
            continue
        x, first = before.inputs[0], np.zeros(())
        if node.op_type != "Min" or not is_op(before, "Relu"):
            inner = with_number(before) if is_op(before, "Max" if node.op_type == "Min" else "Min") else None
            if inner is None:
                continue
            _, x, first = inner
        low, high = (first, outer[2]) if node.op_type == "Min" else (outer[2], first)
        if x is not None and x.dtype is not None and low <= high:
            least = namer.constant(f"{node.name}/min", low.astype(x.dtype.numpy()))
            most = namer.constant(f"{node.name}/max", high.astype(x.dtype.numpy()))
            put_instead(graph, namer, node, "Clip", [x, least, most])
            graph.remove(before, safe=True)
    edit.remove_dead(model)
