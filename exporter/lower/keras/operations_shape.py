"""Operations that move elements about, cut, join and look up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.lower.keras.dtypes import data_type
from exporter.lower.keras.operands import argument, axes_of, numbers, sizes_of, tensor, tensors
from exporter.lower.keras.reshaping import interpolation

__all__ = ["OPERATIONS"]


def reshape(ctx: LayerContext) -> ir.Value:
    """x in another shape."""
    x = tensor(ctx, 0, "x", "tensor")
    sizes = sizes_of(ctx, argument(ctx, 1, "newshape", "shape"))
    if sizes.count(-1) > 1:
        sizes = [0 if size == -1 and i == 0 else size for i, size in enumerate(sizes)]
    return ctx.ops.reshape(x, sizes)


def transpose(ctx: LayerContext) -> ir.Value:
    """x with its axes in another order, or reversed."""
    x = tensor(ctx, 0, "x", "a")
    order = argument(ctx, 1, "axes", "perm")
    rank = ctx.ops.rank(x)
    axes = list(reversed(range(rank))) if order is None else axes_of(ctx, order, rank)
    return ctx.ops.transpose(x, axes)


def expand_dims(ctx: LayerContext) -> ir.Value:
    """x with a new axis of size 1."""
    return ctx.ops.unsqueeze(tensor(ctx, 0, "x", "input"), *numbers(ctx, argument(ctx, 1, "axis"), "axis"))


def squeeze(ctx: LayerContext) -> ir.Value:
    """x without some or all axes of size 1."""
    x, axis = tensor(ctx, 0, "x", "input"), argument(ctx, 1, "axis")
    if axis is None:
        axis = [i for i, size in enumerate(ctx.ops.dims(x)) if size == 1]
    axes = axes_of(ctx, axis, ctx.ops.rank(x))
    return ctx.ops.squeeze(x, *axes) if axes else x


def swapaxes(ctx: LayerContext) -> ir.Value:
    """x with two axes in each other's place."""
    x = tensor(ctx, 0, "x")
    rank = ctx.ops.rank(x)
    first, second = axes_of(ctx, [argument(ctx, 1, "axis1"), argument(ctx, 2, "axis2")], rank)
    order = list(range(rank))
    order[first], order[second] = second, first
    return ctx.ops.transpose(x, order)


def concatenate(ctx: LayerContext) -> ir.Value:
    """Tensors one after another along an axis."""
    (axis,) = numbers(ctx, argument(ctx, 1, "axis", default=0), "axis")
    return ctx.ops.concat(tensors(ctx, 0, "xs", "values"), axis)


def stack(ctx: LayerContext) -> ir.Value:
    """Tensors along a new axis."""
    (axis,) = numbers(ctx, argument(ctx, 1, "axis", default=0), "axis")
    values = tensors(ctx, 0, "x", "values")
    return ctx.ops.concat([ctx.ops.unsqueeze(value, axis) for value in values], axis)


