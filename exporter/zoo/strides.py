"""Dilation instead of strides, for denser results from the same weights."""

from __future__ import annotations

from exporter.errors import UsageError
from exporter.zoo.architecture import Choices, Option

__all__ = ["OUTPUT_STRIDE", "Strides"]

OUTPUT_STRIDE = Option("output_stride", 32, "how much smaller than the image the last features are")


class Strides:
    """Strides as the table has them until the output's stride is reached; from there on dilation in their place.

    Args:
        choices: With the option `output_stride`.
        done: The stride of what comes before.

    Raises:
        UsageError: The output can't have this stride.
    """

    def __init__(self, choices: Choices, *, done: int = 1) -> None:
        wanted = choices.integer(OUTPUT_STRIDE.name)
        allowed = [stride for stride in (4, 8, 16, 32) if stride >= done]
        if wanted not in allowed:
            listed = ", ".join(map(str, allowed))
            raise UsageError(f"--set {OUTPUT_STRIDE.name}={wanted}: it can be {listed}")
        self._left, self._rate = wanted // done, 1

    def next(self, stride: int) -> tuple[int, int]:
        """The stride and the rate of the layer that has this stride in the table."""
        if self._left > 1 or stride == 1:
            self._left = max(self._left // stride, 1)
            return stride, self._rate
        rate, self._rate = self._rate, self._rate * stride
        return 1, rate
