"""Hard sigmoids that are written as arithmetic."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.edit import constant_array
from exporter.ir.ops import is_op
from exporter.passes.naming import Namer
from exporter.passes.rewrite import put_instead, with_number

__all__ = ["merge_hard_sigmoids"]


def merge_hard_sigmoids(model: ir.Model) -> None:
    """Clip(x + b, 0, h) / h, or times 1 / h, becomes HardSigmoid(x), alpha = 1 / h and beta = b / h, as in MobileNetV3.

    The steps between must have no other readers. 1 / h may be rounded: within one rounding error of it.
    """
    graph = model.graph
    namer = Namer(graph)
    for node in list(graph):
        scaled = with_number(node) if is_op(node, "Mul", "Div") else None
        if scaled is None or (node.op_type == "Div" and (scaled[0] == 1 or scaled[2] == 0)):
            continue
        alpha = float(1 / scaled[2] if node.op_type == "Div" else scaled[2])
        clip = _only_read_here(scaled[1])
        if clip is None or not is_op(clip, "Clip") or clip.inputs[0] is None:
            continue
        bounds = [array for array in map(constant_array, clip.inputs[1:3]) if array is not None and array.size == 1]
        if len(bounds) < 2:
            continue
        low, high = (float(array.reshape(-1)[0]) for array in bounds)
        if low != 0 or high <= 0 or abs(alpha * high - 1) > np.finfo(np.float32).eps:
            continue
        add = _only_read_here(clip.inputs[0])
        shifted = with_number(add) if is_op(add, "Add") and add is not None else None
        if shifted is not None:
            attributes = {"alpha": 1 / high, "beta": float(shifted[2]) / high}
            put_instead(graph, namer, node, "HardSigmoid", [shifted[1]], attributes)
    edit.remove_dead(model)


def _only_read_here(value: ir.Value) -> ir.Node | None:
    """The producer of a value with one reader."""
    return None if len(value.uses()) > 1 or value.is_graph_output() else value.producer()
