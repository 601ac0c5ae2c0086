"""Reading and editing a graph: constants, replacing, removing what nothing uses, checking what always has to hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.dims import same_dim

__all__ = [
    "broadcasts_to",
    "check",
    "constant_array",
    "disconnect",
    "make_initializer",
    "remove_dead",
    "replace",
    "subgraphs",
]


def constant_array(value: ir.Value | None) -> npt.NDArray[Any] | None:
    """The array of an initializer (reading it, if it is read on demand); None for everything else."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    return value.const_value.numpy()


def broadcasts_to(value: ir.Value | None, x: ir.Value | None) -> bool:
    """Whether a value certainly broadcasts to the shape of x, without making it larger."""
    if value is None or x is None or value.shape is None or x.shape is None or len(value.shape) > len(x.shape):
        return False
    dims = x.shape.dims[len(x.shape) - len(value.shape) :]
    return all(own == 1 or same_dim(own, dim) for own, dim in zip(value.shape.dims, dims, strict=True))


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
        name, producer = value.name, value.producer()
        value.name = None if name is None else f"{name}/replaced"
        if new_value in graph.inputs or new_value.is_initializer() or new_value in graph.outputs:
            # one that would become an input, a constant or a second name of another output stays as an Identity
            origin = dict(producer.metadata_props) if producer else None
            node = ir.node("Identity", [new_value], metadata_props=origin)
            new_value = node.outputs[0]
            new_value.shape, new_value.type = value.shape, value.type
            graph.append(node)
        new_value.name = name
    ir.convenience.replace_all_uses_with(value, new_value, replace_graph_outputs=True)


def subgraphs(node: ir.Node) -> Sequence[ir.Graph]:
    """The subgraphs of a node, not those in them."""
    if not node.attributes:
        return ()
    return [entry.as_graph() for entry in node.attributes.values() if entry.type == ir.AttributeType.GRAPH]


def disconnect(graph: ir.Graph) -> None:
    """Lets the nodes of a graph that isn't wanted any more, and of its subgraphs, use nothing."""
    graph.outputs.clear()
    for node in graph:
        for inner in subgraphs(node):
            disconnect(inner)
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)


def remove_dead(model: ir.Model) -> None:
    """Removes nodes whose results nothing uses, also in subgraphs, and initializers that no node uses."""
    graph = model.graph
    _remove_dead_nodes(graph)
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output():
            del graph.initializers[name]


def _remove_dead_nodes(graph: ir.Graph) -> None:
    """Last ones first, so that what only they use is dead when its turn comes."""
    kept_outputs = set(graph.outputs)
    for node in reversed(graph):
        inner = list(subgraphs(node))
        if any(output.uses() or output in kept_outputs for output in node.outputs):
            for body in inner:
                _remove_dead_nodes(body)
            continue
        for body in inner:
            disconnect(body)
        graph.remove(node, safe=True)


def check(model: ir.Model) -> None:
    """Raises AssertionError where an invariant of the IR is broken: a bug of ours, never of a model.

    Every value is produced before it is used, by one node, input or initializer of its graph or of one around it; names
    are unique in a graph; the outputs exist and their dtype is known; subgraphs make their outputs themselves.
    """
    _check_graph(model.graph, frozenset())
    for output in model.graph.outputs:
        assert output.dtype is not None, f"output {output.name} has no dtype"


def _check_graph(graph: ir.Graph, around: frozenset[ir.Value]) -> None:
    known: set[ir.Value] = {*graph.inputs, *graph.initializers.values()}
    for node in graph:
        for value in node.inputs:
            assert value is None or value in known or value in around, (
                f"{node.name}: input {value.name} is not defined before it"
            )
        for inner in subgraphs(node):
            _check_graph(inner, around | known)
        for output in node.outputs:
            assert output not in known, f"{node.name}: {output.name} is defined twice"
            known.add(output)
    for output in graph.outputs:
        assert output in known, f"output {output.name} is not computed"
    names = [value.name for value in known if value.name]
    assert len(names) == len(set(names)), "two values have the same name"
