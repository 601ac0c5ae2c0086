"""Graphs are read with what the file leaves out filled in, and refused where they contradict themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exporter.errors import CorruptError
from exporter.formats.tf_protos import AttrValue, GraphDef, NodeDef, OpDef
from exporter.sources.graph import FunctionCall, Ref, parse_ref
from exporter.sources.graph_def import read_graph
from tests.unit.sources.messages import graph, node, read


def test_names_of_tensors() -> None:
    """`x`, `x:0` and `x:1`; what is no such name is an error."""
    assert parse_ref("a/x") == parse_ref("a/x:0") == Ref("a/x", 0)
    assert parse_ref("a/x:12") == Ref("a/x", 12)
    assert (str(Ref("x", 0)), str(Ref("x", 1))) == ("x", "x:1")
    for text in ("x:", ":0", "x:y", "x:-1", "x:0.5"):
        with pytest.raises(CorruptError):
            parse_ref(text)


def test_data_and_control_inputs() -> None:
    """`^a` is waited for, `a:1` is the second result of a."""
    found = read([node("a", "Placeholder", dtype=1), node("b", "Identity", "a:1", "^a", T=1)])
    assert found.nodes["b"].inputs == (Ref("a", 1),)
    assert found.nodes["b"].controls == ("a",)


def test_values_of_attributes() -> None:
    """Each kind as a plain Python value, decoded when it is asked for."""
    message = node(
        "a", "Anything", i=3, f=0.5, b=True, s=b"text", shape=(None, 2), t=np.array([1, 2], np.float32), dtype=3
    )
    message.attr["unknown"].shape.unknown_rank = True
    message.attr["list"].list.i.extend([1, 2])
    message.attr["empty"].list.SetInParent()
    message.attr["function"].func.name = "f"
    a = read([message]).nodes["a"]
    assert [a.attribute(key) for key in ("i", "f", "b", "s", "dtype")] == [3, 0.5, True, b"text", 3]
    assert a.attribute("shape") == (None, 2)
    assert a.attribute("unknown", "default") is None
    assert a.attribute("list") == (1, 2)
    assert a.attribute("empty") == ()
    assert a.attribute("function") == FunctionCall("f", {})
    assert a.attribute("t").tolist() == [1, 2]
    assert a.attribute("absent") is None
    assert a.attribute("absent", 7) == 7


_INPUTS = {
    "ArgMax": 2,
    "Conv2D": 2,
    "FusedBatchNorm": 5,
    "FusedBatchNormV3": 5,
    "MatMul": 2,
    "Mean": 2,
    "ResizeBilinear": 2,
}


@pytest.mark.parametrize(
    ("op", "attribute", "value"),
    [
        ("FusedBatchNorm", "is_training", True),
        ("FusedBatchNormV3", "is_training", True),
        ("FusedBatchNormV3", "epsilon", 1e-4),
        ("FusedBatchNormV3", "data_format", b"NHWC"),
        ("Conv2D", "dilations", (1, 1, 1, 1)),
        ("Conv2D", "data_format", b"NHWC"),
        ("MatMul", "transpose_b", False),
        ("LRN", "bias", 1.0),
        ("LeakyRelu", "alpha", 0.2),
        ("Mean", "keep_dims", False),
        ("Squeeze", "squeeze_dims", ()),
        ("ArgMax", "output_type", 9),
        ("ResizeBilinear", "align_corners", False),
    ],
)
def test_defaults(op: str, attribute: str, value: object) -> None:
    """What a file leaves out has the default of TensorFlow's op; the dangerous ones above all."""
    inputs = ["x"] * _INPUTS.get(op, 1)
    found = read([node("x", "Placeholder"), node("a", op, *inputs)]).nodes["a"].attribute(attribute, "nothing")
    assert math.isclose(found, value, rel_tol=1e-6) if isinstance(value, float) else found == value


