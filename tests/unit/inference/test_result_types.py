"""The types of results, against the definitions of TensorFlow's ops."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.inference.graph.result_types import result_type
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Graph, Node
from tests.unit.inference.graphs import BOOL, FLOAT, INT32, Draft

INT64, FLOAT64, UINT8 = 9, 2, 4

OPS = [
    "Add",
    "AddV2",
    "All",
    "Any",
    "ArgMax",
    "ArgMin",
    "BiasAdd",
    "Bucketize",
    "Cast",
    "Ceil",
    "ConcatV2",
    "Const",
    "Conv2D",
    "CropAndResize",
    "DecodeJpeg",
    "DecodePng",
    "Equal",
    "ExpandDims",
    "Fill",
    "Floor",
    "GatherV2",
    "Greater",
    "GreaterEqual",
    "Identity",
    "InTopKV2",
    "IsFinite",
    "IsInf",
    "IsNan",
    "IteratorGetNext",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalNot",
    "LogicalOr",
    "LookupTableFindV2",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "NonMaxSuppressionV3",
    "NotEqual",
    "OneHot",
    "Pack",
    "Placeholder",
    "PlaceholderWithDefault",
    "QueueDequeueManyV2",
    "RandomUniform",
    "Rank",
    "ReadFile",
    "ReadVariableOp",
    "Relu",
    "Reshape",
    "ResizeArea",
    "ResizeBicubic",
    "ResizeBilinear",
    "ResizeNearestNeighbor",
    "Select",
    "SelectV2",
    "Shape",
    "Size",
    "Softmax",
    "Split",
    "Sum",
    "TopKV2",
    "Transpose",
    "Unpack",
    "Where",
]


def typed(op: str, **attributes: Any) -> int:
    node = Node("n", op, (), (), attributes)
    return result_type(Rewriter(Graph({"n": node}, {})), node)


@pytest.mark.tensorflow
@pytest.mark.parametrize("op", OPS)
def test_as_the_definitions_say(op: str) -> None:
    """For every result, with attributes at their defaults, left out as they are in files, and set to others."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(op)
    kinds = [attribute for attribute in definition.attr if attribute.type in ("type", "list(type)")]
    others = {a.name: UINT8 if a.type == "type" else [INT64, FLOAT64] for a in kinds}
    defaults = {a.name: a.default_value.type for a in kinds if a.default_value.type}
    for given in (others, {name: value for name, value in others.items() if name not in defaults}):
        node = Node("n", op, (), (), given)
        rewriter = Rewriter(Graph({"n": node}, {}))
        for port, result in enumerate(definition.output_arg):
            expected = result.type or {**defaults, **given}.get(result.type_attr or result.type_list_attr)
            expected = expected[port] if isinstance(expected, list) else expected
            assert result_type(rewriter, node, port) == expected, (given, result.name)


def test_a_result_that_is_cut_off_has_its_own_type() -> None:
    """Of a comparison it is bool, as an input and as a value, whatever is compared."""
    g = Draft()
    x = g.dense("layer", g.placeholder("x"))
    mask = g.add("mask", "Less", x, g.const("zero", 0.0), T=FLOAT)
    y = g.add("y", "SelectV2", mask, x, g.const("one", 1.0), T=FLOAT)
    found = g.infer(y.node, inputs={"mask": None})
    assert {given.name: given.dtype for given in found.model.inputs} == {"x": FLOAT, "mask": BOOL}
    found = g.infer(y.node, values={"mask": "true"})
    assert found.decided("value") == {"mask": "true"}
    assert typed("Shape", T=FLOAT) == INT32
