"""Inputs and outputs of an IR model as records of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from exporter.ir.dims import Dim
from exporter.report.records import TensorSpec

__all__ = ["tensor_specs"]


def tensor_specs(values: Iterable[ir.Value], reasons: Mapping[str, str]) -> tuple[TensorSpec, ...]:
    """A record of each, with the reason that is given for its name."""
    return tuple(_spec(value, reasons.get(value.name or "", "")) for value in values)


def _spec(value: ir.Value, reason: str) -> TensorSpec:
    dtype = "?" if value.dtype is None else str(value.dtype.numpy())
    shape = None if value.shape is None else tuple(_size(dim) for dim in value.shape.dims)
    return TensorSpec(value.name or "", dtype, shape, reason)


def _size(dim: Dim) -> int | str:
    return dim if isinstance(dim, int) else dim.value or "?"
