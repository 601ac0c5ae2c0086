"""Shape inference by onnx itself, for one node at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.checker
import onnx.shape_inference
import onnx_ir as ir

from exporter.ir.known import Known, Result, ShapeError
from exporter.ir.ops import OPSET

__all__ = ["infer_by_onnx"]


def infer_by_onnx(
    op_type: str, inputs: Sequence[Known | None], attributes: Mapping[str, Any], outputs: int
) -> list[Result]:
    """The dtype and shape of each output of a standard op; nothing of them where an input's dtype isn't known.

    Raises:
        ShapeError: The op can't take such inputs.
        onnx.defs.SchemaError: There is no such op.
    """
    if any(known is not None and known.dtype is None for known in inputs):
        return [(None, None)] * outputs
    schema = onnx.defs.get_schema(op_type, OPSET)
    names = [f"i{i}" if known is not None else "" for i, known in enumerate(inputs)]
    node = onnx.helper.make_node(op_type, names, [f"o{i}" for i in range(outputs)])
    node.attribute.extend(_proto_attribute(name, value) for name, value in attributes.items())
    types = {name: _type_proto(known) for name, known in zip(names, inputs, strict=True) if known is not None}
    data = {name: _data(known) for name, known in zip(names, inputs, strict=True) if known and _concrete(known)}
    imports = [onnx.helper.make_opsetid("", OPSET)]
    try:
        inferred = onnx.shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=imports)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise ShapeError(str(error)) from error
    return [_result(inferred.get(f"o{i}")) for i in range(outputs)]


def _proto_attribute(name: str, value: Any) -> onnx.AttributeProto:
    if isinstance(value, np.ndarray):
        value = onnx.numpy_helper.from_array(value)
    return onnx.helper.make_attribute(name, value)


def _concrete(known: Known) -> bool:
    return known.elements is not None and known.elements.dtype != object


def _data(known: Known) -> onnx.TensorProto:
    assert known.elements is not None
    return onnx.numpy_helper.from_array(np.asarray(known.elements))


def _type_proto(known: Known) -> onnx.TypeProto:
    assert known.dtype is not None
    shape = None
    if known.shape is not None:
        shape = [size if isinstance(size, int) else size.value for size in known.shape]
    return onnx.helper.make_tensor_type_proto(known.dtype.value, shape)


def _result(proto: onnx.TypeProto | None) -> Result:
    if proto is None or not proto.HasField("tensor_type"):
        return (None, None)
    tensor = proto.tensor_type
    dtype = ir.DataType(tensor.elem_type)
    if not tensor.HasField("shape"):
        return (dtype, None)
    sizes = [d.dim_value if d.HasField("dim_value") else ir.SymbolicDim(d.dim_param or None) for d in tensor.shape.dim]
    return (dtype, tuple(sizes))
