"""Rectangular parts of a tensor: as checkpoints store them, and as graphs ask for them in text.

spec = ""                                    the whole tensor
     | "10 5 4,3:0,5" or "10 5 4,3:-"        full shape, then for each dimension start,length or - for all of it
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.ordered_code import FULL, encode_slice_key
from exporter.formats.records import Array
from exporter.formats.tf_protos import TensorSliceProto

__all__ = ["TensorSlice", "apply_spec", "check_cover", "parse_spec", "slice_from_proto"]


@dataclass(frozen=True, slots=True)
class TensorSlice:
    """One part of a tensor.

    Attributes:
        extents: Start and length for each dimension; length -1 with start 0 is all of it.
    """

    extents: tuple[tuple[int, int], ...]

    def within(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """As an index for an array of that shape.

        Raises:
            CorruptError: Another rank, an empty extent, or one that reaches outside.
        """
        if len(self.extents) != len(shape):
            raise CorruptError(f"slice {self} has rank {len(self.extents)}, the tensor has shape {list(shape)}")
        for extent, size in zip(self.extents, shape, strict=True):
            start, length = extent
            if extent != FULL and not (start >= 0 and 0 < length <= size - start):
                raise CorruptError(f"slice {self} reaches outside of shape {list(shape)}")
        return tuple(
            slice(0, size) if extent == FULL else slice(extent[0], sum(extent))
            for extent, size in zip(self.extents, shape, strict=True)
        )

    def key(self, name: str) -> bytes:
        """The key under which a checkpoint holds this part of tensor `name`."""
        return encode_slice_key(name, self.extents)

    def __str__(self) -> str:
        return ":".join("-" if extent == FULL else f"{extent[0]},{extent[1]}" for extent in self.extents)


def slice_from_proto(proto: TensorSliceProto) -> TensorSlice:
    """The slice of a TensorSliceProto.

    Raises:
        CorruptError: An extent without a length that starts behind 0, or a negative length.
        LimitError: Too many dimensions.
    """
    if len(proto.extent) > limits.MAX_RANK:
        raise LimitError(f"a slice of {len(proto.extent)} dimensions; {limits.MAX_RANK} are allowed")
    extents = []
    for extent in proto.extent:
        whole = not extent.HasField("length")
        if extent.start < 0 or extent.length < 0 or (whole and extent.start):
            raise CorruptError(f"a slice from {extent.start} of length {extent.length}")
        extents.append(FULL if whole else (extent.start, extent.length))
    return TensorSlice(tuple(extents))


def parse_spec(spec: str) -> tuple[tuple[int, ...], TensorSlice] | None:
    """Full shape and slice of the text that a graph's restore operation holds; None for the whole tensor.

    Raises:
        CorruptError: It isn't written so, or the slice doesn't fit the shape.
    """
    if not spec:
        return None
    *dims, text = spec.split(" ")
    parts = text.split(":") if text else []
    if not all(re.fullmatch(r"[0-9]{1,18}", dim) for dim in dims) or not all(
        re.fullmatch(r"-|[0-9]{1,18},[0-9]{1,18}", part) for part in parts
    ):
        raise CorruptError(f"{spec[:80]!r} is not a shape and a slice")
    shape = tuple(int(dim) for dim in dims)
    extents = (FULL if part == "-" else tuple(int(number) for number in part.split(",")) for part in parts)
    part = TensorSlice(tuple((start, length) for start, length in extents))
    part.within(shape)
    return shape, part


def apply_spec(spec: str, array: Array) -> Array:
    """The part of a whole tensor that a spec asks for, as a view.

    Raises:
        CorruptError: The spec is wrong, or its full shape isn't the tensor's.
    """
    parsed = parse_spec(spec)
    if parsed is None:
        return array
    shape, part = parsed
    if shape != array.shape:
        raise CorruptError(f"slice {part} is of shape {list(shape)}; the tensor has shape {list(array.shape)}")
    return array[part.within(shape)]


def check_cover(shape: tuple[int, ...], parts: Sequence[tuple[slice, ...]]) -> None:
    """Makes sure that the parts fill a tensor exactly once.

    The cuts of all parts make a grid. Parts that don't overlap cover no more cells in total than it has, so marking
    cells stops at the first cell too many: time and memory are in proportion to the grid.

    Raises:
        CorruptError: Elements are missing or covered twice.
        LimitError: Too many parts, or cuts that make too fine a grid.
    """
    if len(parts) > limits.MAX_SLICES:
        raise LimitError(f"{len(parts)} slices; {limits.MAX_SLICES} are allowed")
    total = math.prod(shape)
    covered = sum(math.prod(cut.stop - cut.start for cut in part) for part in parts)
    if not parts or covered < total:
        raise CorruptError(f"its slices cover {covered} of {total} elements")
    cuts = []
    for axis, size in enumerate(shape):
        extents = [part[axis] for part in parts]
        cuts.append(sorted({0, size, *(cut.start for cut in extents), *(cut.stop for cut in extents)}))
    cells = math.prod(max(len(axis_cuts) - 1, 1) for axis_cuts in cuts)
    if cells > limits.MAX_SLICE_CELLS:
        raise LimitError(f"{len(parts)} slices cut it into {cells} cells; {limits.MAX_SLICE_CELLS} are allowed")
    if covered > total or _overlap(cuts, parts, cells):
        raise CorruptError(f"its slices overlap: they hold {covered} values for {total} elements")


def _overlap(cuts: list[list[int]], parts: Sequence[tuple[slice, ...]], cells: int) -> bool:
    places = [{cut: place for place, cut in enumerate(axis_cuts)} for axis_cuts in cuts]
    taken = np.zeros([max(len(axis_cuts) - 1, 1) for axis_cuts in cuts], bool)
    left = cells
    for part in parts:
        where = tuple(
            slice(place[cut.start], max(place[cut.stop], place[cut.start] + 1))
            for place, cut in zip(places, part, strict=True)
        )
        left -= math.prod(cut.stop - cut.start for cut in where)
        if left < 0 or taken[where].any():
            return True
        taken[where] = True
    return False
