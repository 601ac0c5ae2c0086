"""Large batches in pieces whose activations stay in the cache: they take less memory, and less time for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from runtime.budget import Budget
from runtime.document import Value
from runtime.engine.resolve import Spec, resolve
from runtime.engine.separability import separable
from runtime.engine.weights import Weights
from runtime.kernels.base import Array
from runtime.plan import Graph

__all__ = ["Pieces", "batched", "cut"]

_CACHED = 20 << 20
"""Bytes that the largest activation of a piece may have, about as much as a cache holds until it is read again."""
_TWICE = 8
"""One in so many images may be computed twice, so that all pieces are of one size."""


class Pieces(NamedTuple):
    """A batch in pieces of one size: the last begins early enough.

    Attributes:
        total, size: Images of the batch and of a piece.
        inputs: For each input, whether its first axis is the batch.
    """

    total: int
    size: int
    inputs: Sequence[bool]

    def parts(self, arrays: Sequence[Array]) -> list[list[Array]]:
        """The inputs for each piece."""
        return [
            [x[start : start + self.size] if rows else x for x, rows in zip(arrays, self.inputs)]
            for start in self._starts()
        ]

    def joined(self, results: Sequence[Sequence[Array]]) -> list[Array]:
        """The outputs, from those of each piece."""
        whole = [np.empty((self.total, *y.shape[1:]), y.dtype) for y in results[0]]
        for start, outputs in zip(self._starts(), results):
            for y, part in zip(whole, outputs):
                y[start : start + self.size] = part
        return whole

    def _starts(self) -> list[int]:
        return [min(start, self.total - self.size) for start in range(0, self.total, self.size)]


def batched(values: Sequence[Value]) -> list[bool]:
    """For each input, whether its first axis is the batch: the one axis of that name or, of a single input, without."""
    firsts = [value.shape[0] if value.shape else 0 for value in values]
    found = [not isinstance(first, int) for first in firsts]
    names = {first for first in firsts if not isinstance(first, int)}
    others = {size for value in values for size in (value.shape or ())[1:]}
    known = all(value.shape is not None for value in values)
    is_one = len(names) == 1 and (None not in names or len(values) == 1) and not (names - {None}) & others
    return found if known and is_one else [False] * len(found)


def cut(
    graph: Graph, weights: Weights, specs: Mapping[str, Spec], inputs: Sequence[bool], budget: Budget | None = None
) -> Pieces | None:
    """The pieces of a batch; None if it is better run as a whole, or has to be.

    Args:
        graph: The model.
        weights: Its arrays.
        specs: Those of its inputs.
        inputs: What `batched` says of them.

    Raises:
        Unresolvable, ValueError: As `resolve` does.
    """
    totals = {specs[name].shape[0] for name, rows in zip(graph.inputs, inputs) if rows}
    if len(totals) != 1 or min(totals) < 2:
        return None
    (total,) = totals
    whole = resolve(graph, weights, specs, budget)
    size = _size(graph, whole, total)
    if size == total:
        return None
    part = {
        name: Spec((size, *specs[name].shape[1:]), specs[name].dtype) if rows else specs[name]
        for name, rows in zip(graph.inputs, inputs)
    }
    try:
        is_right = separable(graph, whole, resolve(graph, weights, part), inputs)
    except (ValueError, TypeError, IndexError):  # it takes batches of this size alone
        return None
    return Pieces(total, size, inputs) if is_right else None


def _size(graph: Graph, specs: Mapping[str, Spec], total: int) -> int:
    """Images of a piece: as many as the cache is good for, or all.

    At least so many that the weights, which are read for each piece, are at most half of what it writes.
    """
    made = [_bytes(specs[name]) for node in graph.nodes for name in node.outputs if name and not specs[name].known]
    if not any(made):
        return total
    weights = sum(_bytes(specs[name]) for name in graph.captures)
    most = max(_CACHED * total // max(made), 2 * weights * total // sum(made), 1)
    if total <= most:
        return total
    best = min(range(most, (most - 1) // 2, -1), key=lambda size: -total % size)
    return best if -total % best * _TWICE <= total else total


def _bytes(spec: Spec) -> int:
    return prod(spec.shape) * spec.dtype.itemsize
