"""Half precision as float32."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

__all__ = ["widen"]

_WIDE = ir.DataType.FLOAT


def widen(model: ir.Model, narrow: Collection[ir.DataType]) -> set[ir.DataType]:
    """Makes all tensors of these types float32, inputs and outputs included; which of the types there were.

    Weights keep their values, since float32 has all numbers of float16 and bfloat16. What TensorFlow rounds in between
    isn't rounded, so that results are at least as near to those of exact arithmetic.
    """
    values: list[ir.Value] = []
    for graph in (model.graph, *model.graph.subgraphs()):
        values += [*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]
    found = [value for value in values if value.dtype in narrow]
    types = {value.dtype for value in found if value.dtype is not None}
    for value in found:
        if value.const_value is not None:
            value.const_value = _widened(value.const_value)
        value.dtype = _WIDE
    for node in model.graph.all_nodes():
        for name, attribute in list(node.attributes.items()):
            if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype in narrow:
                node.attributes[name] = ir.AttrTensor(name, _widened(attribute.as_tensor()))
            elif name in ("to", "dtype") and attribute.value in {kind.value for kind in narrow}:
                node.attributes[name] = ir.AttrInt64(name, _WIDE.value)
    return types


def _widened(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    def read() -> ir.TensorProtocol:
        return ir.Tensor(tensor.numpy().astype(np.float32), name=tensor.name)

    return ir.LazyTensor(read, dtype=_WIDE, shape=ir.Shape(tensor.shape.numpy()), name=tensor.name)
