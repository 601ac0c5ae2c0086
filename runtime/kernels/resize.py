"""Resize as of opset 18, one axis after the other: each output position is a weighted sum of a few input positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from runtime.kernels.base import Array, Function

__all__ = ["OPS", "resize"]

Coordinates = Callable[[Array, int, int, float], Array]


_COORDINATES: dict[str, Coordinates] = {
    "align_corners": lambda o, size, out, scale: o * (size - 1) / (out - 1) if out > 1 else np.zeros_like(o),
    "asymmetric": lambda o, size, out, scale: o / scale,
    "half_pixel": lambda o, size, out, scale: (o + 0.5) / scale - 0.5,
    "half_pixel_symmetric": lambda o, size, out, scale: size / 2 * (1 - out / (scale * size)) + (o + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda o, size, out, scale: (o + 0.5) / scale - 0.5 if out > 1 else np.zeros_like(o),
    "tf_half_pixel_for_nn": lambda o, size, out, scale: (o + 0.5) / scale,
}
"""Where the output position o of an axis is in the input."""

_NEAREST: dict[str, Callable[[Array], Array]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
}


def resize(
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    axes: Sequence[int] | None = None,
    antialias: int = 0,
    keep_aspect_ratio_policy: str = "stretch",
    extrapolation_value: float = 0.0,
) -> Array:
    """x at other sizes, given as sizes or as scales of the axes (all of them by default).

    Raises:
        ValueError: For an unknown mode, antialias, a roi, or a policy that keeps the aspect ratio.
    """
    if antialias or keep_aspect_ratio_policy != "stretch":
        raise ValueError("antialias and keep_aspect_ratio_policy are not supported")
    coordinates = _choice(_COORDINATES, coordinate_transformation_mode, "coordinate_transformation_mode")
    # float32 places are what TensorFlow and onnxruntime interpolate at; a nearest one must not become a neighbour
    precision = np.float32 if x.dtype == np.float32 and mode != "nearest" else np.float64
    for axis, out, scale in _targets(x.shape, axes, scales, sizes):
        if out == x.shape[axis] and scale == 1:
            continue
        place = coordinates(np.arange(out, dtype=precision), x.shape[axis], out, scale)
        if mode == "nearest":
            x = np.take(x, _nearest(place, x.shape[axis], nearest_mode), axis=axis)
        elif mode in ("linear", "cubic"):
            taps = _linear(place) if mode == "linear" else _cubic(place, cubic_coeff_a)
            x = _weighted(x, axis, *taps, exclude_outside=bool(exclude_outside and mode == "cubic"))
        else:
            raise ValueError(f"mode is {mode!r}, expected nearest, linear or cubic")
    return x


def _targets(
    shape: Sequence[int], axes: Sequence[int] | None, scales: Array | None, sizes: Array | None
) -> list[tuple[int, int, float]]:
    """(axis, size, scale) of each axis named."""
    where = list(axes) if axes is not None else list(range(len(shape)))
    if sizes is not None and sizes.size:
        wanted = [int(size) for size in sizes]
        return [(axis, out, out / shape[axis]) for axis, out in zip(where, wanted)]
    if scales is None:
        raise ValueError("neither scales nor sizes is given")
    return [(axis, int(shape[axis] * scale), float(scale)) for axis, scale in zip(where, scales.astype(np.float64))]


def _choice(table: Mapping[str, Callable[..., Array]], key: str, what: str) -> Callable[..., Array]:
    if key not in table:
        raise ValueError(f"{what} is {key!r}, expected one of {', '.join(table)}")
    return table[key]


def _nearest(place: Array, size: int, mode: str) -> Array:
    rounded = _choice(_NEAREST, mode, "nearest_mode")(place)
    return np.clip(rounded, 0, size - 1).astype(np.int64)


def _linear(place: Array) -> tuple[Array, Array]:
    """The positions [2, out] around each place and their weights."""
    low = np.floor(place)
    part = place - low
    return np.stack([low, low + 1]).astype(np.int64), np.stack([1 - part, part])


def _cubic(place: Array, a: float) -> tuple[Array, Array]:
    """The positions [4, out] around each place and their weights in Keys' cubic convolution."""
    low = np.floor(place)
    part = place - low
    near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (part, 1 - part)]
    far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (part + 1, 2 - part)]
    return np.stack([low - 1, low, low + 1, low + 2]).astype(np.int64), np.stack([far[0], *near, far[1]])


def _weighted(x: Array, axis: int, places: Array, weights: Array, *, exclude_outside: bool) -> Array:
    """The sum over taps of weights times x at the places; places outside are the edge's, or have no weight."""
    size = x.shape[axis]
    if exclude_outside:
        weights = np.where((places >= 0) & (places < size), weights, 0)
        weights = weights / weights.sum(axis=0)
    column = [-1 if i == axis else 1 for i in range(x.ndim)]
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float32)
    terms = (
        np.take(x, np.clip(place, 0, size - 1), axis=axis) * weight.astype(kind).reshape(column)
        for place, weight in zip(places, weights)
    )
    total = next(terms)
    for term in terms:
        total += term
    return np.asarray(total, dtype=x.dtype)


OPS: dict[str, Function] = {"Resize": resize}
