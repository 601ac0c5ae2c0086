"""What a Reshape does to the axes.

It moves axes of size 1, flattens everything after the batch, undoes that, or divides single axes and joins others.
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from exporter.ir.dims import Dim, Dims, same_dim
from exporter.targets.layout.axes import Order

__all__ = ["Regrouping", "is_flatten", "is_unflatten", "matched_axes", "regrouped", "regrouping"]

Regrouping = list[tuple[list[int], list[int]]]
"""Axes of the input and axes of the output with the same elements, one of the two a single axis."""


def matched_axes(x: Dims, y: Dims) -> list[tuple[int, int]] | None:
    """Pairs of axes that stay, if axes of size 1 are all that comes or goes between two shapes; else None.

    [N, 1, 1, C] and [N, C] give (0, 0), (3, 1). Leading axes that are equal are paired even if they are of size 1.
    """
    lead = 0
    while lead < min(len(x), len(y)) and same_dim(x[lead], y[lead]):
        lead += 1
    left = [i for i in range(lead, len(x)) if x[i] != 1]
    right = [j for j in range(lead, len(y)) if y[j] != 1]
    if len(left) != len(right):
        return None
    pairs = list(zip(left, right, strict=True))
    unproved = [(i, j) for i, j in pairs if not same_dim(x[i], y[j])]
    if any(isinstance(x[i], int) and isinstance(y[j], int) for i, j in unproved) or len(unproved) > 1:
        return None
    return [*((i, i) for i in range(lead)), *pairs]


def regrouping(x: Dims, y: Dims) -> Regrouping | None:
    """Which axes are divided and which are joined, if each is one or the other; None if they aren't known.

    [N, H, W, C] and [N, H * W, 8, C / 8] give (0; 0), (1, 2; 1), (3; 2, 3).
    """
    parts: Regrouping = []
    i = j = 0
    while i < len(x) and j < len(y):
        left, right = [i], [j]  # the axes from i and from j on that have the same product
        a, b = x[i], y[j]
        while not same_dim(a, b):
            if not isinstance(a, int) or not isinstance(b, int) or not (a and b):
                return None
            axes, sizes = (left, x) if a < b else (right, y)
            following = axes[-1] + 1
            size = sizes[following] if following < len(sizes) else None
            if not isinstance(size, int):
                return None
            axes.append(following)
            a, b = (a * size, b) if axes is left else (a, b * size)
        if len(left) > 1 and len(right) > 1:
            return None
        parts.append((left, right))
        i, j = left[-1] + 1, right[-1] + 1
    return parts if i == len(x) and j == len(y) else None


def regrouped(parts: Regrouping, order: Order) -> tuple[Order, Order]:
    """The order of the input, and that of the output as near to `order` as can be, between which a Reshape is possible.

    The axes that an axis is divided into have to be together; they are put where the first of them is.
    """
    before: list[int] = []
    after: list[int] = []
    for axis in order:
        if axis not in after:
            left, right = next(part for part in parts if axis in part[1])
            before.extend(left)
            after.extend(right)
    return tuple(before), tuple(after)


def is_flatten(node: ir.Node) -> bool:
    """Whether [N, d1, d2, ...] becomes [N, d1 * d2 * ...], the sizes after the batch being known."""
    x, y = _dims(node.inputs[0]), _dims(node.outputs[0])
    return node.op_type in {"Reshape", "Flatten"} and _flattens(x, y)


def is_unflatten(node: ir.Node) -> bool:
    """Whether [N, d1 * d2 * ...] becomes [N, d1, d2, ...], the sizes after the batch being known."""
    x, y = _dims(node.inputs[0]), _dims(node.outputs[0])
    return node.op_type == "Reshape" and _flattens(y, x)


def _flattens(full: Dims | None, flat: Dims | None) -> bool:
    if full is None or flat is None or len(full) < 3 or len(flat) != 2:
        return False
    sizes = [size for size in full[1:] if isinstance(size, int)]
    if len(sizes) != len(full) - 1 or prod(sizes) != flat[1] or prod(sizes) == 0:
        return False
    # the numbers of elements are the same, so that one batch size nobody knows is no other than the other
    return same_dim(full[0], flat[0]) or not (isinstance(full[0], int) and isinstance(flat[0], int))


def _dims(value: ir.Value | None) -> tuple[Dim, ...] | None:
    return None if value is None or value.shape is None else tuple(value.shape.dims)
