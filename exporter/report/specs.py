"""Inputs and outputs of an IR model as records of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from exporter.report.records import TensorSpec

__all__ = ["tensor_specs"]


def tensor_specs(values: Iterable[ir.Value], reasons: Mapping[str, str]) -> tuple[TensorSpec, ...]:
    """A record of each, with the reason that is given for its name."""
    specs = []
    for value in values:
        name, dims = value.name or "", None if value.shape is None else value.shape.dims
        dtype = "?" if value.dtype is None else str(value.dtype.numpy())
        shape = None if dims is None else tuple(dim if isinstance(dim, int) else dim.value or "?" for dim in dims)
        specs.append(TensorSpec(name, dtype, shape, reasons.get(name, "")))
    return tuple(specs)
