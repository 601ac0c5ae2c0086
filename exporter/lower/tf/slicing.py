"""Parts of tensors by position: slices, strided slices, reversals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import FAR, as_int64, cast, dim_value, element, join, scalar, vector

__all__ = ["OPS"]

Place = int | ir.Value


def slice_(ctx: NodeContext) -> ir.Value:
    """`Slice`: `size` elements from `begin` along each axis, or all that are left where it is -1."""
    x, begin, size = ctx.inputs
    dims = ctx.shape(begin)
    axes = dims[0] if dims is not None and len(dims) == 1 else None
    cuts = _Cuts()
    for axis in range(axes if isinstance(axes, int) else ctx.rank(x)):
        start, count = element(ctx, begin, axis), element(ctx, size, axis)
        if start != 0 or count != -1:
            cuts.add(axis, start, _end(ctx, start, count))
    return cuts.apply(ctx, x)


def _end(ctx: NodeContext, start: Place, count: Place) -> Place:
    if isinstance(count, int):
        if count == -1:
            return FAR
        if isinstance(start, int):
            return start + count
    begin, size = join(ctx, [start]), join(ctx, [count])
    end = ctx.op("Add", begin, size)
    if isinstance(count, int) or _is_size(ctx, size):
        return end
    return ctx.op("Where", ctx.op("Equal", size, ctx.int64([-1])), ctx.int64([FAR]), end)


def _is_size(ctx: NodeContext, value: ir.Value) -> bool:
    """Whether it is the size of an axis, which is never -1."""
    known = ctx.builder.elements(value)
    return known is not None and all(isinstance(size, ir.SymbolicDim) for size in known.reshape(-1))


@dataclass
class _Cuts:
    """Slices of some axes, as inputs of one ONNX `Slice`."""

    axes: list[int] = field(default_factory=list)
    starts: list[Place] = field(default_factory=list)
    ends: list[Place] = field(default_factory=list)
    steps: list[Place] = field(default_factory=list)

    def add(self, axis: int, start: Place, end: Place, step: Place = 1) -> None:
        self.axes.append(axis)
        self.starts.append(start)
        self.ends.append(end)
        self.steps.append(step)

    def apply(self, ctx: NodeContext, x: ir.Value) -> ir.Value:
        if not self.axes:
            return x
        starts, ends = join(ctx, self.starts), join(ctx, self.ends)
        steps = () if all(isinstance(step, int) and step == 1 for step in self.steps) else (join(ctx, self.steps),)
        return ctx.op("Slice", x, starts, ends, ctx.int64(self.axes), *steps)


@dataclass(frozen=True, slots=True)
class _Masks:
    """Which entries of a strided slice mean something else than begin, end and stride: one bit for each entry."""

    begin: int
    end: int
    ellipsis: int
    new_axis: int
    shrink: int

    @classmethod
    def of(cls, ctx: NodeContext) -> _Masks:
        names = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
        masks = cls(*(ctx.integer(name, 0) for name in names))
        if masks.ellipsis & (masks.ellipsis - 1):
            raise RefusalError("it has more than one ellipsis")
        return masks


def strided_slice(ctx: NodeContext) -> ir.Value:
    """`StridedSlice`: `x[begin:end:stride, ..., new axis, index]`, as the masks say.

    Where bits overlap, the ellipsis comes before the new axis and that before the index, which pays no heed to the
    masks of begin and end.
    """
    x, begin = ctx.inputs[:2]
    masks = _Masks.of(ctx)
    dims = ctx.shape(begin)
    if dims is None or len(dims) != 1 or not isinstance(dims[0], int):
        raise RefusalError("how many axes it slices is not known")
    steps = [element(ctx, ctx.inputs[3], entry) for entry in range(dims[0])]
    if _is_element(ctx, x, masks, dims[0]):
        return ctx.op("Gather", x, ctx.int64(ctx.fixed_int(1, "its index")), axis=0)
    return _cut(ctx, x, masks, steps)


def _is_element(ctx: NodeContext, x: ir.Value, masks: _Masks, entries: int) -> bool:
    """Whether it takes one known element out of a vector."""
    alone = entries == 1 and masks.shrink == 1 and not masks.ellipsis and not masks.new_axis
    shape = ctx.shape(x)
    return alone and shape is not None and len(shape) == 1 and ctx.ints(1) is not None


def _cut(ctx: NodeContext, x: ir.Value, masks: _Masks, steps: Sequence[Place]) -> ir.Value:
    cuts = _Cuts()
    squeezed: list[int] = []
    added: list[int] = []
    axis = place = 0
    for entry, step in enumerate(steps):
        bit = 1 << entry
        if masks.ellipsis & bit:
            skipped = _skipped(ctx, x, masks, entry, len(steps))
            axis, place = axis + skipped, place + skipped
            continue
        if masks.new_axis & bit:
            added.append(place)
            place += 1
            continue
        if masks.shrink & bit:
            start = element(ctx, ctx.inputs[1], entry)
            cuts.add(axis, start, _after(ctx, start))
            squeezed.append(axis)
        else:
            _cut_axis(ctx, cuts, masks, axis, entry, step)
            place += 1
        axis += 1
    y = cuts.apply(ctx, x)
    y = ctx.op("Squeeze", y, ctx.int64(squeezed)) if squeezed else y
    return ctx.op("Unsqueeze", y, ctx.int64(added)) if added else y


def _skipped(ctx: NodeContext, x: ir.Value, masks: _Masks, entry: int, entries: int) -> int:
    """How many axes an ellipsis stands for: those that no other entry speaks of."""
    others = sum(1 for i in range(entries) if i != entry and not masks.new_axis >> i & 1)
    return max(ctx.rank(x) - others, 0)


def _after(ctx: NodeContext, start: Place) -> Place:
    """The end of a slice of one element; that of the last one, -1, has no number of its own."""
    if isinstance(start, int):
        return FAR if start == -1 else start + 1
    following = ctx.op("Add", start, ctx.int64([1]))
    if _is_size(ctx, start):
        return following
    return ctx.op("Where", ctx.op("Equal", following, ctx.int64([0])), ctx.int64([FAR]), following)


def _cut_axis(ctx: NodeContext, cuts: _Cuts, masks: _Masks, axis: int, entry: int, step: Place) -> None:
    bit = 1 << entry
    far_start, far_end = _far(ctx, step)
    start = far_start if masks.begin & bit else element(ctx, ctx.inputs[1], entry)
    end = far_end if masks.end & bit else element(ctx, ctx.inputs[2], entry)
    if not (_is(start, 0) and _is(end, FAR) and _is(step, 1)):
        cuts.add(axis, start, end, step)


def _is(place: Place, number: int) -> bool:
    return isinstance(place, int) and place == number


def _far(ctx: NodeContext, step: Place) -> tuple[Place, Place]:
    """Where a slice begins and ends that goes all along an axis in this direction."""
    if isinstance(step, int):
        return (0, FAR) if step > 0 else (FAR, -FAR)
    forwards = ctx.op("Greater", step, ctx.int64([0]))
    start = ctx.op("Where", forwards, ctx.int64([0]), ctx.int64([FAR]))
    return start, ctx.op("Where", forwards, ctx.int64([FAR]), ctx.int64([-FAR]))


def reverse(ctx: NodeContext) -> ir.Value:
    """`ReverseV2`: some axes backwards."""
    if ctx.ints(1) is None:
        x, axes = ctx.inputs
        return _reversed_along(ctx, x, axes)
    return _reversed(ctx, ctx.fixed_ints(1, "which axes it reverses"))


def _reversed_along(ctx: NodeContext, x: ir.Value, axes: ir.Value) -> ir.Value:
    """Along each axis backwards where it is one of computed ones."""
    rank = ctx.rank(x)
    for axis in range(rank):
        named = ctx.op("ReduceSum", _is_axis(ctx, as_int64(ctx, axes), axis, rank), ctx.int64([0]), keepdims=1)
        places = _places(ctx, x, axis)
        last = ctx.op("Sub", join(ctx, [dim_value(ctx, x, axis)]), ctx.int64([1]))
        back = ctx.op("Sub", last, places)
        x = ctx.op("Gather", x, ctx.op("Where", ctx.op("Greater", named, ctx.int64([0])), back, places), axis=axis)
    return x


def _places(ctx: NodeContext, x: ir.Value, axis: int) -> ir.Value:
    """The numbers of all elements along an axis."""
    return ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [dim_value(ctx, x, axis)])), ctx.int64(1))


def reverse_old(ctx: NodeContext) -> ir.Value:
    """`Reverse`: one truth value for each axis."""
    flags = ctx.fixed_ints(1, "which axes it reverses")
    return _reversed(ctx, [axis for axis, flag in enumerate(flags) if flag])


def _reversed(ctx: NodeContext, axes: Sequence[int]) -> ir.Value:
    x = ctx.inputs[0]
    cuts = _Cuts()
    for axis in axes:
        cuts.add(axis, -1, -FAR, -1)
    y = cuts.apply(ctx, x)
    if y is not x:
        y.shape = x.shape
    return y


def roll(ctx: NodeContext) -> ir.Value:
    """`Roll`: the last elements along an axis become the first; what is said twice of an axis adds up."""
    x, (shifts, axes) = ctx.inputs[0], (as_int64(ctx, vector(ctx, value)) for value in ctx.inputs[1:])
    rank = ctx.rank(x)
    known = ctx.ints(2)
    for axis in range(rank):
        if known is None or axis in {number % rank for number in known}:
            wanted = ctx.op("Mul", shifts, _is_axis(ctx, axes, axis, rank))
            far = ctx.op("ReduceSum", wanted, ctx.int64([0]), keepdims=1)
            size = join(ctx, [dim_value(ctx, x, axis)])
            x = ctx.op("Gather", x, ctx.op("Mod", ctx.op("Sub", _places(ctx, x, axis), far), size), axis=axis)
    return x


def _is_axis(ctx: NodeContext, number: ir.Value, axis: int, rank: int) -> ir.Value:
    """1 where a number is that of an axis, counted from either end, else 0."""
    same = ctx.op("Equal", ctx.op("Mod", number, ctx.int64([rank])), ctx.int64([axis]))
    return cast(ctx, same, ir.DataType.INT64)


OPS: dict[str, OpFunction] = {
    "Reverse": reverse_old,
    "ReverseV2": reverse,
    "Roll": roll,
    "Slice": slice_,
    "StridedSlice": strided_slice,
}
