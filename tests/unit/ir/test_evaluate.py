"""A model computed in a float type of choice, and its constants."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import UnsupportedError, UsageError
from exporter.ir.builder import Builder
from exporter.ir.evaluate import Constants, evaluate

FLOAT = ir.DataType.FLOAT


def _scaled() -> ir.Model:
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", 2))
    w = b.weight("w", FLOAT, (2,), lambda: np.array([0.1, 0.2], np.float32))
    half = b.op("Cast", b.op("Mul", x, w), to=ir.DataType.FLOAT16.value)
    return b.finish({"y": b.op("Cast", half, to=FLOAT.value)})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_is_in_the_type_asked_for(dtype: type) -> None:
    """Casts to half precision on the way too: the truth is not rounded."""
    y = evaluate(_scaled(), {"x": [[3, 5]]}, dtype=dtype)["y"]
    assert y.dtype == dtype
    if dtype is np.float64:
        assert y.tolist() == [[3 * float(np.float32(0.1)), 5 * float(np.float32(0.2))]]


def test_an_input_that_is_not_fed_is_named() -> None:
    """As a mistake in the call."""
    with pytest.raises(UsageError, match="no value for input x"):
        evaluate(_scaled(), {})


def test_an_op_without_a_kernel_is_named() -> None:
    """With its node."""
    graph = ir.Graph([], [], nodes=[ir.node("NoSuchOp", [], name="n")], name="g")
    graph.outputs.append(graph[0].outputs[0])
    graph[0].outputs[0].name = "y"
    with pytest.raises(UnsupportedError, match="node n has the op NoSuchOp"):
        evaluate(ir.Model(graph, ir_version=8), {})


def test_subgraphs_see_the_values_around_them() -> None:
    """An If whose branches read a value of the graph that holds it."""
    b = Builder("m")
    x = b.input("x", FLOAT, (2,))
    flag = b.input("flag", ir.DataType.BOOL, ())
    y = b.op("Relu", x)
    branches = {}
    for name, op_type in (("then_branch", "Exp"), ("else_branch", "Neg")):
        node = ir.node(op_type, [y])
        node.outputs[0].name = name
        branches[name] = ir.Graph([], list(node.outputs), nodes=[node], name=name)
    choice = ir.node("If", [flag], branches)
    choice.outputs[0].name, choice.outputs[0].type = "z", ir.TensorType(FLOAT)
    b.graph.append(choice)
    model = ir.Model(b.graph, ir_version=8)
    b.graph.outputs.append(choice.outputs[0])
    assert evaluate(model, {"x": [0.0, 1.0], "flag": False})["z"].tolist() == [0.0, -1.0]
    assert evaluate(model, {"x": [0.0, 1.0], "flag": True})["z"].tolist() == [1.0, float(np.exp(1.0))]


def test_constants_are_what_only_initializers_determine() -> None:
    """Not inputs, not what depends on them, not random numbers."""
    b = Builder("m")
    x = b.input("x", FLOAT, (2,))
    w = b.weight("w", FLOAT, (2,), lambda: np.array([3.0, 4.0], np.float32))
    root, mixed, noise = b.op("Sqrt", w), b.op("Add", w, x), b.op("RandomUniformLike", w)
    constants = Constants()
    assert [constants.is_constant(value) for value in (x, w, root, mixed, noise, None)] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]
    assert constants.array(root).tolist() == [float(np.sqrt(3.0)), 2.0]
    assert constants.array(root) is constants.array(root)
    with pytest.raises(UsageError, match="x is not a constant"):
        constants.compute(x)


def test_a_deep_graph_is_no_problem() -> None:
    """5,000 ops in a row, without recursion."""
    b = Builder("m")
    w = b.weight("w", FLOAT, (2,), lambda: np.zeros(2, np.float32))
    one = b.weight("one", FLOAT, (2,), lambda: np.ones(2, np.float32))
    value = w
    for _ in range(5000):
        value = b.op("Add", value, one)
    assert Constants().compute(value).tolist() == [5000.0, 5000.0]
