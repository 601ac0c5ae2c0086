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
    for name, value in attributes.items():
        plain = onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        node.attribute.append(onnx.helper.make_attribute(name, plain))
    types, data = {}, {}
    for name, known in zip(names, inputs, strict=True):
        if known is None or known.dtype is None:
            continue
        shape = None if known.shape is None else [s if isinstance(s, int) else s.value for s in known.shape]
        types[name] = onnx.helper.make_tensor_type_proto(known.dtype.value, shape)
        if known.elements is not None and known.elements.dtype != object:
            data[name] = onnx.numpy_helper.from_array(np.asarray(known.elements))
    imports = [onnx.helper.make_opsetid("", OPSET)]
    try:
        inferred = onnx.shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=imports)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise ShapeError(str(error)) from error
    return [_result(inferred.get(f"o{i}")) for i in range(outputs)]


def _result(proto: onnx.TypeProto | None) -> Result:
    if proto is None or not proto.HasField("tensor_type"):
        return (None, None)
    tensor = proto.tensor_type
    dtype = ir.DataType(tensor.elem_type)
    if not tensor.HasField("shape"):
        return (dtype, None)
    sizes = [d.dim_value if d.HasField("dim_value") else ir.SymbolicDim(d.dim_param or None) for d in tensor.shape.dim]
    return (dtype, tuple(sizes))
