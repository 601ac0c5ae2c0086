"""Resizing images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.dims import Dim, normal, same_dim
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import cast, dim_value, element, join, scalar

__all__ = ["OPS"]


def _grid(ctx: NodeContext) -> str:
    """How TensorFlow places the pixels, in ONNX's words."""
    align, half = ctx.flag("align_corners", False), ctx.flag("half_pixel_centers", False)
    if align and half:
        raise RefusalError("align_corners and half_pixel_centers are both set")
    return "align_corners" if align else "half_pixel" if half else "asymmetric"


def _resize(ctx: NodeContext, x: ir.Value, **attributes: Any) -> ir.Value:
    """Resizes x[N, H, W, C] to the size [2] in input 1: by whole factors where it is one, else to that size."""
    factors = _factors(ctx)
    if factors is not None:
        scales = np.array([1, *factors, 1], np.float32)
        return ctx.op("Resize", x, None, ctx.const(scales), **attributes)
    space = [element(ctx, ctx.inputs[1], i) for i in (0, 1)]
    sizes = join(ctx, [dim_value(ctx, x, 0), *space, dim_value(ctx, x, 3)])
    return ctx.op("Resize", x, None, None, sizes, **attributes)


def _factors(ctx: NodeContext) -> list[int] | None:
    """The whole numbers that height and width are multiplied by, if they are, whatever the sizes."""
    dims, wanted = ctx.shape(ctx.inputs[0]), ctx.builder.elements(ctx.inputs[1])
    if dims is None or wanted is None:
        return None
    found = [_factor(size, out) for size, out in zip(dims[1:3], wanted.reshape(-1).tolist(), strict=True)]
    return None if None in found else [factor for factor in found if factor is not None]


_MOST_SYMBOLIC = 16
"""The largest factor that is looked for between sizes that are not known."""


def _factor(size: Dim, out: Dim) -> int | None:
    if isinstance(size, int):
        return out // size if isinstance(out, int) and size and out % size == 0 else None
    return next((k for k in range(1, _MOST_SYMBOLIC + 1) if same_dim(normal(size * k) if k > 1 else size, out)), None)


def _known_sizes(ctx: NodeContext) -> list[tuple[int, int]] | None:
    """(size, new size) of height and width, where all are known."""
    dims, wanted = ctx.shape(ctx.inputs[0]), ctx.ints(1)
    if dims is None or wanted is None:
        return None
    pairs = [(size, out) for size, out in zip(dims[1:3], wanted, strict=True) if isinstance(size, int)]
    if any(size < 1 or out < 1 for size, out in pairs):
        raise RefusalError("an image has no pixels")
    return pairs if len(pairs) == 2 else None


def bilinear(ctx: NodeContext) -> ir.Value:
    """`ResizeBilinear`: always to float32."""
    x = cast(ctx, ctx.ranked(ctx.inputs[0], 4), ir.DataType.FLOAT)
    return _resize(ctx, x, mode="linear", coordinate_transformation_mode=_grid(ctx))


_ROUNDING = {"align_corners": "round_prefer_ceil", "half_pixel": "round_prefer_ceil", "asymmetric": "floor"}


def nearest(ctx: NodeContext) -> ir.Value:
    """`ResizeNearestNeighbor`.

    Between whole factors a rounding error decides which pixel is nearest: then the pixels are taken by TensorFlow's own
    numbers, computed now where the sizes are known and by the model where they aren't.
    """
    x, grid = ctx.ranked(ctx.inputs[0], 4), _grid(ctx)
    known, factors = _known_sizes(ctx), _factors(ctx)
    if known is not None and any(out > _MOST_KNOWN for _, out in known):
        known = factors = None
    sizes = known or [(_FAR_ENOUGH, _FAR_ENOUGH * factor) for factor in factors or ()]
    if factors is not None and (known or grid != "align_corners") and all(_repeats(*pair, grid) for pair in sizes):
        return _resize(ctx, x, mode="nearest", coordinate_transformation_mode=grid, nearest_mode=_ROUNDING[grid])
    for axis in (1, 2):
        if known is None:
            x = ctx.op("Gather", x, _computed_places(ctx, x, axis, grid), axis=axis)
        elif known[axis - 1][0] != known[axis - 1][1]:
            x = ctx.op("Gather", x, ctx.int64(nearest_places(*known[axis - 1], grid).tolist()), axis=axis)
    return x


