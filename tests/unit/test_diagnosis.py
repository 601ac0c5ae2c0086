"""What the numbers of batch norms say: each sentence where it is due, and none where all is well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.report.diagnosis import NormValues, diagnose


def _norm(name: str = "bn", *, gamma: float = 1.0, mean: float = 0.3, variance: float = 0.8) -> NormValues:
    """Four channels, the first of which has these values; statistics are kept by 0.9 at each step."""
    usual = np.array([0.0, 0.5, -0.2, 0.1], np.float32)
    first = np.array([1.0, 0, 0, 0], np.float32)
    return NormValues(
        name,
        1e-5,
        np.where(first == 1, gamma, 1 + usual),
        np.where(first == 1, mean, usual),
        np.where(first == 1, variance, 1.2 + usual),
        0.9,
    )


def _initial(name: str) -> NormValues:
    return NormValues(name, 1e-5, None, np.zeros(4), np.ones(4), 0.9)


def test_all_is_well() -> None:
    """After enough steps there is nothing to say; nor if the number of steps isn't known."""
    assert diagnose([_norm()], 1000) == []
    assert diagnose([_norm()], None) == []


def test_statistics_that_were_never_updated() -> None:
    """Mean 0 and variance 1 everywhere, and only there."""
    (sentence,) = diagnose([_norm("trained"), _initial("first"), _initial("second")], None)
    assert "2 of 3 batch norms" in sentence
    assert "(first, second)" in sentence


@pytest.mark.parametrize(("steps", "said"), [(5, "59 %"), (40, "1.48 %"), (50, None)])
def test_statistics_that_carry_their_initial_values(steps: int, said: str | None) -> None:
    """0.9^steps of them is left, which is worth saying above one per cent."""
    found = diagnose([_norm()], steps)
    assert [said in sentence for sentence in found if said] == ([True] if said else [])
    assert bool(found) == (said is not None)


@pytest.mark.parametrize("variance", [0.0, 1e-12])
def test_a_tiny_variance_amplifies(variance: float) -> None:
    """1 / sqrt(1e-5) is 316: epsilon keeps it below 1000, unless gamma is large."""
    assert diagnose([_norm(variance=variance)], None) == []
    (sentence,) = diagnose([_norm(variance=variance, gamma=4.0)], None)
    assert "amplify" in sentence
    assert "bn: 1 of 4" in sentence


def test_a_gamma_of_zero_switches_a_channel_off() -> None:
    """Exactly 0: a small one is alive."""
    (sentence,) = diagnose([_norm(gamma=0.0), _norm("alive", gamma=1e-6)], None)
    assert "could be pruned" in sentence
    assert "(bn: 1 of 4)" in sentence


@pytest.mark.parametrize(("steps", "said"), [(5, True), (43, True), (44, False), (100, False)])
def test_few_steps_with_an_unknown_decay(steps: int, said: bool) -> None:
    """With 0.9, the least that is usual, 44 steps leave less than one per cent."""
    norm = replace(_norm(variance=0.9), momentum=None)
    found = diagnose([norm], steps)
    assert [("may still carry" in s, "isn't in the file" in s) for s in found] == [(True, True)] * said


def test_statistics_from_elsewhere_carry_nothing() -> None:
    """A variance below the share that began with 1 was restored: nothing is said."""
    assert diagnose([replace(_norm(variance=0.1), momentum=None)], 5) == []
    assert diagnose([_norm(variance=0.1)], 5) == []