def split(ctx: LayerContext) -> tuple[ir.Value, ...]:
    """x in equal parts, or cut at indices; TensorFlow's counts are sizes."""
    x = tensor(ctx, 0, "x", "value")
    axis = argument(ctx, 2, "axis", default=0)
    size = ctx.channels(x, axis)
    given = argument(ctx, 1, "indices_or_sections", "num_or_size_splits")
    if type(given) is int:
        return ctx.ops.split(x, [size // given] * given, axis)
    cuts = numbers(ctx, given, "cuts")
    if ctx.layer.origin == "tf":
        rest = size - sum(n for n in cuts if n != -1)
        return ctx.ops.split(x, [rest if n == -1 else n for n in cuts], axis)
    ends = [0, *cuts, size]
    return ctx.ops.split(x, [b - a for a, b in pairwise(ends)], axis)


def get_item(ctx: LayerContext) -> ir.Value:
    """x[...] with numbers, slices, new axes and an ellipsis."""
    x = tensor(ctx, 0, "x")
    key = argument(ctx, 1, "key", "slice_spec")
    items = list(key) if isinstance(key, list | tuple) else [key]
    used = sum(1 for item in items if item is not None and item is not Ellipsis)
    missing = [slice(None)] * (ctx.ops.rank(x) - used)
    if any(item is Ellipsis for item in items):
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[at : at + 1] = missing
    return _cut(ctx, x, items)


def _cut(ctx: LayerContext, x: ir.Value, items: list[object]) -> ir.Value:
    """Slices first, then numbers away, then new axes in."""
    axis, dropped, added, place = 0, [], [], 0
    for item in items:
        if item is None:
            added.append(place)
            place += 1
            continue
        if type(item) is int:
            x = ctx.ops.slice(x, axis, item, None if item == -1 else item + 1)
            dropped.append(axis)
        else:
            start, stop, step = _slice_parts(ctx, item)
            if (start, stop, step) != (None, None, None):
                first = (-1 if (step or 1) < 0 else 0) if start is None else start
                x = ctx.ops.slice(x, axis, first, stop, step or 1)
            place += 1
        axis += 1
    x = ctx.ops.squeeze(x, *dropped) if dropped else x
    return ctx.ops.unsqueeze(x, *added) if added else x


def _slice_parts(ctx: LayerContext, item: object) -> tuple[int | None, int | None, int | None]:
    if isinstance(item, slice):
        parts = (item.start, item.stop, item.step)
    elif isinstance(item, dict) and set(item) <= {"start", "stop", "step"}:
        parts = (item.get("start"), item.get("stop"), item.get("step"))
    else:
        return ctx.refuse(f"index {str(item)[:40]!r}")
    if not all(part is None or type(part) is int for part in parts):
        return ctx.refuse("a slice whose ends are computed")
    return parts


def take(ctx: LayerContext) -> ir.Value:
    """Slices of x by index along an axis."""
    axis = argument(ctx, 2, "axis", default=0)
    x, indices = tensor(ctx, 0, "x", "params"), tensor(ctx, 1, "indices")
    if type(axis) is not int or argument(ctx, 9, "batch_dims", default=0):
        return ctx.refuse("a lookup over all axes or with batch axes")
    if indices.dtype not in (ir.DataType.INT32, ir.DataType.INT64):
        indices = ctx.ops.cast(indices, ir.DataType.INT32)
    return ctx.ops("Gather", x, indices, axis=axis)


def tile(ctx: LayerContext) -> ir.Value:
    """x repeated along each axis."""
    repeats = sizes_of(ctx, argument(ctx, 1, "repeats", "multiples"))
    x = tensor(ctx, 0, "x", "input")
    if len(repeats) != ctx.ops.rank(x):
        return ctx.refuse("another number of repeats than axes")
    return ctx.ops("Tile", x, ctx.ops.vector(repeats))


def flip(ctx: LayerContext) -> ir.Value:
    """x in reverse along some axes."""
    x = tensor(ctx, 0, "x", "tensor")
    for axis in axes_of(ctx, argument(ctx, 1, "axis"), ctx.ops.rank(x)):
        x = ctx.ops.reverse(x, axis)
    return x


def pad(ctx: LayerContext) -> ir.Value:
    """x with constants, or its own edge, around it."""
    x = tensor(ctx, 0, "x", "tensor")
    pairs = argument(ctx, 1, "pad_width", "paddings")
    mode = str(argument(ctx, 2, "mode", default="constant")).lower()
    value = argument(ctx, 3, "constant_values", default=0) or 0
    if type(pairs) is int:
        pairs = [[pairs, pairs]] * ctx.ops.rank(x)
    if isinstance(pairs, list | tuple) and len(pairs) == 2 and all(type(n) is int for n in pairs):
        pairs = [list(pairs)] * ctx.ops.rank(x)
    if mode not in ("constant", "reflect", "edge") or not isinstance(pairs, list | tuple):
        return ctx.refuse(f"padding of mode {mode!r}")
    widths = [numbers(ctx, item, "padding") for item in pairs]
    amounts = ctx.ops.ints(*[begin for begin, _ in widths], *[end for _, end in widths])
    return ctx.ops("Pad", x, amounts, ctx.ops.scalar(value, x), mode=mode)


def cast(ctx: LayerContext) -> ir.Value:
    """x in another type."""
    dtype = argument(ctx, 1, "dtype")
    return ctx.ops.cast(tensor(ctx, 0, "x"), data_type(getattr(dtype, "name", dtype), ctx.settings.owner))


def convert_to_tensor(ctx: LayerContext) -> ir.Value:
    """x, in the type that is given, if any; dense tensors stay dense."""
    dtype = argument(ctx, 1, "dtype")
    for position, name in ((2, "sparse"), (3, "ragged")):
        if argument(ctx, position, name):
            ctx.refuse(f"{name} tensors")
    x = tensor(ctx, 0, "x")
    return x if dtype is None else ctx.ops.cast(x, data_type(getattr(dtype, "name", dtype), ctx.settings.owner))


def broadcast_to(ctx: LayerContext) -> ir.Value:
    """x spread to a shape."""
    sizes = sizes_of(ctx, argument(ctx, 1, "shape"))
    return ctx.ops("Expand", tensor(ctx, 0, "x", "input"), ctx.ops.vector([1 if n == -1 else n for n in sizes]))


def einsum(ctx: LayerContext) -> ir.Value:
    """The sum of products that an equation names."""
    equation = argument(ctx, 9, "subscripts", "equation")
    given = [leaf for leaf in ctx.args if isinstance(leaf, Tensor)]
    ctx.used.update(range(len(ctx.args)))
    if equation is None and ctx.args and isinstance(ctx.args[0], str):
        equation = ctx.args[0]
    if not given:
        return ctx.refuse("its tensors, which tf.keras leaves out of the configuration")
    return ctx.ops("Einsum", *[each.value for each in given], equation=str(equation).replace(" ", ""))


def one_hot(ctx: LayerContext) -> ir.Value:
    """1 at each index's place along a new last axis, 0 elsewhere."""
    depth = argument(ctx, 1, "num_classes", "depth")
    axis = argument(ctx, 9, "axis", default=-1)
    if type(depth) is not int or axis not in (-1, None):
        return ctx.refuse("an encoding of unknown depth, or along another axis than the last")
    ends = ctx.ops.builder.constant(np.array([0, 1], np.float32))
    indices = ctx.ops.cast(tensor(ctx, 0, "x", "indices"), ir.DataType.INT64)
    return ctx.ops("OneHot", indices, ctx.ops.ints(depth), ends, axis=-1)


def shape(ctx: LayerContext) -> ir.Value:
    """The sizes of x."""
    kind = data_type(argument(ctx, 1, "out_type", default="int32"), ctx.settings.owner)
    return ctx.ops.cast(ctx.ops("Shape", tensor(ctx, 0, "input", "x")), kind)


def resize(ctx: LayerContext) -> ir.Value:
    """Images [N, H, W, C] at another size; what fills the border of padded ones doesn't matter."""
    ctx.used.update(("fill_mode", "fill_value"))
    ops, x = ctx.ops, tensor(ctx, 0, "images")
    size = sizes_of(ctx, argument(ctx, 1, "size"))
    method = str(argument(ctx, 2, "interpolation", "method", default="bilinear"))
    unusual = [argument(ctx, 9, key) for key in _PROPORTIONS]
    last = argument(ctx, 9, "data_format", default="channels_last") in (None, "channels_last")
    if any(unusual) or not last or ops.rank(x) != 4 or len(size) != 2:
        return ctx.refuse("a resize that keeps proportions, smooths, or isn't of channels-last images")
    sizes = ops.vector([ops.size(x, 0), *size, ops.size(x, 3)])
    return ops("Resize", x, None, None, sizes, **interpolation(ctx, method))


_PROPORTIONS = ("antialias", "preserve_aspect_ratio", "crop_to_aspect_ratio", "pad_to_aspect_ratio")


def depth_to_space(ctx: LayerContext, *, op_type: str) -> ir.Value:
    """Blocks of channels to blocks of space, or back."""
    block = argument(ctx, 1, "block_size")
    if argument(ctx, 2, "data_format", default="NHWC") not in ("NHWC", "channels_last", None) or type(block) is not int:
        return ctx.refuse("another layout than channels last")
    return ctx.ops(op_type, tensor(ctx, 0, "x", "input"), blocksize=block)


def _to_space(ctx: LayerContext) -> ir.Value:
    return depth_to_space(ctx, op_type="DepthToSpace")


def _to_depth(ctx: LayerContext) -> ir.Value:
    return depth_to_space(ctx, op_type="SpaceToDepth")


OPERATIONS: dict[str, Lower] = {
    "broadcast_to": broadcast_to,
    "cast": cast,
    "convert_to_tensor": convert_to_tensor,
    "concatenate": concatenate,
    "depth_to_space": _to_space,
    "einsum": einsum,
    "expand_dims": expand_dims,
    "flip": flip,
    "get_item": get_item,
    "one_hot": one_hot,
    "pad": pad,
    "reshape": reshape,
    "resize": resize,
    "shape": shape,
    "space_to_depth": _to_depth,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "swapaxes": swapaxes,
    "take": take,
    "tile": tile,
    "transpose": transpose,
}
"""By our own name for each; `operations` says which version calls what so."""
