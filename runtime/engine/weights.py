"""A model's arrays, of which those can be dropped that are kept in another form; they are read again when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runtime.kernels.base import Array

__all__ = ["WORTH_DROPPING", "Weights"]

WORTH_DROPPING = 1 << 16
"""Bytes of an array that is worth dropping."""


class Weights(Mapping[str, Array]):
    """Arrays by name.

    Args:
        arrays: All of them.
        read: Gives one by its name, after it was dropped; without it, none ever is.
    """

    def __init__(self, arrays: Mapping[str, Array], read: Callable[[str], Array] | None = None) -> None:
        self._arrays = dict(arrays)
        self._kinds = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        self._read = read

    def __getitem__(self, name: str) -> Array:
        array = self._arrays.get(name)
        return self._read(name) if array is None and self._read is not None else self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def kinds(self) -> Iterator[tuple[str, tuple[tuple[int, ...], Any]]]:
        """Shape and dtype of each, without reading any."""
        return iter(self._kinds.items())

    def drop(self, name: str) -> None:
        """Lets go of an array."""
        array = self._arrays.get(name)
        if self._read is not None and array is not None and array.nbytes >= WORTH_DROPPING:
            self._arrays.pop(name, None)  # another thread may have been faster
