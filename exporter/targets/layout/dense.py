"""Dense layers, and the reshapes around them that a permutation of their matrices makes free."""

from __future__ import annotations

import onnx_ir as ir

from exporter.targets.layout.assignment import Layout
from exporter.targets.layout.axes import Order, identity, moves_only_ones, sizes_of
from exporter.targets.layout.emitter import stored_dims
from exporter.targets.layout.features import permutation, same
from exporter.targets.layout.parameters import with_features
from exporter.targets.layout.reshapes import is_flatten, is_unflatten
from exporter.targets.layout.site import Site
from exporter.targets.layout.ties import rank_of

__all__ = [
    "emit_dense",
    "emit_flatten",
    "emit_on_features",
    "emit_unflatten",
    "emit_unit_reshape",
    "matmul",
    "permute_features",
]


def permute_features(graph: ir.Graph, layout: Layout) -> None:
    """Lets each reshape from or to a matrix ask for the order of features that makes it free."""
    for node in graph:
        value = node.outputs[0] if is_flatten(node) else node.inputs[0] if is_unflatten(node) else None
        if value is not None and layout.features.can_permute(value):
            tensor, order = _free_order(node, layout)
            layout.features.propose(value, permutation(_sizes(tensor), order))


def emit_flatten(site: Site) -> None:
    """[N, d1, d2, ...] as it is stored -> [N, features]."""
    node = site.node
    order = _agreed_order(node, site.layout, node.outputs[0])
    tensor = site.emitter.take(site.old(0), order)
    site.emit_in([identity(2)], "Reshape", [tensor, _target(site, (1,))])


def emit_unflatten(site: Site) -> None:
    """[N, features] -> [N, d1, d2, ...] as it shall be stored."""
    node = site.node
    order = _agreed_order(node, site.layout, site.old(0))
    site.emit_in([order], "Reshape", [site.plain(0), _target(site, order[1:])])


def emit_unit_reshape(site: Site) -> None:
    """A Reshape that doesn't see where axes of size 1 are."""
    old, output = site.old(0), site.node.outputs[0]
    order = site.order_out()
    if not moves_only_ones(output, identity(len(order)), order):
        order = identity(len(order))
    stored = site.emitter.stored_order(old)
    x = site.emitter.take(old) if moves_only_ones(old, identity(len(stored)), stored) else site.plain(0)
    dims = stored_dims(output, order) or []
    site.emit_in([order], "Reshape", [x, site.emitter.ints([d if isinstance(d, int) else -1 for d in dims])])


def emit_dense(site: Site) -> None:
    """Gemm on a matrix, else MatMul and Add; rows and columns follow the features before and after."""
    x, old = site.old(0), site.old(1)
    rows, columns = site.layout.features.of(x), site.layout.features.of(site.node.outputs[0])
    if rows is None and columns is None:
        matrix = site.plain(1)
    else:
        key = ("dense", None if rows is None else rows.tobytes(), None if columns is None else columns.tobytes())
        row_index = slice(None) if rows is None else rows
        column_index = slice(None) if columns is None else columns
        matrix = site.emitter.changed(old, key, sizes_of(old), lambda array: array[row_index][:, column_index])
    bias = with_features(site, 2, columns)
    if rank_of(x) == 2:
        site.emit("Gemm", [site.new(0), matrix, bias])
    else:
        matmul(site, site.new(0), matrix, bias, site.order_out())


def matmul(site: Site, x: ir.Value | None, matrix: ir.Value | None, bias: ir.Value | None, order: Order) -> None:
    """A dense layer as MatMul, and Add if there is a bias."""
    if bias is None:
        return site.emit_in([order], "MatMul", [x, matrix])
    product = site.inner("MatMul", [x, matrix], {})
    return site.emit_in([order], "Add", [product, bias])


def emit_on_features(site: Site) -> None:
    """An op on a matrix whose features are permuted: the constants follow."""
    features = site.layout.features.of(site.node.outputs[0])
    operands = [with_features(site, i, features) for i in range(len(site.node.inputs))]
    site.emit_in([identity(2)], site.node.op_type, operands, site.attributes())


def _free_order(node: ir.Node, layout: Layout) -> tuple[ir.Value, Order]:
    """The tensor that is flattened or unflattened, and the order in which that costs nothing."""
    if is_unflatten(node):
        tensor, order = node.outputs[0], layout.order_out(node, 0)
    else:
        assert node.inputs[0] is not None
        tensor = node.inputs[0]
        producer = tensor.producer()
        if producer is not None and producer in layout.roles:
            order = layout.order_out(producer, tensor.index() or 0)
        else:
            order = layout.order_of_input(tensor)
    return tensor, order if order and order[0] == 0 else identity(rank_of(tensor))


def _agreed_order(node: ir.Node, layout: Layout, matrix: ir.Value) -> Order:
    """The free order, if that is the permutation that was agreed on; else the IR's."""
    tensor, order = _free_order(node, layout)
    free = permutation(_sizes(tensor), order)
    return order if same(free, layout.features.of(matrix)) else identity(len(order))


def _sizes(tensor: ir.Value) -> list[int]:
    return [size for size in (tensor.shape or ())[1:] if isinstance(size, int)]


def _target(site: Site, axes: Order) -> ir.Value:
    """The shape for the Reshape: the batch as it is, then these axes of the output, whose sizes are known."""
    shape = site.node.outputs[0].shape
    assert shape is not None
    return site.emitter.ints([0, *(size for axis in axes if isinstance(size := shape[axis], int))])
