"""Reads the weights of a network from a checkpoint, and checks what can be seen from the numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from exporter.errors import FormatError, ValueInputError
from exporter.formats.records import Array, TensorStore
from exporter.zoo.fit import Candidate
from exporter.zoo.leftovers import AVERAGED
from exporter.zoo.program import Weight

__all__ = ["Weights"]


_STEPS = "global_step"

_FLOATS = "fV"
"""NumPy's own kinds of floats, and the kind of bfloat16."""


class Weights:
    """The stored values of a network's weights.

    Args:
        store: The checkpoint.
        candidate: The network.
        averaged: Whether to take the exponential averages where there are any.
    """

    def __init__(self, store: TensorStore, candidate: Candidate, *, averaged: bool) -> None:
        self._store, self._candidate, self._averaged = store, candidate, averaged

    def key(self, weight: Weight) -> str | None:
        """The key that a weight is read from; None if it isn't stored."""
        key = self._candidate.key(weight.name)
        shadow = f"{key}/{AVERAGED}"
        if self._averaged and self._has(shadow, weight):
            return shadow
        return key if key in self._store else None

    def shadows(self) -> int:
        """How many weights have an exponential average."""
        weights = self._candidate.program.weights()
        return sum(self._has(f"{self._candidate.key(weight.name)}/{AVERAGED}", weight) for weight in weights)

    def _has(self, key: str, weight: Weight) -> bool:
        return key in self._store and self._store.info(key).shape == weight.shape

    def steps(self) -> int | None:
        """How many steps the weights were trained for, if a counter tells."""
        if _STEPS not in self._store:
            return None
        info = self._store.info(_STEPS)
        counts = info.shape == () and info.dtype is not None and info.dtype.kind in "iu"
        return int(self._store.read(_STEPS)) if counts else None

    def reader(self, weight: Weight) -> Callable[[], Array]:
        """Fetches a weight as float32; what it is by default where it isn't stored.

        The reader raises ValueInputError for NaN or infinity, and FormatError for what is no float.
        """
        key = self.key(weight)
        if key is None:
            return lambda: np.full(weight.shape, weight.absent, np.float32)

        @cache
        def read() -> Array:
            info = self._store.info(key)
            if info.dtype is None or info.dtype.kind not in _FLOATS:
                raise FormatError(f"tensor {key} is of type {info.kind}, where weights are of floating point")
            array = self._store.read(key)
            if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):  # NaN is both
                bad = "NaN" if np.isnan(array).any() else "infinity"
                raise ValueInputError(f"tensor {key} holds {bad}")
            return array.astype(np.float32, copy=False)

        return read
