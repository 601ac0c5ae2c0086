"""The ONNX model at the opset asked for, or at the lowest that has all it needs."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from exporter.errors import UnsupportedError
from exporter.targets.layout.standard import InputLayout
from exporter.targets.onnx_file import onnx_model
from exporter.targets.opsets import DEFAULT_OPSET, newest_opset

__all__ = ["at_lowest_opset"]


def at_lowest_opset(
    model: ir.Model, opset: int | None, input_layout: InputLayout, metadata: Mapping[str, str]
) -> tuple[ir.Model, tuple[str, ...]]:
    """`onnx_model` at an opset, or at the lowest from the default on that can say it; and what is to say of that.

    Raises:
        UnsupportedError: The opset asked for can't say all of it, or none can.
    """
    try:
        first = DEFAULT_OPSET if opset is None else opset
        return onnx_model(model, opset=first, input_layout=input_layout, metadata=metadata), ()
    except UnsupportedError as error:
        if opset is not None:
            raise
        missing = error
    for higher in range(DEFAULT_OPSET + 1, newest_opset() + 1):
        try:
            standard = onnx_model(model, opset=higher, input_layout=input_layout, metadata=metadata)
        except UnsupportedError:
            continue
        return standard, (f"written with opset {higher}, the lowest that has all it needs: {missing.message}",)
    raise missing
