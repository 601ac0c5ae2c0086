"""What passes that recognise patterns have in common: telling operands apart, and putting one op for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.ops import domain_of
from exporter.passes.affine.affine_map import Array
from exporter.passes.naming import Namer

__all__ = ["put_instead", "with_number"]


def with_number(node: ir.Node) -> tuple[int, ir.Value, Array] | None:
    """Of an op on a tensor and one constant number: the tensor's index, the tensor, and the number without axes.

    None for any other op, and where the number's axes would give the result more than the tensor has.
    """
    if len(node.inputs) != 2:
        return None
    for index in (0, 1):
        x, number = node.inputs[index], constant_array(node.inputs[1 - index])
        if x is None or x.shape is None or number is None or number.size != 1 or number.ndim > len(x.shape):
            continue
        return None if constant_array(x) is not None else (index, x, number.reshape(()))
    return None


def put_instead(
    graph: ir.Graph,
    namer: Namer,
    node: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, int | float | Sequence[int]] | None = None,
) -> None:
    """Puts another op in the place of a node with one result, which keeps its name, shape, type and origin."""
    new = ir.node(
        op_type,
        inputs,
        attributes or {},
        domain=domain_of(op_type),
        name=namer.node(str(node.name)),
        metadata_props=dict(node.metadata_props),
    )
    graph.insert_before(node, new)
    old, result = node.outputs[0], new.outputs[0]
    result.shape, result.type = old.shape, old.type
    result.name, old.name = old.name, None
    ir.convenience.replace_all_uses_with(old, result, replace_graph_outputs=True)
    graph.remove(node, safe=True)
