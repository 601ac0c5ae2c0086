"""Windows that leave gaps between them: what lies in the last gap is cut off, so that padding is never negative.

With TensorFlow's SAME, an axis of n elements, windows that reach over k and a stride s > k, the last window may end
before the axis does. ONNX's `auto_pad` then asks for a negative padding, which its engines refuse or halve. Without the
last max(((n - 1) mod s) + 1 - k, 0) elements there are as many windows, in the same places.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.ir.builder import Builder

__all__ = ["without_last_gap"]


def without_last_gap(builder: Builder, x: ir.Value, reach: Sequence[int], strides: Sequence[int]) -> ir.Value:
    """x[N, *space, C] without what lies in the last gap of each axis.

    Args:
        builder: Appends the nodes.
        x: The input of a convolution or pool with `auto_pad`.
        reach: How far a window reaches along each spatial axis.
        strides: One for each of them.
    """
    dims = builder.shape(x)
    assert dims is not None
    for axis, (extent, stride) in enumerate(zip(reach, strides, strict=True), 1):
        size = dims[axis]
        if extent < stride and (not isinstance(size, int) or (size - 1) % stride >= extent):
            x = _cut(builder, x, axis, extent, stride)
    return x


def _cut(builder: Builder, x: ir.Value, axis: int, extent: int, stride: int) -> ir.Value:
    def number(value: int) -> ir.Value:
        return builder.constant(np.array([value], np.int64))

    size = builder.op("Shape", x, start=axis, end=axis + 1)
    beyond = builder.op("Mod", builder.op("Sub", size, number(1)), number(stride))
    spare = builder.op("Max", builder.op("Sub", beyond, number(extent - 1)), number(0))
    return builder.op("Slice", x, number(0), builder.op("Sub", size, spare), number(axis), number(1))
