"""What one run may take: bytes of one array and of all at a time, computing, and steps of loops.

The bytes are a constant and a multiple of what the caller and the file give, so that a few bytes can't ask for all of a
machine, and a large input still gets what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runtime.cost import cost

__all__ = ["FREE_BYTES", "FREE_OPERATIONS", "MOST_STEPS", "PER_BYTE", "Budget", "Limits", "Meter", "TooMuchError"]

FREE_BYTES = 1 << 28
"""Bytes that a run may take whatever it is given."""

PER_BYTE = 64
"""Bytes that it may take for each byte of its inputs and weights."""

FREE_OPERATIONS = 1 << 35
"""Operations, as `runtime.cost` counts them, that a run may take whatever it is given: some seconds."""

OPERATIONS_PER_BYTE = 1 << 16
"""Operations that it may take for each byte of its inputs and weights; a large classifier takes some hundreds."""

MOST_STEPS = 1 << 18
"""Steps of all loops of a run together, those of loops inside loops included."""


class TooMuchError(ValueError):
    """More than the budget allows.

    Attributes:
        reason: What is too much.
        option: The argument of `runtime.load` that allows more, also an option of `python -m runtime`.
    """

    def __init__(self, reason: str, option: str) -> None:
        spelled = option.replace("_", "-")
        super().__init__(f"{reason}; python -m runtime --{spelled} N, or runtime.load({option}=N), allows more")
        self.reason = reason
        self.option = option


class Limits(NamedTuple):
    """What the caller allows one run, where that isn't what follows from its inputs; see `Budget`."""

    most_bytes: int | None = None
    most_steps: int | None = None
    most_operations: int | None = None


class Meter:
    """Counts operations, of one run or of several.

    Args:
        most: How many are allowed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = most

    def spend(self, count: int) -> None:
        """Counts operations; TooMuchError if there have been too many."""
        self.left -= count
        if self.left < 0:
            raise TooMuchError(f"it would take more than {self.most} operations", "most_operations")


class Budget:
    """What is left of what one run may take.

    Args:
        given: Bytes of the inputs and weights.
        limits: What the caller says instead.
        meter: What the operations are counted by together with those of other runs; by default it is the run's own.
    """

    def __init__(self, given: int = 0, limits: Limits | None = None, meter: Meter | None = None) -> None:
        most_bytes, most_steps, most_operations = limits or Limits()
        free = FREE_OPERATIONS + OPERATIONS_PER_BYTE * given
        self.meter = meter or Meter(free if most_operations is None else most_operations)
        self.most_bytes = FREE_BYTES + PER_BYTE * given if most_bytes is None else most_bytes
        self.most_steps = MOST_STEPS if most_steps is None else most_steps
        self._steps = 0
        self._kept = 0

    def check(self, op: str, inputs: Sequence[Any], attributes: Mapping[str, Any], held: int = 0) -> None:
        """Before an operator is computed: whether there is room for its results beside `held` bytes, and time.

        Raises:
            TooMuchError: There isn't.
        """
        made, operations = cost(op, inputs, attributes)
        wanted = made + held + self._kept
        if wanted > self.most_bytes:
            raise TooMuchError(f"it would take {wanted} bytes, and {self.most_bytes} are allowed", "most_bytes")
        self.meter.spend(operations)

    def again(self) -> Budget:
        """Return the same budget with nothing spent."""
        return Budget(0, Limits(self.most_bytes, self.most_steps, self.meter.most))

    def keep(self, size: int) -> None:
        """Counts bytes that a loop collects until it ends."""
        self._kept += size
        if self._kept > self.most_bytes:
            raise TooMuchError(f"a loop collects more than {self.most_bytes} bytes, which are allowed", "most_bytes")

    def step(self) -> None:
        """Counts a step of a loop; TooMuchError if there have been too many."""
        self._steps += 1
        if self._steps > self.most_steps:
            raise TooMuchError(f"loops make more than {self.most_steps} steps", "most_steps")
