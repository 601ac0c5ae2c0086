"""Where a node has its channels, and how its tensors get them last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, RefusalError

__all__ = ["Layout", "layout_of", "move_axis"]

_FORMATS: dict[int, dict[str, bool]] = {
    4: {"NHWC": False, "NCHW": True},
    5: {"NDHWC": False, "NCDHW": True},
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of the axes of a node's tensors.

    Attributes:
        rank: Of the tensors, with batch and channels.
        channels_first: Whether the channels are axis 1, or the last one.
    """

    rank: int
    channels_first: bool

    @property
    def channel(self) -> int:
        """The axis of the channels."""
        return 1 if self.channels_first else self.rank - 1

    @property
    def space(self) -> range:
        """The spatial axes."""
        return range(2, self.rank) if self.channels_first else range(1, self.rank - 1)

    def spatial(self, numbers: Sequence[int], what: str) -> list[int]:
        """The numbers of the spatial axes out of one per axis; refused where batch or channels have other than 1."""
        if len(numbers) != self.rank:
            raise RefusalError(f"{what} has {len(numbers)} entries, expected {self.rank}")
        if numbers[0] != 1 or numbers[self.channel] != 1:
            raise RefusalError(f"{what} is {list(numbers)}: batch and channels have to be 1")
        return [numbers[axis] for axis in self.space]

    def channels_last(self, ctx: NodeContext, x: ir.Value) -> ir.Value:
        """A tensor of this layout with its channels last."""
        return move_axis(ctx, x, 1, self.rank) if self.channels_first else x

    def restore(self, ctx: NodeContext, y: ir.Value) -> ir.Value:
        """A tensor with its channels last in this layout."""
        if not self.channels_first:
            return y
        return ctx.op("Transpose", y, perm=[0, self.rank - 1, *range(1, self.rank - 1)])


def layout_of(ctx: NodeContext, rank: int) -> Layout:
    """The layout that attribute `data_format` names; refused for one that isn't known."""
    formats = _FORMATS[rank]
    name = ctx.text("data_format", next(iter(formats)))
    if name not in formats:
        raise RefusalError(f"data_format is {name!r}")
    return Layout(rank, formats[name])


def move_axis(ctx: NodeContext, x: ir.Value, axis: int, rank: int) -> ir.Value:
    """The tensor with one axis moved to the end."""
    return ctx.op("Transpose", x, perm=[i for i in range(rank) if i != axis] + [axis])
