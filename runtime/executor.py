"""The one seam of the runtime: what computes a bundle's outputs from its inputs.

`Plain` is the meaning of a bundle: one operator after the other, by the kernels of `runtime.kernels`. The engine
(`runtime.engine`) gives the same numbers but for rounding, in less time, and may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.budget import Budget, Limits
from runtime.bundle import Bundle
from runtime.kernels.base import Array
from runtime.plan import See, execute

if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

__all__ = ["Executor", "Plain"]


class Executor(Protocol):
    """Computes the outputs of one bundle; may be called by several threads at once."""

    def accepts(self, arrays: Sequence[Any]) -> bool:
        """Return whether arrays of these shapes and dtypes were checked in an earlier call."""

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs, in order, for the inputs, in order, in arrays of the caller's own."""


class Plain:
    """Runs one operator after the other.

    Args:
        bundle: What to run.
        limits: What each run may take.
    """

    def __init__(self, bundle: Bundle, limits: Limits | None = None) -> None:
        self._bundle = bundle
        self._limits = limits
        self._stored = sum(array.nbytes for array in bundle.weights.values())
        self._outputs = [value.name for value in bundle.outputs]

    def accepts(self, arrays: Sequence[Any]) -> bool:
        """Return False: inputs are checked in every call."""
        return False

    def run(self, arrays: Sequence[Array], see: See | None = None) -> list[Array]:
        """Return the outputs, in order; `see` is called after each node with its results.

        RunError if the sizes that were left open don't go together.
        """
        scope = {**self._bundle.weights, **{value.name: array for value, array in zip(self._bundle.inputs, arrays)}}
        borrowed = {id(array) for array in scope.values()}.union(id(_owner(array)) for array in arrays)
        execute(self._bundle.graph, scope, see, self.budget(arrays))
        return [_own(scope[name], borrowed) for name in self._outputs]

    def budget(self, arrays: Sequence[Array]) -> Budget:
        """Return what a run on these inputs may take."""
        return Budget(self._stored + sum(array.nbytes for array in arrays), self._limits)


def _owner(array: Array) -> Any:
    """Return the array that holds the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _own(array: Array, borrowed: set[int]) -> Array:
    """Return the array itself, or a copy if its memory is a weight's or the caller's."""
    if id(_owner(array)) in borrowed or not (array.flags.writeable and array.flags.c_contiguous):
        return np.array(array, order="C")
    return array
