"""Errors are relative to what is usual in an output; limits come from noise; undecided labels are excused."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.verify.compare import FACTOR, FLOOR, disagreement, error, largest_difference, limit, scale, undecided

EPS = float(np.finfo(np.float32).eps)


def test_small_elements_count_by_what_is_usual() -> None:
    """An element near zero is measured against the root mean square, a large one against itself."""
    truth = np.array([1000.0, 1.0, 1e-9, -2.0])
    usual = np.sqrt(np.mean(truth**2))
    np.testing.assert_allclose(scale(truth), [1000, usual, usual, usual])
    assert error(truth + np.array([10, 0, 0, 0]), truth) == pytest.approx(0.01)
    assert error(truth + np.array([0, 0, 0.5, 0]), truth) == pytest.approx(0.5 / usual)


def test_one_huge_element_doesnt_hide_mistakes_in_the_others() -> None:
    """A hundredth wrong in thousand elements of size 1 is seen beside one of a thousand."""
    truth = np.ones(1000)
    truth[0] = 1000
    found = truth.copy()
    found[1:] *= 1.01
    assert error(found, truth) > 100 * limit(EPS, np.float32)


def test_nothing_but_zeros() -> None:
    """The scale is 1 then, so that the floor of the limit is a difference of a few units in the last place of 1."""
    assert error(np.zeros(3), np.zeros(3)) == 0
    assert error(np.full(3, 1e-3), np.zeros(3)) == pytest.approx(1e-3)


def test_what_is_not_finite_has_to_be_the_same() -> None:
    """Infinities and NaN in the same places are no error, anything else is one beyond any limit."""
    truth = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert error(truth.copy(), truth) == 0
    for wrong in ([0, np.inf, -np.inf, 1], [np.nan, -np.inf, -np.inf, 1], [np.nan, np.inf, -np.inf, np.nan]):
        assert error(np.array(wrong), truth) == np.inf
        assert largest_difference(np.array(wrong), truth) == np.inf


def test_another_shape_is_wrong() -> None:
    """Whatever the numbers are."""
    assert error(np.zeros((2, 3)), np.zeros((3, 2))) == np.inf
    assert disagreement(np.zeros((2, 3), int), np.zeros((3, 2), int)) == 1


def test_limits() -> None:
    """A multiple of the noise, a floor for the type of the output, and nothing passes where there is no bound."""
    assert limit(1e-3, np.float32) == FACTOR * 1e-3
    assert limit(0, np.float32) == FLOOR * EPS
    assert limit(0, np.float64) == FLOOR * np.finfo(np.float64).eps
    assert limit(np.inf, np.float32) == limit(np.nan, np.float32) == 0


def test_labels_have_to_be_equal_unless_in_doubt() -> None:
    """The share of wrong ones, of all."""
    truth, found = np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0])
    assert disagreement(found, truth) == 0.5
    assert disagreement(found, truth, np.array([False, False, True, False])) == 0.25


@pytest.mark.parametrize("largest", [True, False])
def test_close_scores_are_undecided(largest: bool) -> None:
    """Where the two best are closer than noise reaches; never where there is only one."""
    scores = np.array([[1.0, 2.0, 2.0 + 1e-9], [1.0, 2.0, 3.0], [5.0, 5.0 + 1e-3, 0.0]])
    scores = scores if largest else -scores
    assert undecided(scores, 1, 1e-7, largest=largest).tolist() == [True, False, False]
    assert undecided(scores, 1, 1e-3, largest=largest).tolist() == [True, False, True]
    assert undecided(scores[:, :1], 1, 1.0).tolist() == [False, False, False]


def test_undecided_along_any_axis() -> None:
    """The axis that the label counts along is not in the result."""
    scores = np.zeros((2, 3, 4))
    scores[:, 1] = 1
    assert not undecided(scores, 1, 1e-7).any()
    assert undecided(scores, 1, 1e-7).shape == (2, 4)
    assert undecided(scores, 0, 1e-7).all()
