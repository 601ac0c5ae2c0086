"""The IR, which is channels-last, as standard ONNX ops, which want the channels first, with few Transposes.

    image [N, H, W, 3] -- Transpose -- convolutions, pools, concats, residuals ... -- Gemm -- logits [N, 10]

One Transpose at each image input, none inside a convolutional network, and none before or after dense layers, whose
matrices are permuted instead. A Transpose in the IR is only another name for the same tensor's axes, so that a model
that was written channels-first comes out without any.
"""

from __future__ import annotations

from typing import Literal

import onnx_ir as ir

from exporter.ir.ops import ML, ML_OPSET, is_op
from exporter.targets.layout.any_layout import ANY_LAYOUT
from exporter.targets.layout.assignment import Layout, choose_layout
from exporter.targets.layout.axes import Order, identity
from exporter.targets.layout.channels_first import CHANNELS_FIRST
from exporter.targets.layout.dense import (
    emit_dense,
    emit_flatten,
    emit_on_features,
    emit_unflatten,
    emit_unit_reshape,
    permute_features,
)
from exporter.targets.layout.emitter import Emitter
from exporter.targets.layout.reshapes import is_flatten, is_unflatten
from exporter.targets.layout.roles import captured, is_unit_reshape
from exporter.targets.layout.site import Site
from exporter.targets.layout.ties import ELEMENTWISE, Ties, rank_of
from exporter.targets.opsets import DEFAULT_OPSET, check_opset, ir_version

__all__ = ["InputLayout", "in_standard_ops"]

InputLayout = Literal["nhwc", "nchw"]


def in_standard_ops(
    model: ir.Model, *, opset: int = DEFAULT_OPSET, input_layout: InputLayout = "nhwc"
) -> tuple[ir.Model, dict[str, Order]]:
    """A new model of standard ops that computes the same; `model` stays as it is, and shares its weights.

    Args:
        model: A channels-last model.
        opset: The opset of the new model.
        input_layout: With "nchw", inputs that the network wants channels-first become [N, C, *space].

    Returns:
        The model, and for each input whose axes are in another order than before that order: `(0, 3, 1, 2)`.

    Raises:
        UnsupportedError: The opset can't say all of it.
        UsageError: No such opset.
    """
    emitter = Emitter(model.graph.outputs, opset)
    layout = choose_layout(model.graph, free_inputs=input_layout == "nchw")
    changed = {}
    for value in model.graph.inputs:
        order = layout.order_of_input(value)
        emitter.input(value, order)
        if order != identity(len(order)):
            changed[str(value.name)] = order
    outputs = _emit_graph(model.graph, layout, emitter)
    check_opset(emitter.nodes, opset)
    graph = ir.Graph(
        emitter.inputs,
        outputs,
        nodes=emitter.nodes,
        initializers=[value for value in emitter.initializers if value.uses()],
        opset_imports={"": opset},
        name=model.graph.name,
    )
    if any(node.domain == ML for node in graph.all_nodes()):
        graph.opset_imports[ML] = ML_OPSET
    return ir.Model(graph, ir_version=ir_version(opset)), changed


def _emit_graph(graph: ir.Graph, layout: Layout, emitter: Emitter) -> list[ir.Value]:
    """Emits all nodes of a graph; returns its outputs."""
    permute_features(graph, layout)
    for node in graph:
        for value in captured(node):
            emitter.take(value, identity(rank_of(value)))
        site, role = Site(node, layout, emitter), layout.roles[node]
        if node.op_type in {"Shape", "Size"}:
            _shape(site)
        elif is_flatten(node) and layout.features.can_permute(node.outputs[0]):
            emit_flatten(site)
        elif is_unflatten(node) and layout.features.can_permute(node.inputs[0]):
            emit_unflatten(site)
        elif is_unit_reshape(node, role):
            emit_unit_reshape(site)
        elif node.op_type in ELEMENTWISE and layout.features.of(node.outputs[0]) is not None:
            emit_on_features(site)
        elif isinstance(role, Ties):
            ANY_LAYOUT[node.op_type](site)
        elif node.op_type in CHANNELS_FIRST and (role.channels_first or is_op(node, "BatchNormalization")):
            CHANNELS_FIRST[node.op_type](site)
        elif is_op(node, "Dense"):
            emit_dense(site)
        else:  # on tensors in the IR's order, with its subgraphs
            attributes = site.attributes()
            for name, attribute in node.attributes.items():
                if attribute.type == ir.AttributeType.GRAPH:
                    attributes[name] = _subgraph(attribute.as_graph(), emitter)
            site.emit(node.op_type, [site.new(i) for i in range(len(node.inputs))], attributes)
    return [emitter.output(value) for value in graph.outputs]


def _shape(site: Site) -> None:
    """`Shape` or `Size` of a tensor in any order; the sizes are put back into the IR's order."""
    x = site.new(0)
    order = site.emitter.stored_order(site.old(0))
    if site.node.op_type == "Size" or order == identity(len(order)):
        return site.emit(site.node.op_type, [x], site.attributes())
    start, end = (site.node.attributes.get_int(name, None) for name in ("start", "end"))
    places = [order.index(axis) for axis in range(len(order))[start:end]]
    assert x is not None
    sizes = site.emitter.shapes.get(x)
    if sizes is None:
        sizes = site.emitter.shapes[x] = site.inner("Shape", [x], {})
    return site.emit("Gather", [sizes, site.emitter.ints(places)], {"axis": 0})


def _subgraph(graph: ir.Graph, around: Emitter) -> ir.Graph:
    """A subgraph; its initializers go into the main graph."""
    emitter = Emitter(graph.outputs, around.opset, around)
    for value in graph.inputs:
        emitter.input(value, identity(rank_of(value)))
    outputs = _emit_graph(graph, choose_layout(graph, free_inputs=False), emitter)
    check_opset(emitter.nodes, around.opset)
    return ir.Graph(emitter.inputs, outputs, nodes=emitter.nodes, name=graph.name)
