"""Resizing images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import cast, dim_value, element, join

__all__ = ["OPS"]


def _grid(ctx: NodeContext) -> str:
    """How TensorFlow places the pixels, in ONNX's words."""
    align, half = ctx.flag("align_corners", False), ctx.flag("half_pixel_centers", False)
    if align and half:
        raise RefusalError("align_corners and half_pixel_centers are both set")
    return "align_corners" if align else "half_pixel" if half else "asymmetric"


def _resize(ctx: NodeContext, x: ir.Value, **attributes: Any) -> ir.Value:
    """Resizes x[N, H, W, C] to the size [2] in input 1: by whole factors where it is one, else to that size."""
    known = _known_sizes(ctx)
    if known is not None and all(out % size == 0 for size, out in known):
        factors = np.array([1, *(out // size for size, out in known), 1], np.float32)
        return ctx.op("Resize", x, None, ctx.const(factors), **attributes)
    space = [element(ctx, ctx.inputs[1], i) for i in (0, 1)]
    sizes = join(ctx, [dim_value(ctx, x, 0), *space, dim_value(ctx, x, 3)])
    return ctx.op("Resize", x, None, None, sizes, **attributes)


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

    Between whole factors a rounding error decides which pixel is nearest: known sizes are resized by TensorFlow's own
    indices.
    """
    x, grid = ctx.ranked(ctx.inputs[0], 4), _grid(ctx)
    known = _known_sizes(ctx)
    if known is None or all(_repeats(size, out, grid) for size, out in known):
        return _resize(ctx, x, mode="nearest", coordinate_transformation_mode=grid, nearest_mode=_ROUNDING[grid])
    for axis, (size, out) in enumerate(known, start=1):
        if size != out:
            x = ctx.op("Gather", x, ctx.int64(nearest_places(size, out, grid).tolist()), axis=axis)
    return x


def _repeats(size: int, out: int, grid: str) -> bool:
    """Whether each pixel is repeated the same number of times."""
    return out % size == 0 and bool(np.all(nearest_places(size, out, grid) == np.arange(out) // (out // size)))


def nearest_places(size: int, out: int, grid: str) -> npt.NDArray[np.int64]:
    """The pixel that TensorFlow takes for each new one, in its own float32 arithmetic."""
    steps = np.arange(out, dtype=np.float32)
    if grid == "align_corners" and out > 1:
        scale = np.float32(size - 1) / np.float32(out - 1)
        places = np.floor(steps * scale + np.float32(0.5))
    else:
        scale = np.float32(size) / np.float32(out)
        places = np.floor((steps + np.float32(0.5 if grid == "half_pixel" else 0)) * scale)
    return np.asarray(np.minimum(places, size - 1), np.int64)


def bicubic(ctx: NodeContext) -> ir.Value:
    """`ResizeBicubic` as a matrix along each axis: TensorFlow rounds the weights of its four taps to a table."""
    x, grid = cast(ctx, ctx.ranked(ctx.inputs[0], 4), ir.DataType.FLOAT), _grid(ctx)
    known = _known_sizes(ctx)
    if known is None:
        raise RefusalError("the size of its image depends on the model's inputs")
    (height, rows), (width, columns) = known
    by_row = ctx.op("Transpose", x, perm=[0, 2, 3, 1])
    tall = ctx.op("MatMul", by_row, ctx.const(cubic_matrix(height, rows, grid)))
    by_column = ctx.op("Transpose", tall, perm=[0, 3, 2, 1])
    wide = ctx.op("MatMul", by_column, ctx.const(cubic_matrix(width, columns, grid)))
    return ctx.op("Transpose", wide, perm=[0, 1, 3, 2])


def area(ctx: NodeContext) -> ir.Value:
    """`ResizeArea` by whole factors: means of blocks, or repeated pixels."""
    x, known = cast(ctx, ctx.ranked(ctx.inputs[0], 4), ir.DataType.FLOAT), _known_sizes(ctx)
    if known is None or ctx.flag("align_corners", False):
        raise RefusalError("the size of its image depends on the model's inputs, or align_corners is set")
    if all(size % out == 0 for size, out in known):
        block = [size // out for size, out in known]
        return ctx.op("AveragePool", x, kernel_shape=block, strides=block)
    if any(out % size for size, out in known):
        raise RefusalError("its size does not change by whole factors")
    return _resize(ctx, x, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


_TABLE = 1024


def cubic_matrix(size: int, out: int, grid: str) -> npt.NDArray[np.float32]:
    """The weights [size, out] of Keys' cubic convolution at multiples of 1/1024.

    With `half_pixel` a is -1/2 and taps outside have no weight; otherwise it is -3/4 and they see the edge.
    """
    half = grid == "half_pixel"
    a = -0.5 if half else -0.75
    scale = (size - 1) / (out - 1) if grid == "align_corners" and out > 1 else size / out
    place = np.arange(out, dtype=np.float32) * np.float32(scale)
    if half:
        place = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
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
