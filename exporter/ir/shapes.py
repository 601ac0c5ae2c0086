"""The dtype and shape of an op's results, from those of its inputs and from what is known of their contents.

The record's own rule, or onnx's inference for ops that need none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from exporter.ir.known import Known, Result
from exporter.ir.onnx_inference import infer_by_onnx
from exporter.ir.opset import record_of

__all__ = ["infer"]

_Inputs = Sequence[Known | None]
_Attributes = Mapping[str, Any]


def infer(op_type: str, inputs: _Inputs, attributes: _Attributes, outputs: int) -> list[Result]:
    """The dtype and shape of each output; ShapeError where the op can't take such inputs."""
    rule = record_of(op_type).shape
    if rule is not None:
        first = inputs[0] if inputs else None
        if op_type not in {"Range", "ConstantOfShape"} and first is not None and first.shape is None:
            return [(_dtype(op_type, inputs, attributes), None)] * outputs
        shape = rule(inputs, attributes)
        return [(_dtype(op_type, inputs, attributes), shape)] * outputs
    return infer_by_onnx(op_type, inputs, attributes, outputs)


def _dtype(op_type: str, inputs: _Inputs, attributes: _Attributes) -> ir.DataType | None:
    if op_type == "ConstantOfShape":
        value = attributes.get("value")
        return ir.DataType.FLOAT if value is None else ir.DataType.from_numpy(value.dtype)
    if op_type == "Shape":
        return ir.DataType.INT64
    if op_type == "LabelEncoder":
        return next(dtype for key, dtype in _LABELS.items() if key in attributes)
    if op_type == "RegexFullMatch":
        return ir.DataType.BOOL
    assert inputs[0] is not None
    return inputs[0].dtype


_LABELS = {
    "values_int64s": ir.DataType.INT64,
    "values_floats": ir.DataType.FLOAT,
    "values_strings": ir.DataType.STRING,
}
