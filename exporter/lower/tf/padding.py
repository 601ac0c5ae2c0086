"""Padding as TensorFlow says it, and as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.ir.dims import Dim
from exporter.lower.tf.context import NodeContext, RefusalError
from exporter.lower.tf.layout import Layout
from exporter.nn.windows import same_padding

__all__ = ["explicit_pads", "padding_attributes"]


def padding_attributes(
    ctx: NodeContext, layout: Layout, space: Sequence[Dim], reach: Sequence[int], strides: Sequence[int]
) -> dict[str, Any]:
    """The attributes `pads` or `auto_pad` of a convolution or pool.

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
    return same_padding(space, reach, strides)


def explicit_pads(ctx: NodeContext, layout: Layout) -> list[int]:
    """Attribute `explicit_paddings` as begins and ends of the spatial axes."""
    pads = ctx.integers("explicit_paddings")
    if len(pads) != 2 * layout.rank:
        raise RefusalError(f"explicit_paddings has {len(pads)} entries, expected {2 * layout.rank}")
    begins, ends = pads[0::2], pads[1::2]
    if any(begins[axis] or ends[axis] for axis in (0, layout.channel)):
        raise RefusalError(f"explicit_paddings is {pads}: batch and channels can't be padded")
    return [begins[axis] for axis in layout.space] + [ends[axis] for axis in layout.space]
