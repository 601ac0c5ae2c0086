"""The error function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from runtime.kernels.erf import erf


@pytest.mark.parametrize("dtype, largest", [(np.float64, 1e-15), (np.float32, 2e-7)])
def test_erf_is_the_c_librarys(dtype: type, largest: float) -> None:
    """Within 1e-15 in float64 and two roundings in float32, everywhere, exactly odd."""
    x: Any = np.concatenate([np.linspace(-7, 7, 20001), [0.0, -0.0, 1e-300, 1e30, -1e30]]).astype(dtype)
    expected = np.array([math.erf(float(value)) for value in x])
    assert np.abs(erf(x) - expected).max() <= largest
    assert np.abs(erf(x + dtype(1e-6)) - expected).max() > largest
    np.testing.assert_array_equal(erf(-x), -erf(x))


def test_erf_of_what_is_not_finite() -> None:
    """NaN stays NaN, the infinities saturate."""
    np.testing.assert_array_equal(erf(np.array([np.nan, np.inf, -np.inf])), [np.nan, 1, -1])
