"""Computes at export time what doesn't depend on the inputs."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from exporter.errors import LimitError
from exporter.ir import edit
from exporter.ir.evaluate import MADE_OF, Constants
from exporter.ir.opset import record_of
from exporter.ir.order import is_as_written
from exporter.passes.naming import Namer

__all__ = ["fold_constants"]

_SMALL = 1 << 20
"""Bytes up to which a constant may be larger than what it is made of."""

_LEFT = "bytes_left_to_fold"
_FREE, _PER_BYTE = 1 << 28, 16
"""Bytes of all results together, whatever they are made of; and bytes more for each byte that the model stores."""


def fold_constants(model: ir.Model, *, exact: bool = False) -> None:
    """Replaces what only initializers determine by its value, computed in float64 and rounded once, at the end.

    Nodes that make much of little (an Expand to a large shape) stay, and those that take too much work, or too much
    memory together.

    Args:
        model: Is changed.
        exact: Leave out what would be rounded differently at run time: float arithmetic.
    """
    graph = model.graph
    stored, precise, namer = Constants(None), Constants(), Namer(graph)
    rounded = _rounded(graph)
    kept = {node for node in graph if _stays(node, precise)}
    if exact:
        kept |= {node for node in graph if rounded.intersection(node.outputs)}
    moved: list[tuple[ir.Value, str]] = []
    if _LEFT not in model.meta:  # the first call counts what the model stores, the next ones go on from there
        model.meta[_LEFT] = _FREE + _PER_BYTE * sum(_size(value) or 0 for value in graph.initializers.values())
    left = int(model.meta[_LEFT])
    for node in list(graph):
        if node in kept:
            continue
        for output in node.outputs:
            if not precise.is_constant(output):
                continue
            users = [user for user, _ in output.uses() if user in kept or not precise.is_constant(user.outputs[0])]
            if not users and not output.is_graph_output():
                continue
            size = _size(output) or 0
            if size > left:
                continue
            origin = None if output in rounded else _origin(output)
            constant = _fold(graph, precise if output in rounded else stored, namer, output)
            if constant is None:
                continue
            left -= size
            if origin is not None:
                moved.append((constant, origin))
    model.meta[_LEFT] = left
    edit.remove_dead(model)
    _inherit_names(graph, moved)


def _origin(value: ir.Value) -> str | None:
    """The weights that a constant is another form of, as a transposed or reshaped kernel."""
    while (node := value.producer()) is not None:
        if record_of(node.op_type).form is None or node.inputs[0] is None:
            return None
        value = node.inputs[0]
    return value.name if value.dtype is not None and value.dtype.is_floating_point() else None


def _inherit_names(graph: ir.Graph, moved: list[tuple[ir.Value, str]]) -> None:
    """Weights in another form are called as they were, if the first form is gone."""
    names = {value.name for value in (*graph.inputs, *graph.initializers.values())}
    names |= {output.name for node in graph for output in node.outputs}
    for constant, origin in moved:
        if constant.name is not None and constant.name in graph.initializers and origin not in names:
            del graph.initializers[constant.name]
            names.add(origin)
            names.discard(constant.name)
            constant.name = origin
            graph.register_initializer(constant)


def _rounded(graph: ir.Graph) -> set[ir.Value]:
    """What float arithmetic has gone into: the rest is moved about only, and can be computed as it is stored."""
    found: set[ir.Value] = set()
    for node in graph:
        values = [value for value in (*node.inputs, *node.outputs) if value is not None]
        floats = any(value.dtype is None or value.dtype.is_floating_point() for value in values)
        exact = not floats or record_of(node.op_type).exact or is_as_written(node)
        if not exact or found.intersection(values):
            found.update(node.outputs)
    return found


def _fold(graph: ir.Graph, constants: Constants, namer: Namer, value: ir.Value) -> ir.Value | None:
    """The initializer in a value's place; None where computing it takes too much."""
    assert value.dtype is not None
    try:
        array = constants.compute(value)
    except LimitError:
        return None
    with np.errstate(over="ignore"):
        constant = namer.constant(str(value.name), array.astype(value.dtype.numpy(), copy=False))
    constant.meta[MADE_OF] = constants.made_of(value)
    if value.is_graph_output():
        edit.replace(graph, value, constant)
        return constant
    name, value.name = str(value.name), None
    del graph.initializers[str(constant.name)]
    constant.name = name
    graph.register_initializer(constant)
    ir.convenience.replace_all_uses_with(value, constant)
    return constant


def _stays(node: ir.Node, constants: Constants) -> bool:
    """Whether a node's constant results are much larger than its inputs."""
    if not all(constants.is_constant(output) for output in node.outputs):
        return False
    made = [_size(output) for output in node.outputs]
    given = [_size(value) or 0 for value in node.inputs if value is not None]
    if any(size is None for size in made):
        return node.op_type in ("ConstantOfShape", "Expand", "Range", "Tile")
    total = sum(size for size in made if size is not None)
    return total > _SMALL and total > 2 * sum(given)


def _size(value: ir.Value) -> int | None:
    """Bytes; None if the shape isn't known."""
    if value.shape is None or value.dtype is None or not all(isinstance(dim, int) for dim in value.shape.dims):
        return None
    return prod(dim for dim in value.shape.dims if isinstance(dim, int)) * value.dtype.numpy().itemsize
