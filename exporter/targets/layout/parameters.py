"""Parameters of an op that have one entry for each axis, and operands that are broadcast, in another order of axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.targets.layout.axes import Order, identity, sizes_of
from exporter.targets.layout.features import Permutation
from exporter.targets.layout.site import Site

__all__ = ["const_in_order", "in_order", "operand", "with_features"]


def in_order(site: Site, index: int, order: Sequence[int]) -> ir.Value | None:
    """A vector with one entry for each axis, its entries in the order of the axes; an empty or absent one as it is."""
    value = site.plain(index)
    if value is None or tuple(order) == identity(len(order)):
        return value
    old = site.old(index)
    if old.shape is not None and list(old.shape) == [0]:
        return value
    if old.is_initializer():
        picked = np.array(order)
        return site.emitter.changed(old, ("entries", tuple(order)), picked.shape, lambda array: array[picked])
    return site.inner("Gather", [value, site.emitter.ints(list(order))], {"axis": 0}, like=value)


def operand(site: Site, index: int, order: Order) -> ir.Value | None:
    """An operand of an op that broadcasts, as it has to be for the result to be stored in `order`.

    A tensor of lower rank, which lines up with the last axes of the result, gets axes of size 1 where the result has
    axes between or after its own.
    """
    if not site.has(index):
        return None
    old = site.old(index)
    if old.is_initializer():
        return const_in_order(site, old, order)
    new = site.new(index)
    missing = len(order) - len(old.shape if old.shape is not None else order)
    first = next((place for place, axis in enumerate(order) if axis >= missing), len(order))
    gaps = [place - first for place in range(first, len(order)) if order[place] < missing]
    return site.inner("Unsqueeze", [new, site.emitter.ints(gaps)], {}, like=new) if gaps else new


def const_in_order(site: Site, old: ir.Value, order: Order, *, full_rank: bool = False) -> ir.Value:
    """A constant operand, its axes in `order`, with no more leading axes of size 1 than it had, or of full rank."""
    shape = sizes_of(old)
    if not full_rank and all(size == 1 for size in shape):
        return site.emitter.constant(old)
    full = [1] * (len(order) - len(shape)) + shape
    after = [full[axis] for axis in order]
    while not full_rank and len(after) > len(shape) and after[0] == 1:
        after = after[1:]
    if after == shape and [a for a in order if full[a] != 1] == [a for a in range(len(order)) if full[a] != 1]:
        return site.emitter.constant(old)
    key = ("operand", tuple(order), full_rank)
    return site.emitter.changed(old, key, after, lambda array: array.reshape(full).transpose(order).reshape(after))


def with_features(site: Site, index: int, permutation: Permutation | None) -> ir.Value | None:
    """An operand in the IR's order of axes; a constant's entries along the last axis follow the permuted features."""
    if permutation is None or not site.has(index):
        return site.plain(index)
    old = site.old(index)
    if not old.is_initializer() or old.shape is None or not len(old.shape) or old.shape[-1] == 1:
        return site.plain(index)
    shape = sizes_of(old)
    key = ("features", permutation.tobytes())
    return site.emitter.changed(old, key, shape, lambda array: array[..., permutation])
