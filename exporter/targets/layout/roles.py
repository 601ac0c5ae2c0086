"""What each op of a channels-last graph demands of the layout of its inputs and outputs, when it becomes an ONNX op."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from exporter.ir.ops import CHANNELS_LAST, is_op
from exporter.ir.opset import record_of
from exporter.targets.layout.axes import Order, channels_first, identity, moves_only_ones
from exporter.targets.layout.features import Features
from exporter.targets.layout.reshapes import is_flatten, is_unflatten
from exporter.targets.layout.ties import Ties, rank_of, ties_of

__all__ = ["Fixed", "Role", "captured", "data_rank", "is_unit_reshape", "rigid", "role_of"]


@dataclass(frozen=True, slots=True)
class Fixed:
    """An op that takes and gives tensors in these orders, whatever is around it.

    Attributes:
        inputs: The order of each input; None where any will do.
        outputs: The order of each output.
        channels_first: Whether it is one of those for whose sake there are layouts.
    """

    inputs: tuple[Order | None, ...]
    outputs: tuple[Order, ...]
    channels_first: bool = False


Role = Fixed | Ties


def role_of(node: ir.Node, features: Features) -> Role:
    """An op works in one layout, or in any as long as that is the same all around it."""
    spatial = node.domain == CHANNELS_LAST and record_of(node.op_type).space
    if spatial or ((is_op(node, "BatchNormalization") or is_op(node, "Resize")) and rank_of(node.inputs[0]) > 2):
        order = channels_first(data_rank(node))
        parameters = tuple(identity(rank_of(value)) for value in node.inputs[1:])
        return Fixed((order, *parameters), (order,), channels_first=True)
    if node.op_type in {"Shape", "Size"}:
        return Fixed((None,), (identity(rank_of(node.outputs[0])),))
    if is_flatten(node) and features.can_permute(node.outputs[0]):
        return Fixed((None, *[()] * (len(node.inputs) - 1)), (identity(2),))
    if is_unflatten(node) and features.can_permute(node.inputs[0]):
        return Ties((None,) * len(node.inputs), (identity(rank_of(node.outputs[0])),))
    return ties_of(node) or _of_unit_reshape(node) or rigid(node)


def is_unit_reshape(node: ir.Node, role: Role) -> bool:
    """Whether a Reshape, not one between tensors and matrices, takes or gives a tensor in any order."""
    return node.op_type == "Reshape" and role.inputs[0] is None


def _of_unit_reshape(node: ir.Node) -> Role | None:
    """[N, 784] -> [N, 28, 28, 1] may as well become [N, 1, 28, 28]: with one channel no element moves. So backwards."""
    x, y = node.inputs[0], node.outputs[0]
    if node.op_type != "Reshape" or x is None or y.shape is None:
        return None
    if sum(not isinstance(size, int) for size in y.shape) > 1:
        return None
    if _has_unit_channels(y):
        return Ties((None,) * len(node.inputs), (identity(rank_of(y)),))
    if _has_unit_channels(x):
        return Fixed((None, *[()] * (len(node.inputs) - 1)), (identity(rank_of(y)),))
    return None


def _has_unit_channels(value: ir.Value) -> bool:
    rank = rank_of(value)
    return rank > 2 and moves_only_ones(value, identity(rank), channels_first(rank))


def data_rank(node: ir.Node) -> int:
    """The rank of the tensor that a channels-last op works on, if need be from its window."""
    if node.inputs[0] is not None and node.inputs[0].shape is not None:
        return rank_of(node.inputs[0])
    if node.op_type in {"Conv", "ConvTranspose"}:
        return rank_of(node.inputs[1])
    kernel_shape = node.attributes.get_ints("kernel_shape")
    return 4 if kernel_shape is None else len(kernel_shape) + 2


def captured(node: ir.Node) -> Iterator[ir.Value]:
    """The values that the subgraphs of a node use from around it."""
    for attribute in node.attributes.values():
        if attribute.type != ir.AttributeType.GRAPH:
            continue
        graph = attribute.as_graph()
        own = {*graph.inputs, *graph.initializers.values()}
        for inner in graph:
            own.update(inner.outputs)
        used = [value for inner in graph for value in (*inner.inputs, *captured(inner)) if value is not None]
        yield from (value for value in dict.fromkeys((*used, *graph.outputs)) if value not in own)


def rigid(node: ir.Node) -> Fixed:
    """An op that takes and gives everything as the IR has it."""
    orders = tuple(identity(rank_of(value)) for value in node.inputs)
    return Fixed(orders, tuple(identity(rank_of(value)) for value in node.outputs))
