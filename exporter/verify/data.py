"""Inputs moved as little as their type allows: what other rounding does to a model, seen from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["nudged"]

Array = npt.NDArray[Any]


def nudged(feeds: Mapping[str, Array], seed: int = 0) -> dict[str, Array]:
    """The same inputs with each float one unit in the last place up or down, but for whole numbers.

    A 0 or 1 that masks, a class or a count is exact: to move it would be another input, not rounding.
    """
    random = np.random.RandomState(seed)
    result = {}
    for name, array in feeds.items():
        if array.dtype.kind == "f":
            towards = np.where(random.randint(0, 2, array.shape) == 1, np.inf, -np.inf).astype(array.dtype)
            array = np.where(array == np.rint(array), array, np.nextafter(array, towards))
        result[name] = array
    return result