_MOST_KNOWN = 1 << 20
"""New sizes up to which the pixels are found out before the model runs."""

_FAR_ENOUGH = 4096
"""A size that stands for unknown ones: whole factors that repeat each of its pixels alike repeat all alike."""


def _repeats(size: int, out: int, grid: str) -> bool:
    """Whether each pixel is repeated the same number of times."""
    return out % size == 0 and bool(np.all(nearest_places(size, out, grid) == np.arange(out) // (out // size)))


def _computed_places(ctx: NodeContext, x: ir.Value, axis: int, grid: str) -> ir.Value:
    """`nearest_places` of sizes that depend on the model's inputs."""
    size, out = (join(ctx, [item]) for item in (dim_value(ctx, x, axis), element(ctx, ctx.inputs[1], axis - 1)))
    with ctx.as_written():
        steps = cast(ctx, ctx.op("Range", ctx.int64(0), scalar(ctx, out), ctx.int64(1)), ir.DataType.FLOAT)
        scale = _computed_scale(ctx, size, out, align=grid == "align_corners")
        if grid == "half_pixel":
            steps = ctx.op("Add", steps, ctx.const(np.float32(0.5)))
        places = ctx.op("Mul", steps, scale)
        if grid == "align_corners":
            places = ctx.op("Add", places, ctx.const(np.float32(0.5)))
        number = cast(ctx, ctx.op("Floor", places), ir.DataType.INT64)
    return ctx.op("Min", number, ctx.op("Sub", size, ctx.int64(1)))


def _computed_scale(ctx: NodeContext, size: ir.Value, out: ir.Value, *, align: bool) -> ir.Value:
    """size / out, or between the corners, where both are more than one pixel, (size - 1) / (out - 1); [1]."""
    scale = ctx.op("Div", *(cast(ctx, number, ir.DataType.FLOAT) for number in (size, out)))
    if not align:
        return scale
    one = ctx.int64(1)
    between = (cast(ctx, ctx.op("Sub", number, one), ir.DataType.FLOAT) for number in (size, out))
    several = ctx.op("Greater", ctx.op("Min", size, out), one)
    return ctx.op("Where", several, ctx.op("Div", *between), scale)


def nearest_places(size: int, out: int, grid: str) -> npt.NDArray[np.int64]:
    """The pixel that TensorFlow takes for each new one, in its own float32 arithmetic."""
    steps = np.arange(out, dtype=np.float32)
    if grid == "align_corners":
        places = np.floor(steps * scale_of(size, out, grid) + np.float32(0.5))
    else:
        places = np.floor((steps + np.float32(0.5 if grid == "half_pixel" else 0)) * scale_of(size, out, grid))
    return np.asarray(np.minimum(places, size - 1), np.int64)


def scale_of(size: int, out: int, grid: str) -> np.float32:
    """How far apart the new pixels are in the image: between the corners only if there are several of both."""
    if grid == "align_corners" and size > 1 and out > 1:
        return np.float32(size - 1) / np.float32(out - 1)
    return np.float32(size) / np.float32(out)


def bicubic(ctx: NodeContext) -> ir.Value:
    """`ResizeBicubic` as a matrix along each axis: TensorFlow rounds the weights of its four taps to a table."""
    x, grid = cast(ctx, ctx.ranked(ctx.inputs[0], 4), ir.DataType.FLOAT), _grid(ctx)
    return _by_matrices(ctx, x, lambda size, out: cubic_matrix(size, out, grid))


def area(ctx: NodeContext) -> ir.Value:
    """`ResizeArea`: the mean over the area that a new pixel covers."""
    x, known = cast(ctx, ctx.ranked(ctx.inputs[0], 4), ir.DataType.FLOAT), _known_sizes(ctx)
    align = ctx.flag("align_corners", False)
    if known is not None and not align and all(size % out == 0 for size, out in known):
        block = [size // out for size, out in known]
        return ctx.op("AveragePool", x, kernel_shape=block, strides=block)
    if known is not None and not align and all(out % size == 0 for size, out in known):
        return _resize(ctx, x, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    grid = "align_corners" if align else "asymmetric"
    return _by_matrices(ctx, x, lambda size, out: area_matrix(size, out, grid))


_MOST_WEIGHTS = 1 << 24
"""The largest matrix of weights along an axis."""


def _by_matrices(ctx: NodeContext, x: ir.Value, matrix: Callable[[int, int], npt.NDArray[np.float32]]) -> ir.Value:
    """x[N, H, W, C] with height and width multiplied by the matrices [size, new size] of theirs."""
    known = _known_sizes(ctx)
    if known is None:
        raise RefusalError("the size of its image depends on the model's inputs")
    if any(size * out > _MOST_WEIGHTS for size, out in known):
        raise RefusalError("its image is too large for a matrix of weights")
    (height, rows), (width, columns) = known
    by_row = ctx.op("Transpose", x, perm=[0, 2, 3, 1])
    tall = ctx.op("MatMul", by_row, ctx.const(matrix(height, rows)))
    by_column = ctx.op("Transpose", tall, perm=[0, 3, 2, 1])
    wide = ctx.op("MatMul", by_column, ctx.const(matrix(width, columns)))
    return ctx.op("Transpose", wide, perm=[0, 1, 3, 2])


def area_matrix(size: int, out: int, grid: str) -> npt.NDArray[np.float32]:
    """The weights [size, out] of the pixels in the area of each new one, from where it starts to where it ends.

    The positions are float32, as TensorFlow's are; pixels outside are the last one.
    """
    scale = scale_of(size, out, grid)
    matrix = np.zeros((size, out))
    for column in range(out):
        start, end = np.float32(column) * scale, np.float32(column + 1) * scale
        for pixel in range(int(np.floor(start)), int(np.ceil(end))):
            first, last = max(np.float32(pixel), start), min(np.float32(pixel + 1), end)
            inner = pixel < start and pixel + 1 > end
            matrix[min(pixel, size - 1), column] += scale if inner else last - first
    return np.asarray(matrix / np.float64(scale), np.float32)


_TABLE = 1024


def cubic_matrix(size: int, out: int, grid: str) -> npt.NDArray[np.float32]:
    """The weights [size, out] of Keys' cubic convolution at multiples of 1/1024.

    With `half_pixel` a is -1/2 and taps outside have no weight; otherwise it is -3/4 and they see the edge.
    """
    half = grid == "half_pixel"
    a = -0.5 if half else -0.75
    scale = scale_of(size, out, grid)
    place = np.arange(out, dtype=np.float32) * scale
    if half:
        place = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    low = np.floor(place).astype(np.int64)
    part = np.rint((place - low) * _TABLE) / _TABLE
    matrix = np.zeros((size, out))
    weights = np.stack([_far(part + 1, a), _near(part, a), _near(1 - part, a), _far(2 - part, a)])
    places = low + np.arange(-1, 3)[:, None]
    if half:
        weights = np.where((places >= 0) & (places < size), weights, 0)
        weights = weights / weights.sum(axis=0)
    np.add.at(matrix, (np.clip(places, 0, size - 1), np.arange(out)), weights)
    return matrix.astype(np.float32)


def _near(d: npt.NDArray[Any], a: float) -> npt.NDArray[Any]:
    return np.asarray(((a + 2) * d - (a + 3)) * d * d + 1)


def _far(d: npt.NDArray[Any], a: float) -> npt.NDArray[Any]:
    return np.asarray(((a * d - 5 * a) * d + 8 * a) * d - 4 * a)


OPS: dict[str, OpFunction] = {
    "ResizeArea": area,
    "ResizeBicubic": bicubic,
    "ResizeBilinear": bilinear,
    "ResizeNearestNeighbor": nearest,
}
