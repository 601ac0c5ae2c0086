"""Arithmetic whose order is part of what it means: positions that are compared or rounded afterwards.

Whether a point lies inside an image, which pixel is nearest and which of two integers a number is rounded to are
decided by the last bit. Such nodes are marked; they are never composed with others, and constants of them are computed
in the type that they have at run time.
"""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["AS_WRITTEN", "is_as_written"]

AS_WRITTEN = "as_written"
"""The metadata entry of marked nodes."""


def is_as_written(node: ir.Node) -> bool:
    """Whether a node has to be computed as it stands, each result rounded to its own type."""
    return AS_WRITTEN in node.metadata_props