def test_what_the_file_says_wins() -> None:
    """An attribute of the node over everything, then the file's own op list, then the built-in table."""
    own = OpDef(name="FusedBatchNorm")
    for name in ("x", "scale", "offset", "mean", "variance"):
        own.input_arg.add(name=name, type=1)
    own.attr.add(name="is_training", type="bool").default_value.CopyFrom(AttrValue(b=False))
    given = [node("x", "Placeholder"), node("a", "FusedBatchNorm", *"xxxxx")]
    found = read([*given, node("b", "FusedBatchNorm", *"xxxxx", is_training=True)], op_list=[own])
    assert found.nodes["a"].attribute("is_training") is False
    assert found.nodes["b"].attribute("is_training") is True


def test_an_op_that_nobody_knows() -> None:
    """It is read as it is; whether it can be translated is not decided here."""
    found = read([node("a", "MyOwnOp", i=1)]).nodes["a"]
    assert (found.op, found.attribute("i"), found.attribute("other")) == ("MyOwnOp", 1, None)


@pytest.mark.parametrize(("op", "count"), [("MatMul", 1), ("MatMul", 3), ("FusedBatchNormV3", 3), ("Relu", 0)])
def test_numbers_of_inputs(op: str, count: int) -> None:
    """A known op with fewer or more inputs than it takes is an error that names the node."""
    with pytest.raises(CorruptError, match=rf"node a: {op} takes \d inputs, and it has {count}"):
        read([node("x", "Placeholder"), node("a", op, *["x"] * count)])


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("a", "NoOp"), node("a", "NoOp")], "node a: two nodes have the same name"),
        ([node("", "NoOp")], "has no name"),
        ([node("a", "Identity", "lost")], "node a: its input 'lost' is not in the graph"),
        ([node("a", "Identity", "lost:2")], "'lost:2'"),
        ([node("a", "NoOp", "^lost")], "node a: its control input 'lost' is not in the graph"),
        ([node("a", "Identity", "b"), node("b", "Identity", "a")], "cycle"),
        ([node("a", "Identity", "a")], "cycle"),
    ],
)
def test_contradictions(nodes: list[NodeDef], words: str) -> None:
    """Names used twice, inputs that nobody provides, cycles: an error that names the node."""
    with pytest.raises(CorruptError, match=words):
        read(nodes)


def test_a_broken_attribute_says_where() -> None:
    """A constant whose bytes don't fit its shape is found when it is used, with node and attribute."""
    message = node("weights", "Const", dtype=1, value=np.array([1, 2, 3], np.float32))
    message.attr["value"].tensor.tensor_content = b"\0" * 5
    found = read([message]).nodes["weights"]
    with pytest.raises(CorruptError, match="node weights, attribute value"):
        found.attribute("value")


def test_functions() -> None:
    """Inside a function `node:output:i` is a result by name, whatever the position of that among all results."""
    message = graph(node("x", "Placeholder", dtype=1))
    function = message.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="data")
    function.signature.output_arg.add(name="result")
    function.node_def.append(node("norm", "FusedBatchNormV3", "data", "data", "data", "data", "data"))
    function.node_def.append(node("out", "Identity", "norm:batch_variance:0", "^norm", T=1))
    function.ret["result"] = "out:output:0"
    body = read_graph(message).functions["f"]
    assert body.arguments == ("data",)
    assert body.nodes["norm"].inputs == (Ref("data"),) * 5
    assert body.nodes["out"].inputs == (Ref("norm", 2),)
    assert body.nodes["out"].controls == ("norm",)
    assert body.outputs == (Ref("out"),)


def test_a_function_that_refers_to_nothing() -> None:
    """A name that is neither an argument nor a node is an error with the function's name."""
    message = GraphDef()
    function = message.library.function.add()
    function.signature.name = "f"
    function.node_def.append(node("out", "Identity", "lost:output:0"))
    with pytest.raises(CorruptError, match="function f: 'lost:output:0'"):
        read_graph(message).functions["f"]


def test_lists_of_several_results() -> None:
    """A result that is a list counts as many as its attribute says."""
    message = GraphDef()
    function = message.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="x")
    function.signature.output_arg.add(name="y")
    split = node("split", "Split", "x", "x", num_split=3)
    function.node_def.extend([split, node("out", "Identity", "split:output:2", T=1)])
    function.ret["y"] = "out:output:0"
    assert read_graph(message).functions["f"].nodes["out"].inputs == (Ref("split", 2),)
