"""Elements chosen by index or by condition, and tensors made of indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from runtime.kernels.base import Array, Function

__all__ = ["OPS"]


def gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """x's slices along an axis, in the order of the indices, which take the place of that axis."""
    return np.take(x, indices, axis=axis)


def gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """y[..., i, ...] = x[..., indices[..., i, ...], ...] along an axis; x is cut to the size of indices elsewhere."""
    axis = axis % x.ndim
    cut = tuple(slice(None) if i == axis else slice(size) for i, size in enumerate(indices.shape))
    return np.take_along_axis(x[cut], np.where(indices < 0, indices + x.shape[axis], indices), axis)


def gather_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    """The slices x[batch, tuple(indices[batch, ..., :])]."""
    batch = x.shape[:batch_dims]
    grid = np.ogrid[tuple(slice(size) for size in batch)] if batch else ()
    inner = indices.ndim - 1 - batch_dims
    leading = tuple(axis.reshape(axis.shape + (1,) * inner) for axis in grid)
    return np.asarray(x[(*leading, *np.moveaxis(indices, -1, 0))])


_UPDATES: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _scatter(y: Array, index: tuple[Any, ...], updates: Array, reduction: str) -> Array:
    if reduction == "none":
        y[index] = updates
    elif reduction in _UPDATES:
        _UPDATES[reduction].at(y, index, updates)
    else:
        raise ValueError(f"reduction is {reduction!r}, expected none, {', '.join(_UPDATES)}")
    return y


def scatter_nd(x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> Array:
    """A copy of x in which x[tuple(indices[..., :])] is set to, or combined with, the updates."""
    return _scatter(x.copy(), tuple(np.moveaxis(indices, -1, 0)), updates, reduction)


def scatter_elements(x: Array, indices: Array, updates: Array, *, axis: int = 0, reduction: str = "none") -> Array:
    """A copy of x in which x[..., indices[..., i, ...], ...] is set to, or combined with, updates[..., i, ...]."""
    index = list(np.ogrid[tuple(slice(size) for size in indices.shape)])
    index[axis] = np.where(indices < 0, indices + x.shape[axis], indices)
    return _scatter(x.copy(), tuple(index), updates, reduction)


def one_hot(indices: Array, depth: Array, values: Array, *, axis: int = -1) -> Array:
    """values[1] where the new axis has the index's number, values[0] elsewhere; negative indices count from depth."""
    size = int(depth.reshape(-1)[0])
    axis = axis % (indices.ndim + 1)
    places = np.arange(size).reshape((size,) + (1,) * (indices.ndim - axis))
    number = np.where(indices < 0, indices + size, indices)
    return np.asarray(np.where(np.expand_dims(number, axis) == places, values[1], values[0]), dtype=values.dtype)


def where(condition: Array, a: Array, b: Array) -> Array:
    """a where the condition holds, else b."""
    return np.asarray(np.where(condition, a, b), dtype=a.dtype)


def non_zero(x: Array) -> Array:
    """The indices of the elements that aren't 0: [rank, count], int64."""
    return np.array(np.nonzero(np.atleast_1d(x)), dtype=np.int64)[: max(x.ndim, 0)]


def top_k(x: Array, k: Array, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Array, Array]:
    """The k largest or smallest elements along an axis and their indices, in order; of equal ones the first."""
    if largest:
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis, kind="stable")
    indices = np.take(order, np.arange(int(k.reshape(-1)[0])), axis=axis)
    return np.take_along_axis(x, indices, axis), indices.astype(np.int64)


def _position(function: Callable[..., Any]) -> Function:
    def kernel(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
        found = function(np.flip(x, axis) if select_last_index else x, axis=axis)
        found = x.shape[axis] - 1 - found if select_last_index else found
        return np.asarray(np.expand_dims(found, axis) if keepdims else found, dtype=np.int64)

    return kernel


def cumulative_sum(x: Array, axis: Array, *, exclusive: int = 0, reverse: int = 0) -> Array:
    """Running sums along an axis, from its end if reverse; exclusive ones leave out the element itself."""
    along = int(axis.reshape(-1)[0])
    ordered = np.flip(x, along) if reverse else x
    total = np.cumsum(ordered, axis=along, dtype=x.dtype)
    if exclusive:
        total = np.roll(total, 1, axis=along)
        total[(slice(None),) * (along % x.ndim) + (slice(1),)] = 0
    return np.flip(total, along) if reverse else total


def range_(start: Array, limit: Array, delta: Array) -> Array:
    """start, start + delta, ... up to limit, which is left out."""
    first, last, step = (value.reshape(-1)[0] for value in (start, limit, delta))
    return np.arange(first, last, step, dtype=start.dtype)


def constant_of_shape(shape: Array, *, value: Array | None = None) -> Array:
    """A tensor of that shape filled with one value, by default float32 zero."""
    element = np.zeros(1, np.float32) if value is None else np.asarray(value).reshape(-1)
    return np.full(shape.tolist(), element[0], dtype=element.dtype)


def trilu(x: Array, k: Array | None = None, *, upper: int = 1) -> Array:
    """x with zeros below the k-th diagonal, or if not upper above it."""
    diagonal = 0 if k is None else int(k.reshape(-1)[0])
    return np.triu(x, diagonal) if upper else np.tril(x, diagonal)


def reverse_sequence(x: Array, lengths: Array, *, batch_axis: int = 1, time_axis: int = 0) -> Array:
    """The first lengths[n] steps of each sequence n in reverse; the rest stays."""
    steps = np.arange(x.shape[time_axis]).reshape(-1, 1)
    order = np.where(steps < lengths, lengths - 1 - steps, steps)
    moved = np.moveaxis(x, (time_axis, batch_axis), (0, 1))
    taken = moved[order, np.arange(x.shape[batch_axis])]
    return np.moveaxis(taken, (0, 1), (time_axis, batch_axis))


def unique(x: Array, *, sorted: int = 1, axis: int | None = None) -> tuple[Array, Array, Array, Array]:
    """Different elements, where each is first, for each element the number of its own, and how often each is there.

    Unsorted ones are in the order in which they come. With an axis the slices along it are told apart.
    """
    flat = x.reshape(-1) if axis is None else x
    along = 0 if axis is None else axis % x.ndim
    values, first, inverse, counts = np.unique(
        flat, return_index=True, return_inverse=True, return_counts=True, axis=None if axis is None else along
    )
    inverse = inverse.reshape(-1)
    if not sorted:
        order = np.argsort(first, kind="stable")
        values, first, counts = np.take(values, order, axis=along), first[order], counts[order]
        inverse = np.argsort(order, kind="stable")[inverse]
    return values, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)


OPS: dict[str, Function] = {
    "ArgMax": _position(np.argmax),
    "ArgMin": _position(np.argmin),
    "ConstantOfShape": constant_of_shape,
    "CumSum": cumulative_sum,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": non_zero,
    "OneHot": one_hot,
    "Range": range_,
    "ReverseSequence": reverse_sequence,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TopK": top_k,
    "Trilu": trilu,
    "Unique": unique,
    "Where": where,
}
