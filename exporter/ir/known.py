"""What is known of tensors while a graph is built, and what it means for the results of an op."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from exporter.ir.dims import Dims
from exporter.ir.elements import Elements

__all__ = ["Known", "Result", "ShapeError"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an input: dtype, shape (None: not even the rank) and, for small tensors, the elements."""

    dtype: ir.DataType | None
    shape: Dims | None
    elements: Elements | None = None


Result = tuple[ir.DataType | None, Dims | None]
"""The dtype and shape of an output."""


class ShapeError(ValueError):
    """The inputs' shapes don't go together."""
