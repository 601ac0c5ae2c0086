"""How much work a model is, from its shapes alone, so that what depends on it doesn't depend on the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import onnx_ir as ir

__all__ = ["effort", "node_operations", "operations", "sizes_in"]

_FEW_NODES, _PER_NODE = 10_000, 1 << 20
"""How many nodes take no time to speak of by themselves, and the operations that each of the others is as long as."""


def operations(model: ir.Model, sizes: Mapping[str, int]) -> int:
    """Multiplications and additions of the convolutions and matrix products.

    Args:
        model: A channels-last model.
        sizes: What open sizes are; those that aren't given count as 1.
    """
    return sum(node_operations(node, sizes) for node in model.graph.all_nodes())


def effort(model: ir.Model, shapes: Mapping[str, Sequence[int]]) -> int:
    """`operations` on inputs of these shapes, and more for a graph of very many nodes, which take time by themselves.

    Args:
        model: A channels-last model.
        shapes: Of its inputs, by name.
    """
    nodes = sum(1 for _ in model.graph.all_nodes())
    return operations(model, sizes_in(model, shapes)) + _PER_NODE * max(nodes - _FEW_NODES, 0)


def sizes_in(model: ir.Model, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The open sizes that a model's inputs have in these shapes, which are by name."""
    sizes: dict[str, int] = {}
    for value in model.graph.inputs:
        if value.shape is None:
            continue
        for dim, size in zip(value.shape.dims, shapes[str(value.name)], strict=True):
            if not isinstance(dim, int) and dim.value is not None:
                sizes[dim.value] = size
    return sizes


def node_operations(node: ir.Node, sizes: Mapping[str, int]) -> int:
    """The same of one node; 0 if it is neither a convolution nor a product."""
    if len(node.inputs) < 2 or node.inputs[0] is None or node.inputs[1] is None:
        return 0
    x, kernel, y = _shape(node.inputs[0], sizes), _shape(node.inputs[1], sizes), _shape(node.outputs[0], sizes)
    if node.op_type == "Conv":
        return 2 * prod(y) * prod(kernel[:-1])
    if node.op_type == "ConvTranspose":
        return 2 * prod(x) * prod(kernel[:-1])
    if node.op_type in {"Dense", "MatMul", "Gemm"} and x:
        return 2 * prod(y) * x[-1]
    return 0


def _shape(value: ir.Value, sizes: Mapping[str, int]) -> list[int]:
    return [] if value.shape is None else [_size(dim, sizes) for dim in value.shape.dims]


def _size(dim: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int:
    if isinstance(dim, int):
        return dim
    if dim.value is None:
        return 1
    if dim.value in sizes:
        return sizes[dim.value]
    if not dim.free_symbols() <= sizes.keys():
        return 1
    found = dim.evaluate(dict(sizes))
    return found if isinstance(found, int) else 1
