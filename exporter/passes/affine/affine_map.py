"""The affine map y = x * scale + shift of a tensor, element by element, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Affine", "Array", "collapse"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Affine:
    """y = x * scale + shift for a tensor x of rank r.

    Attributes:
        scale: float64 of rank r; along each axis its size is 1, or that of x where it varies.
        shift: The same; they need not vary along the same axes.
    """

    scale: Array
    shift: Array

    @staticmethod
    def of(scale: npt.ArrayLike, shift: npt.ArrayLike, rank: int) -> Affine:
        """From arrays that broadcast to rank `rank`; axes along which an array doesn't change get size 1."""
        return Affine(_normal(scale, rank), _normal(shift, rank))

    @property
    def rank(self) -> int:
        """The rank of the tensor that it applies to."""
        return self.scale.ndim

    @property
    def has_scale(self) -> bool:
        """Whether any scale differs from 1."""
        return bool(np.any(self.scale != 1))

    @property
    def has_shift(self) -> bool:
        """Whether any shift differs from 0."""
        return bool(np.any(self.shift != 0))

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return not self.has_scale and not self.has_shift

    @property
    def varying(self) -> list[int]:
        """The axes along which scale or shift change."""
        return [axis for axis in range(self.rank) if self.scale.shape[axis] > 1 or self.shift.shape[axis] > 1]

    @property
    def is_finite(self) -> bool:
        """Whether all numbers in it are."""
        return bool(np.isfinite(self.scale).all() and np.isfinite(self.shift).all())

    def then(self, after: Affine) -> Affine:
        """The composition: first this map, then `after`: scale' scale and scale' shift + shift'."""
        return Affine.of(after.scale * self.scale, after.scale * self.shift + after.shift, self.rank)

    def scale_only(self) -> Affine:
        """x * scale."""
        return Affine(self.scale, np.zeros((1,) * self.rank))

    def shift_only(self) -> Affine:
        """x + shift."""
        return Affine(np.ones((1,) * self.rank), self.shift)

    def inner_shift(self) -> Affine | None:
        """The u of (x + u) * scale, which is shift / scale; None where a scale is 0 and its shift isn't."""
        scale, shift = np.broadcast_arrays(self.scale, self.shift)
        if np.any((scale == 0) & (shift != 0)):
            return None
        with np.errstate(over="ignore"):
            inner = np.divide(shift, scale, out=np.zeros_like(shift), where=scale != 0)
        return Affine.of(1.0, inner, self.rank) if np.isfinite(inner).all() else None

    def map(self, move: Callable[[Array], Array]) -> Affine:
        """With scale and shift moved in the same way, as to other axes."""
        scale, shift = move(self.scale), move(self.shift)
        return Affine.of(scale, shift, scale.ndim)


def collapse(array: Array) -> Array:
    """The array with size 1 along each axis on which all its slices are equal."""
    for axis in range(array.ndim):
        if array.shape[axis] > 1:
            first = array.take([0], axis=axis)
            if np.array_equal(np.broadcast_to(first, array.shape), array):
                array = first
    return array


def _normal(array: npt.ArrayLike, rank: int) -> Array:
    plain = np.asarray(array, np.float64)
    return collapse(plain.reshape((1,) * (rank - plain.ndim) + plain.shape))
