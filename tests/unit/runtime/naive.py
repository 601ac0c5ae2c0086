"""Windowed operators as plain loops in float64: slow, obvious, and the reference for every fast one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

Array = Any

EPS32 = float(np.finfo(np.float32).eps)


def float64(x: Array) -> Array:
    """x as float64."""
    return np.asarray(x, np.float64)


def conv(
    x: Array,
    w: Array,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    group: int = 1,
) -> Array:
    """X[N, *space, C] with W[*kernel, C / group, M]: every output position, tap by tap."""
    x, w = float64(x), float64(w)
    kernel, sizes = w.shape[:-2], x.shape[1:-1]
    out = out_sizes(sizes, kernel, strides, dilations, pads)
    inputs, outputs = w.shape[-2], w.shape[-1] // group
    y: Array = np.zeros((x.shape[0], *out, w.shape[-1]))
    for place in product(*map(range, out)):
        for tap, seen in _seen(place, sizes, kernel, strides, dilations, pads):
            for g in range(group):
                part = x[(slice(None), *seen, slice(g * inputs, (g + 1) * inputs))]
                y[(slice(None), *place, slice(g * outputs, (g + 1) * outputs))] += (
                    part @ w[(*tap, slice(None), slice(g * outputs, (g + 1) * outputs))]
                )
    return y


def conv_transpose(
    x: Array,
    w: Array,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    extra: Sequence[int],
    group: int = 1,
) -> Array:
    """X[N, *space, C] with W[*kernel, M / group, C]: every input position adds its kernel to the output."""
    x, w = float64(x), float64(w)
    rank, kernel, sizes = x.ndim - 2, w.shape[:-2], x.shape[1:-1]
    out = [
        strides[i] * (sizes[i] - 1) + extra[i] + dilations[i] * (kernel[i] - 1) + 1 - pads[i] - pads[rank + i]
        for i in range(rank)
    ]
    inputs, outputs = x.shape[-1] // group, w.shape[-2]
    y: Array = np.zeros((x.shape[0], *out, outputs * group))
    for place, tap in product(product(*map(range, sizes)), product(*map(range, kernel))):
        at = [place[i] * strides[i] + tap[i] * dilations[i] - pads[i] for i in range(rank)]
        if all(0 <= a < o for a, o in zip(at, out, strict=True)):
            for g in range(group):
                channels = slice(g * inputs, (g + 1) * inputs)
                y[(slice(None), *at, slice(g * outputs, (g + 1) * outputs))] += (
                    x[(slice(None), *place, channels)] @ w[(*tap, slice(None), channels)].T
                )
    return y


def pool(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    kind: str,
) -> Array:
    """`max`, `mean` of what isn't padding, or `mean_all` of all of it."""
    x = float64(x)
    sizes = x.shape[1:-1]
    y: Array = np.zeros((x.shape[0], *out_sizes(sizes, kernel, strides, dilations, pads), x.shape[-1]))
    for place in product(*map(range, y.shape[1:-1])):
        seen = [x[(slice(None), *at)] for _, at in _seen(place, sizes, kernel, strides, dilations, pads)]
        count = np.prod(kernel) if kind == "mean_all" else len(seen)
        y[(slice(None), *place)] = np.max(seen, axis=0) if kind == "max" else np.sum(seen, axis=0) / count
    return y


def out_sizes(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Sequence[int]
) -> list[int]:
    """How many positions the kernel has along each axis."""
    rank = len(sizes)
    return [
        (sizes[i] + pads[i] + pads[rank + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
        for i in range(rank)
    ]


def _seen(
    place: Sequence[int],
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each tap of the kernel at an output position, with the input position if that isn't padding."""
    for tap in product(*map(range, kernel)):
        at = tuple(place[i] * strides[i] + tap[i] * dilations[i] - pads[i] for i in range(len(sizes)))
        if all(0 <= a < n for a, n in zip(at, sizes, strict=True)):
            yield tap, at


def within(found: Array, expected: Array, magnitude: Array, terms: int, factor: float = 1.0) -> bool:
    """Whether every element is as close as float32 sums of `terms` products of total size `magnitude` can be."""
    bound = EPS32 * (terms + 2) * factor * np.asarray(magnitude) + 1e-37
    return found.shape == expected.shape and bool(np.all(np.abs(found - expected) <= bound))
