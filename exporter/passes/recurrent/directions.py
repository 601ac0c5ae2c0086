"""Recurrent layers over a reversed sequence, whose results are reversed again, run backwards instead."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.edit import constant_array
from exporter.ir.ops import is_op
from exporter.passes.naming import Namer
from exporter.passes.recurrent.sizes import source

__all__ = ["run_backwards"]

_TIME_FIRST = [1, 0, 2]


def run_backwards(model: ir.Model) -> None:
    """Reverse(LSTM(Reverse(x))) becomes LSTM(x, direction="reverse"), as for GRU and RNN: the same numbers.

    The reversal is of all steps, or of each sequence's own, where the layer has the same lengths. A result that is
    read as it is, in the order in which it was computed, keeps both reversals.
    """
    graph = model.graph
    namer = Namer(graph)
    for node in list(graph):
        if not is_op(node, "GRU", "LSTM", "RNN") or node.attributes["direction"].as_string() != "forward":
            continue
        x = node.inputs[0]
        producer = None if x is None else x.producer()
        moved = is_op(producer, "Transpose") and producer is not None and _swaps(producer)
        reversal = producer.inputs[0].producer() if moved and producer and producer.inputs[0] else producer
        if reversal is None or not _reverses(reversal, 1 if moved else 0, node):
            continue
        ends = _ends(node)
        if ends is None:
            continue
        plain = reversal.inputs[0]
        if moved and producer is not None and x is not None:
            again = ir.node("Transpose", [plain], {"perm": _TIME_FIRST}, name=namer.node(str(producer.name)))
            again.outputs[0].name = namer.value(str(x.name))
            again.outputs[0].shape, again.outputs[0].type = x.shape, x.type
            graph.insert_before(node, again)
            plain = again.outputs[0]
        node.replace_input_with(0, plain)
        node.attributes["direction"] = ir.AttrString("direction", "reverse")
        for end in ends:
            assert end.inputs[0] is not None
            edit.replace(graph, end.outputs[0], end.inputs[0])
    edit.remove_dead(model)


def _ends(node: ir.Node) -> list[ir.Node] | None:
    """The reversals of a layer's outputs over all steps; None if these are read in any other way."""
    found: list[ir.Node] = []
    if node.outputs[0].is_graph_output():
        return None
    for use in node.outputs[0].uses():
        axes = constant_array(use.node.inputs[1]) if is_op(use.node, "Squeeze") and len(use.node.inputs) > 1 else None
        if axes is None or axes.tolist() != [1] or use.node.outputs[0].is_graph_output():
            return None
        for inner in use.node.outputs[0].uses():
            if _reverses(inner.node, 0, node):
                found.append(inner.node)
                continue
            if not is_op(inner.node, "Transpose") or not _swaps(inner.node) or inner.node.outputs[0].is_graph_output():
                return None
            last = [each.node for each in inner.node.outputs[0].uses()]
            if not all(_reverses(each, 1, node) for each in last):
                return None
            found += last
    return found


def _swaps(node: ir.Node) -> bool:
    return list(node.attributes["perm"].as_ints()) == _TIME_FIRST if "perm" in node.attributes else False


def _reverses(node: ir.Node, axis: int, layer: ir.Node) -> bool:
    """Whether a node reverses its first input along an axis: all of it, or the layer's sequences."""
    lengths = layer.inputs[4] if len(layer.inputs) > 4 else None
    if is_op(node, "ReverseSequence"):
        time = node.attributes["time_axis"].as_int() if "time_axis" in node.attributes else 0
        return time == axis and lengths is not None and _length(node.inputs[1]) is _length(lengths)
    if not is_op(node, "Slice") or lengths is not None or len(node.inputs) != 5:
        return False
    starts, stops, axes, steps = (constant_array(value) for value in node.inputs[1:])
    if starts is None or stops is None or axes is None or steps is None or axes.tolist() != [axis]:
        return False
    return starts.tolist() == steps.tolist() == [-1] and bool(stops[0] <= np.iinfo(np.int32).min)


def _length(value: ir.Value | None) -> ir.Value | None:
    """Lengths as they are given, without the bounds of the sequence."""
    value = source(value)
    for bound in ("Min", "Max"):
        node = None if value is None else value.producer()
        value = source(node.inputs[0]) if node is not None and is_op(node, bound) else value
    return value
