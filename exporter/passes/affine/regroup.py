"""Following an axis through a reshape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from exporter.ir.dims import Dim, Dims, same_dim
from exporter.passes.affine.affine_map import Array
from exporter.passes.affine.refusal import Refused

__all__ = ["Group", "groups", "reshape_along"]

_LARGEST = 1 << 24


@dataclass(frozen=True)
class Group:
    """A run of axes before a reshape and the run of axes after it that hold the same elements in the same order."""

    before: Dims
    after: Dims


def groups(before: Dims, after: Dims) -> list[Group]:
    """Cuts a reshape into the smallest independent runs of axes that the sizes prove.

    [N, 7, 7, 64] to [N, 3136] gives N with N and (7, 7, 64) with 3136; [N, H, W, C] to [N*H*W, C] gives (N, H, W)
    with N*H*W and C with C.
    """
    left = 0
    while left < min(len(before), len(after)) and same_dim(before[left], after[left]):
        left += 1
    head = [Group((before[i],), (after[i],)) for i in range(left)]
    tail: list[Group] = []
    i, j = len(before), len(after)
    while i > left and j > left:
        cut = _shortest(before[left:i], after[left:j])
        if cut is None:
            break
        m, n = cut
        tail.append(Group(before[i - m : i], after[j - n : j]))
        i, j = i - m, j - n
    if i > left or j > left:
        tail.append(Group(before[left:i], after[left:j]))
    return head + tail[::-1]


def _shortest(before: Dims, after: Dims) -> tuple[int, int] | None:
    """How many of the last axes on each side have the same product; None if sizes aren't known that far."""
    m = n = 1
    while True:
        a, b = before[len(before) - m :], after[len(after) - n :]
        if not (_known(a) and _known(b)):
            return (m, n) if m == n == 1 and same_dim(a[0], b[0]) else None
        p, q = prod(_ints(a)), prod(_ints(b))
        if p == q:
            return m, n
        m, n = (m + 1, n) if p < q else (m, n + 1)
        if m > len(before) or n > len(after):
            return None


def _known(dims: Dims) -> bool:
    return all(isinstance(dim, int) for dim in dims)


def _ints(dims: Dims) -> list[int]:
    return [dim for dim in dims if isinstance(dim, int)]


def reshape_along(array: Array, cut: list[Group]) -> Array:
    """An array that broadcasts against the tensor before the reshape, as one that broadcasts against it after.

    Refused where it varies inside a run of axes whose sizes aren't known.
    """
    full: list[int] = []
    result: list[int] = []
    axis = 0
    for group in cut:
        sizes = array.shape[axis : axis + len(group.before)]
        axis += len(group.before)
        if all(size == 1 for size in sizes):
            full += sizes
            result += [1] * len(group.after)
            continue
        full += _sizes(group.before)
        result += _sizes(group.after)
    if prod(full) > _LARGEST:
        raise Refused("the reshape would spread it over too many elements")
    return np.broadcast_to(array, full).reshape(result)


def _sizes(dims: tuple[Dim, ...]) -> list[int]:
    if not _known(dims):
        raise Refused("a reshape mixes its axis with one of unknown size")
    return _ints(dims)
