"""Ops that work in any layout, in the layout of their region: their axes are renumbered and their constants follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from exporter.ir.opset import OPS, ops_that
from exporter.targets.layout.axes import channels_first, identity, sizes_of
from exporter.targets.layout.dense import matmul
from exporter.targets.layout.emitter import stored_dims
from exporter.targets.layout.parameters import const_in_order, in_order, operand
from exporter.targets.layout.reshapes import regrouped, regrouping
from exporter.targets.layout.site import Emit, Site
from exporter.targets.layout.ties import ELEMENTWISE, Ties, axes_input, rank_of

__all__ = ["ANY_LAYOUT"]


def _elementwise(site: Site) -> None:
    operands = [operand(site, i, site.order_out()) for i in range(len(site.node.inputs))]
    site.emit(site.node.op_type, operands, site.attributes())


def _axis_attribute(default: int) -> Emit:
    """An op with the attribute `axis`; inputs after the first are not laid out."""

    def emit(site: Site) -> None:
        axis = site.axis(site.node.attributes.get_int("axis", default) or 0)
        rest = [site.plain(i) for i in range(1, len(site.node.inputs))]
        site.emit(site.node.op_type, [site.new(0), *rest], {**site.attributes("axis"), "axis": axis})

    return emit


def _concat(site: Site) -> None:
    order = site.order_out()
    axis = order.index((site.node.attributes.get_int("axis", 0) or 0) % len(order))
    olds = [site.old(i) for i in range(len(site.node.inputs))]
    parts = [
        const_in_order(site, old, order, full_rank=True) if old.is_initializer() else site.new(i)
        for i, old in enumerate(olds)
    ]
    site.emit("Concat", parts, {"axis": axis})


def _axes_input(index: int) -> Emit:
    """An op with constant axes as an input."""

    def emit(site: Site) -> None:
        axes = axes_input(site.node, index, rank_of(site.old(0)))
        inputs = [site.new(0), *(site.plain(i) for i in range(1, len(site.node.inputs)))]
        if axes is not None:
            inputs[index] = site.emitter.ints([site.axis(axis) for axis in axes])
        site.emit(site.node.op_type, inputs, site.attributes())

    return emit


def _mean(site: Site) -> None:
    """Over all of space, channels first, by the op that runtimes have in the layouts of their convolutions, too."""
    rank = rank_of(site.old(0))
    places = sorted(site.axis(axis) for axis in axes_input(site.node, 1, rank) or [])
    whole = rank > 2 and places == list(range(2, rank)) and site.order_in() == channels_first(rank)
    keeps = site.node.attributes.get_int("keepdims", 1) == 1
    if whole and keeps and site.old(0).dtype == ir.DataType.FLOAT:
        site.emit("GlobalAveragePool", [site.new(0)])
    else:
        _axes_input(1)(site)


def _cumsum(site: Site) -> None:
    axis = (axes_input(site.node, 1, rank_of(site.old(0))) or [0])[0]
    place = site.emitter.array(np.array(site.axis(axis), np.int64), f"const_{site.axis(axis)}")
    site.emit("CumSum", [site.new(0), place], site.attributes())


def _unsqueeze(site: Site) -> None:
    order = site.order_out()
    axes = axes_input(site.node, 1, len(order)) or []
    places = sorted(order.index(axis) for axis in axes)
    site.emit("Unsqueeze", [site.new(0), site.emitter.ints(places)])


def _slice(site: Site) -> None:
    """Starts and ends belong to axes that are named, or else are the first ones."""
    axes = axes_input(site.node, 3, rank_of(site.old(0))) if site.has(3) else None
    axes = list(range(sizes_of(site.old(1))[0])) if axes is None else axes
    places = site.emitter.ints([site.axis(axis) for axis in axes])
    site.emit("Slice", [site.new(0), site.plain(1), site.plain(2), places, site.plain(4)])


def _pad(site: Site) -> None:
    order = site.order_out()
    if site.has(3):
        axes = axes_input(site.node, 3, len(order)) or []
        pads, places = site.plain(1), site.emitter.ints([order.index(axis) for axis in axes])
        return site.emit("Pad", [site.new(0), pads, site.plain(2), places], site.attributes())
    pads = in_order(site, 1, [*order, *(axis + len(order) for axis in order)])
    return site.emit("Pad", [site.new(0), pads, site.plain(2)], site.attributes())


def _tile(site: Site) -> None:
    site.emit("Tile", [operand(site, 0, site.order_out()), in_order(site, 1, site.order_out())])


def _expand(site: Site) -> None:
    site.emit("Expand", [operand(site, 0, site.order_out()), in_order(site, 1, site.order_out())])


def _transpose(site: Site) -> None:
    """No op at all: the same tensor by another name for its axes."""
    new = site.new(0)
    assert new is not None
    site.emitter.give(site.node.outputs[0], site.order_out(), new)


def _reshape(site: Site) -> None:
    """Axes of size 1 that come and go, in stored order, or axes that are divided or joined."""
    old, order = site.node.outputs[0], site.order_out()
    if isinstance(site.role, Ties) and site.role.places:
        # axes that are divided stay together, so that the input or the output may have to be in another order
        x = site.old(0).shape
        parts = regrouping(x.dims, old.shape.dims) if x is not None and old.shape is not None else None
        assert parts is not None
        before, after = regrouped(parts, order)
        sizes = [dim if isinstance(dim, int) else -1 for dim in stored_dims(old, after) or []]
        return site.emit_in([after], "Reshape", [site.emitter.take(site.old(0), before), site.emitter.ints(sizes)])
    dims = [old.shape.dims[axis] for axis in order] if old.shape is not None else []
    sizes = [dim if isinstance(dim, int) else -1 for dim in dims]
    if sizes.count(-1) <= 1:
        return site.emit("Reshape", [site.new(0), site.emitter.ints(sizes)])
    role = site.role
    kept_in, kept_out = role.inputs[0] or (), role.outputs[0] or ()
    gone = [place for place, axis in enumerate(site.order_in() or ()) if kept_in[axis] not in kept_out]
    come = [place for place, axis in enumerate(order) if kept_out[axis] not in kept_in]
    value = site.new(0)
    if gone:
        value = site.inner("Squeeze", [value, site.emitter.ints(gone)], {}, like=value)
    return site.emit("Unsqueeze", [value, site.emitter.ints(come)])


def _dense(site: Site) -> None:
    """A product over the last axis, or, if the channels come first, a convolution of size 1, in any order of space."""
    order, rank = site.order_out(), rank_of(site.old(0))
    if order[:2] != (0, rank - 1):
        orders = order if order[-1] == rank - 1 else identity(rank)
        return matmul(site, site.emitter.take(site.old(0), orders), site.plain(1), site.plain(2), orders)
    old = site.old(1)
    rows, columns = sizes_of(old)
    shape = (columns, rows, *[1] * (rank - 2))
    kernel = site.emitter.changed(old, "convolution", shape, lambda array: array.T.reshape(shape))
    return site.emit("Conv", [site.new(0), kernel, site.plain(2)], {"kernel_shape": list(shape[2:])})


ANY_LAYOUT: dict[str, Callable[[Site], None]] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(ops_that(lambda record: record.reduces), _axes_input(1)),
    **{name: _axis_attribute(record.axis) for name, record in OPS.items() if record.axis is not None},
    "ReduceMean": _mean,
    "ArgMax": _axis_attribute(0),
    "ArgMin": _axis_attribute(0),
    "Concat": _concat,
    "CumSum": _cumsum,
    "Dense": _dense,
    "Expand": _expand,
    "Gather": _axis_attribute(0),
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _axes_input(1),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
