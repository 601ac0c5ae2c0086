"""How windows lie over an axis: reach, padding, and what SAME is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.kernels.window import same_total

__all__ = ["extents", "same_padding", "same_size"]


def extents(kernel: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Return how far a dilated kernel reaches along each axis: (k - 1) * dilation + 1."""
    return [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]


def same_padding(sizes: Sequence[object], reach: Sequence[int], strides: Sequence[int]) -> dict[str, Any]:
    """Return `pads` for windows at ceil(n / s) places, the odd zero of an axis at its end; `auto_pad` where n decides.

    The total is max((ceil(n / s) - 1) * s + reach - n, 0): reach - 1 where s = 1, and 0 where reach = 1, whatever n is.

    Args:
        sizes: The spatial sizes n of the input; anything but an int for one that isn't known.
        reach: How far the kernel reaches along each axis.
        strides: The strides s.
    """
    totals = [same_size(*axis) for axis in zip(sizes, reach, strides, strict=True)]
    known = [total for total in totals if total is not None]
    if len(known) < len(totals):
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [*[total // 2 for total in known], *[total - total // 2 for total in known]]}


def same_size(size: object, reach: int, stride: int) -> int | None:
    """Return what SAME adds to an axis; None where that depends on a size that isn't known."""
    if stride == 1 or reach == 1:
        return reach - 1
    return same_total(size, reach, stride) if isinstance(size, int) else None
