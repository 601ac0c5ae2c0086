"""Padding as TensorFlow says it, and as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.ir.dims import Dim
from exporter.lower.tf.context import NodeContext, RefusalError
from exporter.lower.tf.layout import Layout

__all__ = ["explicit_pads", "extents", "padding_attributes"]


def extents(kernel: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """How far a dilated kernel reaches along each axis: (k - 1) * dilation + 1."""
    return [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]


def padding_attributes(
    ctx: NodeContext, layout: Layout, space: Sequence[Dim], reach: Sequence[int], strides: Sequence[int]
) -> dict[str, Any]:
    """The attributes `pads` or `auto_pad` of a convolution or pool.

    SAME adds max((ceil(n / s) - 1) * s + reach - n, 0), the odd one at the end. That is reach - 1 where the stride s is
    1, and 0 where the reach is 1, whatever the size n is; elsewhere an unknown size leaves it to `auto_pad`.

    Args:
        ctx: Has the attributes `padding` and `explicit_paddings`.
        layout: The layout that `explicit_paddings` is in.
        space: The spatial sizes of the input.
        reach: How far the kernel reaches along each axis.
        strides: One per spatial axis.
    """
    padding = ctx.text("padding")
    if padding == "VALID":
        return {"pads": [0] * (2 * len(reach))}
    if padding == "EXPLICIT":
        return {"pads": explicit_pads(ctx, layout)}
    if padding != "SAME":
        raise RefusalError(f"padding is {padding!r}")
    totals = [_same_total(*axis) for axis in zip(space, reach, strides, strict=True)]
    known = [total for total in totals if total is not None]
    if len(known) < len(totals):
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [total // 2 for total in known] + [total - total // 2 for total in known]}


def explicit_pads(ctx: NodeContext, layout: Layout) -> list[int]:
    """Attribute `explicit_paddings` as begins and ends of the spatial axes."""
    pads = ctx.integers("explicit_paddings")
    if len(pads) != 2 * layout.rank:
        raise RefusalError(f"explicit_paddings has {len(pads)} entries, expected {2 * layout.rank}")
    begins, ends = pads[0::2], pads[1::2]
    if any(begins[axis] or ends[axis] for axis in (0, layout.channel)):
        raise RefusalError(f"explicit_paddings is {pads}: batch and channels can't be padded")
    return [begins[axis] for axis in layout.space] + [ends[axis] for axis in layout.space]


def _same_total(size: Dim, reach: int, stride: int) -> int | None:
    """What SAME adds to an axis; None where it depends on an unknown size."""
    if stride == 1 or reach == 1:
        return reach - 1
    if not isinstance(size, int):
        return None
    return max((-(-size // stride) - 1) * stride + reach - size, 0)
