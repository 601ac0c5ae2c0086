"""Reading and editing a graph: constants, replacing, removing what nothing uses, checking what always has to hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["check", "constant_array", "make_initializer", "remove_dead", "replace"]


def constant_array(value: ir.Value | None) -> npt.NDArray[Any] | None:
    """The array of an initializer (reading it, if it is read on demand); None for everything else."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    return value.const_value.numpy()


def make_initializer(graph: ir.Graph, name: str, array: npt.NDArray[Any]) -> ir.Value:
    """A new initializer; `name` gets a suffix `_1`, `_2`, ... if an initializer of the graph has it already."""
    unique, count = name, 0
    while unique in graph.initializers:
        count += 1
        unique = f"{name}_{count}"
    tensor = ir.tensor(np.ascontiguousarray(array) if array.ndim else array, name=unique)
    value = ir.Value(name=unique, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def replace(graph: ir.Graph, value: ir.Value, new_value: ir.Value) -> None:
    """Lets every user of `value`, and the graph's outputs, use `new_value`; an output keeps its name."""
    if value in graph.outputs:
        name = value.name
        if new_value in graph.inputs or new_value.is_initializer() or new_value in graph.outputs:
            return _replace_by_identity(graph, value, new_value)
        value.name = None if name is None else f"{name}/replaced"
        new_value.name = name
    ir.convenience.replace_all_uses_with(value, new_value, replace_graph_outputs=True)
    return None


def _replace_by_identity(graph: ir.Graph, value: ir.Value, new_value: ir.Value) -> None:
    """An output that would become an input, a constant or a second name of another output stays as an Identity."""
    name, producer = value.name, value.producer()
    value.name = None if name is None else f"{name}/replaced"
    node = ir.node("Identity", [new_value], metadata_props=dict(producer.metadata_props) if producer else None)
    output = node.outputs[0]
    output.name, output.shape, output.type = name, value.shape, value.type
    graph.append(node)
    ir.convenience.replace_all_uses_with(value, output, replace_graph_outputs=True)


def remove_dead(model: ir.Model) -> None:
    """Removes nodes whose results nothing uses, and initializers that no node uses."""
    graph = model.graph
    kept_outputs = set(graph.outputs)
    for node in reversed(graph):
        if not any(output.uses() or output in kept_outputs for output in node.outputs):
            graph.remove(node, safe=True)
    for name, value in list(graph.initializers.items()):
        if not value.uses() and value not in kept_outputs:
            del graph.initializers[name]


def check(model: ir.Model) -> None:
    """Raises AssertionError where an invariant of the IR is broken: a bug of ours, never of a model.

    Every value is produced before it is used, by one node, input or initializer of this graph; names are unique; the
    outputs exist and their dtype is known.
    """
    graph = model.graph
    known: set[ir.Value] = {*graph.inputs, *graph.initializers.values()}
    for node in graph:
        for value in node.inputs:
            assert value is None or value in known, f"{node.name}: input {value.name} is not defined before it"
        for output in node.outputs:
            assert output not in known, f"{node.name}: {output.name} is defined twice"
            known.add(output)
    for output in graph.outputs:
        assert output in known, f"output {output.name} is not computed"
        assert output.dtype is not None, f"output {output.name} has no dtype"
    names = [value.name for value in known if value.name]
    assert len(names) == len(set(names)), "two values have the same name"
