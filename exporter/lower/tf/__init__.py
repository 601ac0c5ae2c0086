"""TensorFlow's ops, one function for each, in tables by theme."""

from __future__ import annotations

from exporter.lower.tf import (
    activations,
    arithmetic,
    blocks,
    casts,
    convolution,
    dense,
    diagonal,
    dilation,
    functions,
    fused,
    indexing,
    joining,
    logic,
    normalization,
    pads,
    patches,
    pooling,
    quantization,
    reduction,
    resize,
    segments,
    shapes,
    slicing,
    sources,
    tables,
    text,
    transposed,
)
from exporter.lower.tf.context import OpFunction, merge

__all__ = ["OPS"]

OPS: dict[str, OpFunction] = merge(
    activations.OPS,
    arithmetic.OPS,
    blocks.OPS,
    casts.OPS,
    convolution.OPS,
    dense.OPS,
    diagonal.OPS,
    dilation.OPS,
    functions.OPS,
    fused.OPS,
    indexing.OPS,
    joining.OPS,
    logic.OPS,
    normalization.OPS,
    pads.OPS,
    patches.OPS,
    pooling.OPS,
    quantization.OPS,
    reduction.OPS,
    resize.OPS,
    segments.OPS,
    shapes.OPS,
    slicing.OPS,
    sources.OPS,
    tables.OPS,
    text.OPS,
    transposed.OPS,
)
"""Every op type that has a translation."""
