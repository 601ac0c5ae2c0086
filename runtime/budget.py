"""What one run may take: bytes of one array and of all at a time, and steps of loops.

The bytes are a constant and a multiple of what the caller and the file give, so that a few bytes can't ask for all of a
machine, and a large input still gets what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runtime.extent import nbytes

__all__ = ["FREE_BYTES", "MOST_STEPS", "PER_BYTE", "Budget", "Limits", "TooMuchError"]

FREE_BYTES = 1 << 28
"""Bytes that a run may take whatever it is given."""

PER_BYTE = 64
"""Bytes that it may take for each byte of its inputs and weights."""

MOST_STEPS = 1 << 18
"""Steps of all loops of a run together, those of loops inside loops included."""


class TooMuchError(ValueError):
    """More than the budget allows."""


class Limits(NamedTuple):
    """What the caller allows one run, where that isn't what follows from its inputs; see `Budget`."""

    most_bytes: int | None = None
    most_steps: int | None = None


class Budget:
    """What is left of what one run may take.

    Args:
        given: Bytes of the inputs and weights.
        limits: What the caller says instead.
    """

    def __init__(self, given: int = 0, limits: Limits | None = None) -> None:
        most_bytes, most_steps = limits or Limits()
        self.most_bytes = FREE_BYTES + PER_BYTE * given if most_bytes is None else most_bytes
        self.most_steps = MOST_STEPS if most_steps is None else most_steps
        self._steps = 0
        self._kept = 0

    def check(self, op: str, inputs: Sequence[Any], attributes: Mapping[str, Any], held: int = 0) -> None:
        """Before an operator is computed: whether there is room for its results beside `held` bytes.

        Raises:
            TooMuchError: There isn't.
        """
        wanted, held = nbytes(op, inputs, attributes), held + self._kept
        if wanted + held > self.most_bytes:
            raise TooMuchError(
                f"it would take {wanted + held} bytes, and {self.most_bytes} are allowed; most_bytes= allows more"
            )

    def keep(self, size: int) -> None:
        """Counts bytes that a loop collects until it ends."""
        self._kept += size
        if self._kept > self.most_bytes:
            raise TooMuchError(
                f"a loop collects more than {self.most_bytes} bytes, which are allowed; most_bytes= allows more"
            )

    def step(self) -> None:
        """Counts a step of a loop; TooMuchError if there have been too many."""
        self._steps += 1
        if self._steps > self.most_steps:
            raise TooMuchError(f"loops make more than {self.most_steps} steps; most_steps= allows more")
