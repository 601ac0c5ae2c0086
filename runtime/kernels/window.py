"""The geometry that convolutions and pools share, for any number of spatial axes, channels last.

Output position o along an axis sees the input at o * stride + tap * dilation - pad, for each tap of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from numpy.lib.stride_tricks import as_strided

from runtime.kernels.base import Array
from runtime.kernels.shape import padded

__all__ = ["Window", "same_total", "window"]


class Window(NamedTuple):
    """How a kernel slides over an input.

    Attributes:
        kernel, strides, dilations: One number per spatial axis.
        pads: How much is added before and after each.
        out: The sizes that come out.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    out: tuple[int, ...]

    @property
    def pointwise(self) -> bool:
        """Whether every output sees one input position and nothing is added."""
        return prod(self.kernel) == 1 and not any(map(any, self.pads))

    def pad(self, x: Array, value: object = 0) -> Array:
        """x[N, *spatial, C] with the pads around it."""
        return padded(x, [(0, 0), *self.pads, (0, 0)], value)

    def view(self, x: Array) -> Array:
        """The windows [N, *out, *kernel, C] of a padded x, without copying."""
        batch, *steps, channel = x.strides
        strides = [step * stride for step, stride in zip(steps, self.strides)]
        taps = [step * dilation for step, dilation in zip(steps, self.dilations)]
        shape = (x.shape[0], *self.out, *self.kernel, x.shape[-1])
        return as_strided(x, shape, (batch, *strides, *taps, channel), writeable=False)

    def taps(self, x: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
        """Each tap of the kernel with the part [N, *out, C] of a padded x that it sees."""
        for tap in product(*map(range, self.kernel)):
            yield tap, x[self.tap_slices(tap)]

    def tap_slices(self, tap: Sequence[int]) -> tuple[slice, ...]:
        """Where in a padded array the tap falls, for all output positions."""
        starts = [place * dilation for place, dilation in zip(tap, self.dilations)]
        spatial = (
            slice(start, start + stride * (size - 1) + 1 if size else start, stride)
            for start, stride, size in zip(starts, self.strides, self.out)
        )
        return (slice(None), *spatial, slice(None))


def window(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str = "NOTSET",
) -> Window:
    """The window of a kernel over an input of those spatial sizes, from ONNX's attributes."""
    rank = len(kernel)
    if len(sizes) != rank:
        raise ValueError(f"an input with {len(sizes)} spatial axes for a kernel with {rank}")
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    extents = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations)]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        both = [_same(*axis, lower=auto_pad == "SAME_LOWER") for axis in zip(sizes, extents, strides)]
    elif auto_pad in ("NOTSET", "VALID", ""):
        both = list(zip(pads[:rank], pads[rank:])) if pads else [(0, 0)] * rank
    else:
        raise ValueError(f"auto_pad is {auto_pad!r}, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    spans = [size + sum(pad) - extent for size, pad, extent in zip(sizes, both, extents)]
    out = [max(span // stride + 1, 0) for span, stride in zip(spans, strides)]
    return Window(tuple(kernel), tuple(strides), tuple(dilations), tuple(both), tuple(out))


def same_total(size: int, extent: int, stride: int) -> int:
    """How much SAME adds to an axis, so that a window reaching over `extent` has ceil(size / stride) positions."""
    return max((-(-size // stride) - 1) * stride + extent - size, 0)


def _same(size: int, extent: int, stride: int, *, lower: bool) -> tuple[int, int]:
    """The pads of SAME; the odd one is at the end, or the beginning."""
    total = same_total(size, extent, stride)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)
