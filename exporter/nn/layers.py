"""Convolutions and pools over channels-last tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.ir.gaps import without_last_gap
from exporter.nn.windows import extents

__all__ = ["convolve", "depthwise_kernel", "pool"]


def convolve(
    builder: Builder,
    x: ir.Value,
    kernel: ir.Value,
    bias: ir.Value | None = None,
    *,
    size: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: Mapping[str, Any],
    group: int = 1,
) -> ir.Value:
    """Append the convolution of x[N, *space, C] with a kernel[*size, C / group, M].

    Args:
        builder: Appends the nodes.
        x: The input.
        kernel: The kernel.
        bias: A vector [M].
        size: The spatial sizes of the kernel.
        strides: One per spatial axis.
        dilations: One per spatial axis.
        padding: `pads` or `auto_pad`, as `same_padding` gives them.
        group: How many groups the channels are in; C for a depthwise one.
    """
    if "auto_pad" in padding:
        x = without_last_gap(builder, x, extents(size, dilations), strides)
    given = (x, kernel) if bias is None else (x, kernel, bias)
    return builder.op("Conv", *given, strides=strides, dilations=dilations, group=group, **padding)


def depthwise_kernel(builder: Builder, kernel: ir.Value, size: Sequence[int]) -> ir.Value:
    """Append the form of a kernel[*space, C, multiplier] for one group per channel: [*space, 1, C * multiplier]."""
    *space, channels, multiplier = size
    return builder.op("Reshape", kernel, builder.constant(np.array([*space, 1, channels * multiplier], np.int64)))


def pool(
    builder: Builder,
    op_type: str,
    x: ir.Value,
    *,
    size: Sequence[int],
    strides: Sequence[int],
    padding: Mapping[str, Any],
) -> ir.Value:
    """Append a MaxPool or AveragePool of x[N, *space, C] over windows of a size; padding never counts."""
    if "auto_pad" in padding:
        x = without_last_gap(builder, x, size, strides)
    return builder.op(op_type, x, kernel_shape=size, strides=strides, **padding)
