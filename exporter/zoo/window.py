"""Where windows over an image lie: padding and sizes, as TensorFlow has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.errors import UsageError
from exporter.nn.windows import extents, same_padding, same_size
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
        self._extents = extents(kernel, [rate] * 2)

    def pads(self) -> dict[str, Any]:
        """The attribute of the IR's op: `pads`, or `auto_pad` where the padding depends on an unknown size."""
        if self._padding == "valid":
            return {"pads": [0] * 4}
        stride = 1 if self._padding == "fixed" else self._stride
        return same_padding(self._sizes, self._extents, [stride] * 2)

    def output(self) -> tuple[int | None, ...]:
        """Height and width of the result.

        Raises:
            UsageError: The image is smaller than the window.
        """
        found: list[int | None] = []
        for size, extent in zip(self._sizes, self._extents, strict=True):
            if size is None:
                found.append(None)
                continue
            stride = 1 if self._padding == "fixed" else self._stride
            padding = 0 if self._padding == "valid" else same_size(size, extent, stride)
            assert padding is not None
            found.append((size + padding - extent) // self._stride + 1)
        if any(size is not None and size < 1 for size in found):
            raise UsageError(
                f"the input is too small for the network: a window of {self._extents[0]} x {self._extents[1]} doesn't "
                f"fit into {self._sizes[0]} x {self._sizes[1]}",
                hint="Give a larger one with --input NAME=?,HEIGHT,WIDTH,CHANNELS",
            )
        return tuple(found)
