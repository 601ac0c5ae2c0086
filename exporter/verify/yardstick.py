"""How far each channel of a tensor may be from the truth, so that nothing hides behind a large neighbour.

A difference is measured against the element's own size or what is usual in its channel (the last axis), whichever is
larger; elements that are larger than all that is usual, such as the -1e9 of a mask, don't count for what is usual.
Where an op makes every element exact to the last digits by itself, however small it is (`softmax`, `exp`),
each is measured against its own size alone as well.

Noise is measured likewise: the largest error of some runs in the model's own float type, in each channel, and never
less than what is usual in the tensor, since in few numbers noise may be nothing by chance. A channel of one number, as
a batch norm makes of zeros, is rounded in the same way in all runs: its noise may be that of the noisiest channel. The
limit of a channel is `FACTOR` times that. A limit above `LOOSE` says nothing about the values that it judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exporter.report.diagnosis import median
from exporter.verify.compare import FACTOR, FLOOR, Array

__all__ = ["LOOSE", "Deviation", "Yardstick"]

LOOSE = 1e-2
_UNUSUAL = 1e3
_FEW = 8
_SERIAL = 0.5
_SMALLEST = 1e-30
_SAME = 1e-4


@dataclass(frozen=True)
class Deviation:
    """Where a tensor is off the most, for what is allowed there.

    Attributes:
        error: The largest difference against the scale there; infinite where only one of the two is finite.
        limit: The largest error that passes.
        noise: The error that noise makes.
        channel: Which channel it is.
    """

    error: float
    limit: float
    noise: float
    channel: int

    @property
    def ratio(self) -> float:
        """How many times the limit the error is."""
        return self.error / self.limit if self.limit else float("inf") if self.error else 0.0


class Yardstick:
    """The truth about one tensor, and the limit of each of its channels.

    Args:
        truth: In float64.
        runs: The same tensor of runs in the model's own type.
        dtype: The type of what will be judged.
        own_size: Whether each element is exact for its size.
        depth: How many products are added up for each element.
        picked_from: What is known of the tensor whose elements these are, if they are some of another one's.
    """

    def __init__(
        self,
        truth: Array,
        runs: Sequence[Array],
        dtype: npt.DTypeLike,
        *,
        own_size: bool = False,
        depth: int = 1,
        picked_from: Yardstick | None = None,
    ) -> None:
        self.truth = truth
        wide = _wide(truth)
        self._scales = [_channel_scale(wide)]
        if own_size:
            self._scales.append(np.maximum(np.abs(np.nan_to_num(wide, posinf=1, neginf=1)), _SMALLEST))
        unit = float(np.finfo(np.dtype(dtype)).eps)
        # Added up one after the other, K products are off by about 0.2 sqrt(K) units in the last place of a typical
        # sum (each partial sum is rounded); engines may do so where NumPy adds in blocks. Twice that passes.
        floor = max(FLOOR, _SERIAL * depth**0.5) * unit
        size = np.abs(np.nan_to_num(wide)).reshape(-1, wide.shape[-1]).max(0, initial=0.0)
        self._counted = size >= unit * size.max(initial=0.0) if own_size else np.ones(size.shape, np.bool_)
        self._noise = [self._noises(runs, scale, unit) for scale in self._scales]
        if picked_from is not None and self._noise[0].size % picked_from._noise[0].size == 0:
            # A few elements tell less of the noise than all that they were picked from; each channel of an image is
            # several columns of what a reshape makes of it, side by side.
            times = self._noise[0].size // picked_from._noise[0].size
            self._noise[0] = np.maximum(self._noise[0], np.tile(picked_from._noise[0], times))
        self._limits = [np.maximum(FACTOR * noise, floor) for noise in self._noise]

    def of(self, truth: Array) -> Yardstick:
        """The same limits around another truth of the same tensor."""
        other = copy(self)
        other.truth = np.asarray(truth, np.float64)
        return other

    def _noises(self, runs: Sequence[Array], scale: Array, unit: float) -> Array:
        wide = _wide(self.truth)
        errors = [_by_channel(wide, _wide(run), scale) for run in runs if run.shape == self.truth.shape]
        if not errors:
            return np.zeros(wide.shape[-1])
        worst = np.max(errors, axis=0)
        finite = worst[np.isfinite(worst) & self._counted]
        usual = median(finite) if finite.size else 0.0
        noisiest = min(float(finite.max(initial=0.0)), FACTOR * max(usual, unit))
        return np.asarray(np.maximum(worst, np.where(_is_one_number(wide), noisiest, usual)))

    @property
    def limits(self) -> Array:
        """[C]: what an error may be, against what is usual in the channel; `LOOSE` at most where noise leaves room."""
        return np.asarray(_capped(self._limits[0], self._noise[0]))

    @property
    def loose(self) -> float:
        """The share of channels whose limit says nothing about their values.

        Probabilities that are nothing beside the largest ones, as 1e-200, have hardly a digit that is right, and nobody
        asks for one: they don't count.
        """
        limits = self.limits[self._counted]
        return float(np.mean(limits > LOOSE)) if limits.size else 0.0

    @property
    def finite(self) -> bool:
        """Whether the truth is."""
        return bool(np.all(np.isfinite(self.truth)))

    def worst(self, found: Array) -> Deviation:
        """Where what was found is off the most; everywhere, if it has another shape."""
        if found.shape != self.truth.shape:
            return Deviation(float("inf"), 0.0, 0.0, 0)
        if not found.size:
            return Deviation(0.0, 1.0, 0.0, 0)
        deviations = []
        for scale, noise, limits in zip(self._scales, self._noise, self._limits, strict=True):
            errors, allowed = _by_channel(_wide(self.truth), _wide(found), scale), _capped(limits, noise)
            with np.errstate(all="ignore"):
                ratio = np.nan_to_num(errors / allowed, nan=0.0, posinf=np.inf)
            at = int(np.argmax(ratio))
            deviations.append(Deviation(float(errors[at]), float(allowed[at]), float(noise[at]), at))
        return max(deviations, key=lambda one: one.ratio)

    def worst_in_any_order(self, found: Array) -> Deviation:
        """The same for a tensor whose elements may be in another order: a lower bound of what `worst` would give."""
        truth, other = np.sort(_wide(self.truth), axis=None), np.sort(np.asarray(found, np.float64), axis=None)
        if truth.shape != other.shape:
            return Deviation(float("inf"), 0.0, 0.0, 0)
        scale = float(np.max(self._scales[0]))
        allowed = float(np.max(self._scales[0] * self.limits)) / scale
        error = _by_channel(truth[:, None], other[:, None], np.full(1, scale))
        return Deviation(float(error.max(initial=0.0)), allowed, float(self._noise[0].max(initial=0.0)), 0)

    def noticed(self, change: Array) -> Array:
        """[C]: whether a change of each channel alone, as large as this, would be beyond its limit somewhere.

        Args:
            change: |difference|, of the tensor's shape.
        """
        found = np.zeros(_wide(self.truth).shape[-1], np.bool_)
        for scale, noise, limits in zip(self._scales, self._noise, self._limits, strict=True):
            with np.errstate(all="ignore"):
                relative = (_wide(change) / scale).reshape(-1, found.size).max(0, initial=0.0)
            found |= relative > _capped(limits, noise)
        return found


def _capped(limits: Array, noise: Array) -> Array:
    """`FACTOR` is generous: a quarter of it still is four times the noise."""
    return np.asarray(np.where((limits > LOOSE) & (FACTOR / 4 * noise <= LOOSE), LOOSE, limits))


def _is_one_number(wide: Array) -> Array:
    """[C]: whether all numbers of a channel are the same but for what noise may make of one, and not 0."""
    flat = wide.reshape(-1, wide.shape[-1])
    largest = np.abs(flat).max(0, initial=0.0)
    with np.errstate(all="ignore"):
        return np.asarray(
            (largest > 0) & (flat.max(0, initial=-np.inf) - flat.min(0, initial=np.inf) <= _SAME * largest)
        )


def _wide(array: Array) -> Array:
    wide = np.asarray(array, np.float64)
    return wide.reshape(-1, 1) if wide.ndim < 2 else wide


def _channel_scale(wide: Array) -> Array:
    """For each element its own size, or the root mean square of what is usual in its channel."""
    size = np.abs(np.where(np.isfinite(wide), wide, 0.0))
    flat = size.reshape(-1, size.shape[-1])
    if not flat.size:
        return size
    usual = _usual(flat)
    few = (np.count_nonzero(flat, axis=0) < _FEW) & (usual > 0)
    if few.any():  # they don't tell what is usual: sums that cancel by chance have the error of all others
        usual = np.where(few, np.maximum(usual, median(usual[usual > 0])), usual)
    overall = float(np.max(usual, initial=0.0))
    usual = np.where(usual > 0, usual, overall or 1.0)
    return np.maximum(size, usual)


def _usual(flat: Array) -> Array:
    """[C]: the root mean square of the elements that aren't 0, nor larger than all others by far."""
    nonzero = np.where(flat > 0, flat, np.nan)
    some = np.any(flat > 0, axis=0)
    middle = np.zeros(flat.shape[1])
    if some.any():
        middle[some] = _middle(nonzero[:, some])
    counted = (flat > 0) & (flat <= _UNUSUAL * middle)
    total = np.sum(np.square(np.where(counted, flat, 0.0)), axis=0)
    return np.asarray(np.sqrt(total / np.maximum(counted.sum(0), 1)))


def _middle(numbers: Array) -> Array:
    """The median of each column without its NaN; few numbers are sorted, for which NumPy would import masked arrays."""
    if numbers.size > _FEW_NUMBERS:
        return np.asarray(np.nanmedian(numbers, axis=0))
    ordered, last = np.sort(numbers, axis=0), np.count_nonzero(~np.isnan(numbers), axis=0) - 1
    low, high = (np.take_along_axis(ordered, place[np.newaxis], axis=0)[0] for place in (last // 2, (last + 1) // 2))
    return np.asarray((low + high) / 2)


_FEW_NUMBERS = 1 << 16


def _by_channel(truth: Array, found: Array, scale: Array) -> Array:
    """[C]: the largest difference against the scale; infinite where only one is finite, or infinite otherwise."""
    with np.errstate(all="ignore"):
        same = (truth == found) | (np.isnan(truth) & np.isnan(found))
        off = np.where(same, 0.0, np.nan_to_num(np.abs(found - truth), nan=np.inf, posinf=np.inf))
        return np.asarray((off / scale).reshape(-1, off.shape[-1]).max(0, initial=0.0))
