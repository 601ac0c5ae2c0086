"""Spreads one layout over a region as far as that saves Transposes, by a minimum cut (an expansion move).

A tensor costs one Transpose for each order, other than its producer's, that its users want. Each free op either keeps
its layout or takes the new one; that is a choice between two for every op, so that the cheapest can be found exactly.
"""

from __future__ import annotations

from math import log2

import onnx_ir as ir

from exporter.ir.ops import is_op
from exporter.targets.layout.axes import Axes, Label, Order, moves_only_ones
from exporter.targets.layout.mincut import Network
from exporter.targets.layout.regions import End, Free, Region, Tensor
from exporter.targets.layout.regroupings import Regroupings
from exporter.targets.layout.ties import rank_of

__all__ = ["expand"]

_TRANSPOSE, _PRODUCT = 1 << 20, 1 << 12
"""What a Transpose costs, and a convolution in place of a matrix product; that a tensor is larger costs less."""

_ENDLESS = 1 << 60
_NEW, _OLD = "takes the new layout", "keeps its layout"


def expand(axes: Axes, region: Region, regroupings: Regroupings, labels: dict[Free, Label], new: Label) -> set[Free]:
    """The ops that had better take the layout `new`, as few as can be.

    Args:
        axes: The axes of the region's tensors.
        region: The region.
        regroupings: Its reshapes, not all of which can have every layout.
        labels: The layouts that its members have now.
        new: The layout to be tried.
    """
    network = Network()
    for tensor in region.tensors:
        _add_tensor(network, tensor, axes, labels, new)
    for member in region.members:
        if not regroupings.fit(member, new):
            network.add(member, _OLD, _ENDLESS)
        product, would_be = (_is_product(axes, member, label) for label in (labels[member], new))
        if product and not would_be:
            network.add(member, _OLD, _PRODUCT)
        elif would_be and not product:
            network.add(_NEW, member, _PRODUCT)
    found = network.source_side(_NEW, _OLD)
    return {member for member in region.members if member in found}


def _add_tensor(network: Network, tensor: Tensor, axes: Axes, labels: dict[Free, Label], new: Label) -> None:
    value = tensor.value
    new_order = axes.order(value, new)

    def now(end: End) -> Order | None:
        return axes.order(value, labels[end]) if isinstance(end, ir.Node | ir.Value) else end

    def choice(end: End, order: Order) -> object:
        """What decides the order at an end: a free op, or nothing that can still be chosen."""
        return _NEW if order == new_order else end if isinstance(end, ir.Node | ir.Value) else _OLD

    users = {(choice(end, order), order) for end in tensor.users if (order := now(end)) is not None}
    made = now(tensor.producer)
    if made is None or all(order == new_order for order in (made, *(order for _, order in users))):
        return
    # one Transpose for the users of each order, other than the producer's: the new one if it takes that, else its own
    producer, new_copy = choice(tensor.producer, made), ("new", value)
    for i, order in enumerate(sorted({order for _, order in users})):
        copy = ("old", value, i)
        given, otherwise = (producer, new_order) if order == made else (_NEW, made)
        network.add(given, copy, _cost(value, otherwise, order))
        for user in dict.fromkeys(user for user, wanted in users if wanted == order):
            network.add(copy, user, _ENDLESS)
            network.add(user, new_copy, _ENDLESS)
    network.add(new_copy, producer, _cost(value, made, new_order))


def _cost(value: ir.Value, before: Order, after: Order) -> int:
    """A Transpose, or a Reshape that is as good as nothing, if only axes of size 1 move."""
    if moves_only_ones(value, before, after):
        return 1
    size = 1.0 if value.dtype is None else float(value.dtype.itemsize)
    for dim in value.shape or ():
        size *= dim if isinstance(dim, int) else 1
    # more for a larger tensor, but never as much as a Transpose more would cost
    return _TRANSPOSE + round(16 * log2(max(size, 1)))


def _is_product(axes: Axes, member: Free, label: Label) -> bool:
    """Whether a dense layer is a matrix product in a layout, and not a convolution of size 1."""
    if not isinstance(member, ir.Node) or not is_op(member, "Dense"):
        return False
    output = member.outputs[0]
    return axes.order(output, label)[-1] == rank_of(output) - 1
