"""Limits of each channel: nothing hides behind a large neighbour, and right results pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from exporter.verify.yardstick import LOOSE, Yardstick

_RANDOM = np.random.RandomState(3)
_TRUTH = _RANDOM.standard_normal((64, 6))


def _runs(truth: npt.NDArray[np.float64], eps: float = 1e-7) -> list[npt.NDArray[np.float64]]:
    return [truth + eps * np.nanmedian(np.abs(truth), axis=0) * _RANDOM.standard_normal(truth.shape) for _ in range(3)]


def _yardstick(truth: npt.NDArray[np.float64]) -> Yardstick:
    return Yardstick(truth, _runs(truth), np.float32)


def test_another_rounding_passes() -> None:
    """Errors of the size of the noise are good in every channel."""
    assert _yardstick(_TRUTH).worst(_runs(_TRUTH)[0]).ratio < 1


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e9])
def test_a_small_channel_beside_a_large_one_is_judged_by_itself(factor: float) -> None:
    """A ten-thousandth too much in one channel is found, however large its neighbours are."""
    truth = _TRUTH * np.array([factor, 1, 1, 1, 1, 1])
    found = truth.copy()
    found[:, 2] *= 1.0001
    worst = _yardstick(truth).worst(found)
    assert worst.ratio > 1
    assert worst.channel == 2


def test_elements_beside_huge_ones_of_the_same_channel_are_judged_by_what_is_usual() -> None:
    """As scores beside the -1e9 and -1e11 of a mask."""
    truth = _TRUTH.copy()
    truth[:8] -= 1e11
    found = truth.copy()
    found[20, 1] += 1e-3
    assert _yardstick(truth).worst(found).ratio > 1


def test_what_is_exact_for_its_size_is_judged_by_its_size() -> None:
    """A probability of 1e-9 that is a tenth too large is found."""
    truth = np.exp(5 * _TRUTH)
    truth /= truth.sum(1, keepdims=True)
    truth[3, 2] = 1e-9
    runs = [truth * (1 + 1e-7 * _RANDOM.standard_normal(truth.shape)) for _ in range(3)]
    found = truth.copy()
    found[3, 2] *= 1.1
    assert Yardstick(truth, runs, np.float32).worst(found).ratio < 1
    assert Yardstick(truth, runs, np.float32, own_size=True).worst(found).ratio > 1


def test_noise_of_what_was_picked_is_that_of_all_that_it_was_picked_from() -> None:
    """One number whose noise is nothing by chance may be off by as much as its neighbours; not by more."""
    runs = _runs(_TRUTH)
    for run in runs:
        run[0] = _TRUTH[0]
    few, all_of_them = [run[:1] for run in runs], Yardstick(_TRUTH, runs, np.float32)
    found = _TRUTH[:1] * (1 + 2e-6)
    alone = Yardstick(_TRUTH[:1], few, np.float32)
    picked = Yardstick(_TRUTH[:1], few, np.float32, picked_from=all_of_them)
    assert alone.worst(found).ratio > 1 > picked.worst(found).ratio
    assert picked.worst(_TRUTH[:1] * (1 + 1e-4)).ratio > 1


def test_noise_of_columns_is_that_of_the_channel_that_they_are_of() -> None:
    """A flattened image has few numbers in each column, whose noise may be nothing by chance."""
    runs, columns = _runs(_TRUTH), _TRUTH.reshape(4, -1)
    flat = [columns, *(columns + 1e-12 for _ in runs[1:])]
    found = columns * (1 + 2e-6)
    alone = Yardstick(columns, flat, np.float32)
    known = Yardstick(columns, flat, np.float32, picked_from=Yardstick(_TRUTH, runs, np.float32))
    assert alone.worst(found).ratio > 1 > known.worst(found).ratio
    assert known.worst(columns * (1 + 1e-4)).ratio > 1


def test_a_channel_of_one_number_may_be_as_noisy_as_others() -> None:
    """All runs round it in the same way, another engine in another; not by more than the noisiest channel's noise."""
    truth = _TRUTH.copy()
    truth[:, 2] = 0.003
    runs = [run.copy() for run in _runs(_TRUTH)]
    for run in runs:
        run[:, 2] = 0.003
        run[:, 4] += 1e-5 * _RANDOM.standard_normal(64)
    found, varied = truth.copy(), truth.copy()
    found[:, 2] *= 1 + 8e-6
    assert Yardstick(truth, runs, np.float32).worst(found).ratio < 1
    varied[:, 2] += 0.001 * _TRUTH[:, 2]
    judge = Yardstick(varied, [np.where(np.arange(6) == 2, varied, run) for run in runs], np.float32)
    off = varied.copy()
    off[:, 2] *= 1 + 8e-6
    assert judge.worst(off).ratio > 1
    found[:, 2] = 0.003 * 1.001
    assert Yardstick(truth, runs, np.float32).worst(found).ratio > 1


def test_probabilities_of_nothing_are_not_asked_for_digits() -> None:
    """Noise of a tenth in classes of 1e-200 is no reason for doubt; in classes that count it is."""
    small = np.exp(-460 + _TRUTH)
    for sizes, loose in ((small, 0.0), (np.exp(_TRUTH), 1.0)):
        truth = np.concatenate([np.ones((64, 1)), sizes[:, 1:]], axis=1)
        noisy = [truth * (1 + 0.1 * _RANDOM.standard_normal(truth.shape) * (np.arange(6) > 0)) for _ in range(3)]
        assert Yardstick(truth, noisy, np.float32, own_size=True).loose == pytest.approx(loose)


def test_nan_and_infinity() -> None:
    """Equal ones in the same places are equal; anywhere else they are infinitely far off."""
    truth = _TRUTH.copy()
    truth[0, 0], truth[1, 1] = np.nan, np.inf
    yardstick = _yardstick(truth)
    assert yardstick.worst(truth).ratio == 0
    assert not yardstick.finite
    for place, value in (((0, 0), 1.0), ((2, 3), np.nan), ((1, 1), -np.inf)):
        found = truth.copy()
        found[place] = value
        assert yardstick.worst(found).error == np.inf
    assert yardstick.worst(truth[:5]).error == np.inf


def test_a_limit_that_says_nothing_is_told() -> None:
    """Noise of a hundredth and more leaves no room for a verdict; a little less is cut to a hundredth."""
    assert Yardstick(_TRUTH, _runs(_TRUTH, 0.1), np.float32).loose == 1
    narrow = Yardstick(_TRUTH, _runs(_TRUTH, 4e-4), np.float32)
    assert narrow.loose == 0
    assert narrow.limits.max() <= LOOSE


def test_a_change_is_noticed_where_it_is_beyond_the_limit() -> None:
    """Channel by channel."""
    change = np.zeros_like(_TRUTH)
    change[5, 1] = 0.01
    change[:, 4] = 1e-9
    np.testing.assert_array_equal(_yardstick(_TRUTH).noticed(change), np.arange(6) == 1)
