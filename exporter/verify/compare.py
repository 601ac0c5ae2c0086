"""How far an output is from the truth, and how far float noise explains.

The **error** of an output is the largest `|found - truth| / scale`. The scale of an element is its own size or the root
mean square of the whole output, whichever is larger: relative to the element where that is large, and to what is usual
in the output where it is small, so that neither one huge element nor one near zero decides.

**Noise** is the error that float arithmetic makes on this model without any mistake in it: that of the unfolded model
computed in float32 (or whatever its outputs are), against the unfolded model in float64. Two correct programs that add
in another order differ by about that much, and by a few times as much where one rounded number moves all others; wrong
ones by far more. So the **limit** is `FACTOR` times the noise, and never less than `FLOOR` units in the last place,
since in a small model the noise may by chance be nothing at all.

**Integers** (an argmax, a class) have to be equal, except where the truth itself is undecided: where the two largest
numbers are closer together than noise moves them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FACTOR", "FLOOR", "Array", "disagreement", "error", "largest_difference", "limit", "scale", "undecided"]

Array = npt.NDArray[Any]

FACTOR = 16.0
FLOOR = 16.0


def scale(truth: Array) -> Array:
    """What a difference at each element is measured against."""
    wide = np.abs(np.asarray(truth, np.float64))
    finite = wide[np.isfinite(wide)]
    usual = float(np.sqrt(np.mean(np.square(finite)))) if finite.size else 0.0
    return np.maximum(np.where(np.isfinite(wide), wide, 0.0), usual or 1.0)


def error(found: Array, truth: Array) -> float:
    """The largest difference against the scale; infinite for another shape, and where only one of the two is finite."""
    if found.shape != truth.shape:
        return float("inf")
    return float(np.max(_differences(found, truth) / scale(truth), initial=0.0))


def largest_difference(found: Array, truth: Array) -> float:
    """The largest difference as it is."""
    return float(np.max(_differences(found, truth), initial=0.0))


def _differences(found: Array, truth: Array) -> Array:
    """|found - truth|; 0 where both are NaN or the same infinity, infinite where only one is."""
    a, b = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        return np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf, posinf=np.inf))


def limit(noise: float, dtype: npt.DTypeLike) -> float:
    """The largest error of an output of this type that passes for noise; 0 if the noise is unbounded."""
    floor = FLOOR * float(np.finfo(np.dtype(dtype)).eps)
    return max(FACTOR * noise, floor) if np.isfinite(noise) else 0.0


def disagreement(found: Array, truth: Array, doubtful: Array | None = None) -> float:
    """The share of elements that differ, those left out that are in doubt."""
    if found.shape != truth.shape:
        return 1.0
    wrong = found != truth if doubtful is None else (found != truth) & ~doubtful
    return float(np.mean(wrong)) if wrong.size else 0.0


def undecided(scores: Array, axis: int, noise: float, *, largest: bool = True) -> Array:
    """Where noise could make another element than the truth's the largest (or smallest) one along an axis.

    Args:
        scores: What the index was taken from, in float64.
        axis: The axis that the index counts along; it isn't in the result.
        noise: The error that noise makes in the scores, as `error` measures it.
        largest: Whether it is the largest or the smallest that was taken.
    """
    signed = np.asarray(scores if largest else -scores, np.float64)
    if signed.shape[axis] < 2:
        return np.zeros(np.delete(signed.shape, axis), np.bool_)
    first, second = np.moveaxis(np.partition(signed, -2, axis=axis).take([-1, -2], axis=axis), axis, 0)
    reach = max(FACTOR * noise, FLOOR * float(np.finfo(np.float32).eps)) * np.max(scale(signed), axis=axis)
    return np.asarray(first - second <= 2 * reach)
