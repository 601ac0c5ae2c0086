"""Where windows over an image lie: padding and sizes, as TensorFlow has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.errors import UsageError
from exporter.zoo.style import Padding

__all__ = ["Window"]


class Window:
    """A window over the two spatial axes of x.

    Args:
        sizes: Height and width of x, None where unknown.
        kernel: Height and width of the window.
        stride: Step, the same both ways.
        rate: Distance of the window's taps.
        padding: How x is padded.
    """

    def __init__(
        self, sizes: Sequence[int | None], kernel: Sequence[int], stride: int, rate: int, padding: Padding
    ) -> None:
        self._sizes, self._stride, self._padding = sizes, stride, padding
        self._extents = [rate * (size - 1) + 1 for size in kernel]

    def pads(self) -> dict[str, Any]:
        """The attribute of the IR's op: `pads`, or `auto_pad` where the padding depends on an unknown size."""
        totals = [self._total(size, extent) for size, extent in zip(self._sizes, self._extents, strict=True)]
        known = [total for total in totals if total is not None]
        if len(known) < len(totals):
            return {"auto_pad": "SAME_UPPER"}
        return {"pads": [*[total // 2 for total in known], *[total - total // 2 for total in known]]}

    def output(self) -> tuple[int | None, ...]:
        """Height and width of the result.

        Raises:
            UsageError: The image is smaller than the window.
        """
        found = tuple(self._positions(size, extent) for size, extent in zip(self._sizes, self._extents, strict=True))
        if any(size is not None and size < 1 for size in found):
            raise UsageError(
                f"the input is too small for the network: a window of {self._extents[0]} x {self._extents[1]} doesn't "
                f"fit into {self._sizes[0]} x {self._sizes[1]}",
                hint="Give a larger one with --input NAME=?,HEIGHT,WIDTH,CHANNELS",
            )
        return found

    def _total(self, size: int | None, extent: int) -> int | None:
        if self._padding == "valid":
            return 0
        if self._padding == "fixed" or self._stride == 1 or extent == 1:
            return extent - 1
        if size is None:
            return None
        return max((-(-size // self._stride) - 1) * self._stride + extent - size, 0)

    def _positions(self, size: int | None, extent: int) -> int | None:
        if size is None:
            return None
        total = self._total(size, extent)
        assert total is not None
        return (size + total - extent) // self._stride + 1
