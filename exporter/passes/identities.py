"""Removes ops that give back what they are given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.dims import same_dim
from exporter.ir.edit import constant_array
from exporter.ir.ops import is_op

__all__ = ["remove_identities"]


def remove_identities(model: ir.Model) -> None:
    """Identity, Dropout, Cast to the same type, Pad by nothing, Slice of everything, reshape to the same shape, ...

    A Cast to a wider type and back, and the Not of a condition of Where, are left out too.

    An output of the model that is an input, a constant, or a second name of another output keeps an Identity.
    """
    graph = model.graph
    _join_casts(graph)
    _turn_conditions(graph)
    _constants_behind(graph)
    for node in list(graph):
        rule = _RULES.get(node.op_type)
        if rule is None or not is_op(node, node.op_type) or not node.outputs or node.inputs[0] is None:
            continue
        if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]) or not rule(node):
            continue
        source, result = node.inputs[0], node.outputs[0]
        if _needs_a_name(source, result):
            continue
        edit.replace(graph, result, source)
        graph.remove(node, safe=True)
    edit.remove_dead(model)


def _needs_a_name(source: ir.Value, result: ir.Value) -> bool:
    """Whether a result is an output of the model that the source can't be, as it is an input, a constant or another."""
    return result.is_graph_output() and (source.producer() is None or source.is_graph_output())


def _turn_conditions(graph: ir.Graph) -> None:
    """Where(Not(c), a, b) becomes Where(c, b, a)."""
    for node in graph:
        condition = node.inputs[0] if is_op(node, "Where") else None
        opposite = None if condition is None else condition.producer()
        if opposite is not None and is_op(opposite, "Not"):
            a, b = node.inputs[1:]
            for index, value in enumerate((opposite.inputs[0], b, a)):
                node.replace_input_with(index, value)


def _adds_nothing(node: ir.Node) -> bool:
    """The sum of integers and 0, of the same shape; floats have -0, which 0 makes 0."""
    x, y = node.inputs[0], constant_array(node.inputs[1])
    if x is None or x.dtype is None or not x.dtype.is_integer() or y is None:
        return False
    return not y.any() and _certainly_same_shape(node)


def _constants_behind(graph: ir.Graph) -> None:
    """Of a sum of integers, a constant comes second."""
    for node in graph:
        x = node.inputs[0] if is_op(node, "Add") else None
        if x is not None and x.dtype is not None and x.dtype.is_integer() and constant_array(x) is not None:
            other = node.inputs[1]
            node.replace_input_with(1, x)
            node.replace_input_with(0, other)


def _always(node: ir.Node) -> bool:
    return True


def _same_shape(node: ir.Node) -> bool:
    """With as many elements, one size that isn't known must be the same too."""
    x, y = node.inputs[0], node.outputs[0]
    if x is None or x.shape is None or y.shape is None or len(x.shape) != len(y.shape):
        return False
    pairs = list(zip(x.shape.dims, y.shape.dims, strict=True))
    different = [pair for pair in pairs if not same_dim(*pair)]
    zero = any(dim == 0 for pair in pairs for dim in pair)
    return not different or (len(different) == 1 and not zero and not all(isinstance(d, int) for d in different[0]))


def _certainly_same_shape(node: ir.Node) -> bool:
    x, y = node.inputs[0], node.outputs[0]
    if x is None or x.shape is None or y.shape is None or len(x.shape) != len(y.shape):
        return False
    return all(same_dim(a, b) for a, b in zip(x.shape.dims, y.shape.dims, strict=True))


def _cast(node: ir.Node) -> bool:
    x = node.inputs[0]
    return x is not None and x.dtype is not None and node.attributes["to"].as_int() == x.dtype.value


_WIDER = {ir.DataType.FLOAT16: "FLOAT DOUBLE", ir.DataType.BFLOAT16: "FLOAT DOUBLE", ir.DataType.FLOAT: "DOUBLE"}
"""Float types that hold every number of another."""


def _join_casts(graph: ir.Graph) -> None:
    """Cast(Cast(x)) back to x's type, through a wider one, becomes x."""
    for node in list(graph):
        middle = node.inputs[0] if is_op(node, "Cast") else None
        before = None if middle is None else middle.producer()
        if before is None or not is_op(before, "Cast") or before.inputs[0] is None or middle is None:
            continue
        source, result = before.inputs[0], node.outputs[0]
        if source.dtype is None or middle.dtype is None or result.dtype != source.dtype:
            continue
        if middle.dtype.name in _WIDER.get(source.dtype, "").split() and not _needs_a_name(source, result):
            edit.replace(graph, result, source)
            graph.remove(node, safe=True)


def _input_is(index: int, wanted: int) -> Callable[[ir.Node], bool]:
    def rule(node: ir.Node) -> bool:
        array = constant_array(node.inputs[index]) if index < len(node.inputs) else None
        return array is not None and bool(np.all(array == wanted))

    return rule


def _slice(node: ir.Node) -> bool:
    starts, ends = (constant_array(node.inputs[i]) for i in (1, 2))
    steps = constant_array(node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] is not None else np.ones(1)
    if starts is None or ends is None or steps is None or np.any(starts != 0) or np.any(steps != 1):
        return False
    return bool(np.all(ends >= np.iinfo(np.int32).max)) or _certainly_same_shape(node)


def _one_input(node: ir.Node) -> bool:
    return len(node.inputs) == 1


def _one_output(node: ir.Node) -> bool:
    return len(node.outputs) == 1


def _transpose(node: ir.Node) -> bool:
    if "perm" not in node.attributes:
        return False
    perm = list(node.attributes["perm"].as_ints())
    return perm == sorted(perm)


def _no_bounds(node: ir.Node) -> bool:
    return all(value is None for value in node.inputs[1:])


def _pool(node: ir.Node) -> bool:
    def all_are(name: str, wanted: int) -> bool:
        return name not in node.attributes or all(i == wanted for i in node.attributes[name].as_ints())

    return all_are("kernel_shape", 1) and all_are("strides", 1) and all_are("pads", 0)


_RULES: dict[str, Callable[[ir.Node], bool]] = {
    "Add": _adds_nothing,
    "AveragePool": _pool,
    "Cast": _cast,
    "Clip": _no_bounds,
    "Concat": _one_input,
    "Dropout": _always,
    "Expand": _certainly_same_shape,
    "Flatten": _same_shape,
    "Identity": _always,
    "Max": _one_input,
    "MaxPool": _pool,
    "Mean": _one_input,
    "Min": _one_input,
    "Pad": _input_is(1, 0),
    "Reshape": _same_shape,
    "Slice": _slice,
    "Split": _one_output,
    "Squeeze": _same_shape,
    "Sum": _one_input,
    "Tile": _input_is(1, 1),
    "Transpose": _transpose,
    "Unsqueeze": _same_shape,
}
