"""Replacing and removing values; the invariants."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir import edit
from exporter.ir.builder import Builder

FLOAT = ir.DataType.FLOAT


def _chain() -> tuple[Builder, ir.Value, ir.Value, ir.Value]:
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", 2))
    y = b.op("Relu", x)
    return b, x, y, b.op("Tanh", y)


def test_a_replaced_output_keeps_its_name() -> None:
    """The value that takes its place is called as it was."""
    b, _, y, z = _chain()
    model = b.finish({"z": z})
    edit.replace(model.graph, z, y)
    edit.remove_dead(model)
    edit.check(model)
    assert [(node.op_type, node.outputs[0].name) for node in model.graph] == [("Relu", "z")]


def test_an_output_that_becomes_an_input_gets_an_identity() -> None:
    """Inputs can't be renamed."""
    b, x, _, z = _chain()
    model = b.finish({"z": z})
    edit.replace(model.graph, z, x)
    edit.remove_dead(model)
    edit.check(model)
    assert [(node.op_type, node.outputs[0].name) for node in model.graph] == [("Identity", "z")]


def test_dead_nodes_and_initializers_go() -> None:
    """All that no output needs."""
    b, _x, y, z = _chain()
    w = b.weight("w", FLOAT, (2,), lambda: np.zeros(2, np.float32))
    b.op("Add", z, w)
    model = b.finish({"y": y})
    assert [node.op_type for node in model.graph] == ["Relu"]
    assert not model.graph.initializers


def test_constants_are_read_and_others_are_not() -> None:
    """None for what isn't an initializer."""
    b, x, y, _ = _chain()
    w = b.weight("w", FLOAT, (2,), lambda: np.ones(2, np.float32))
    assert edit.constant_array(x) is None
    assert edit.constant_array(y) is None
    assert edit.constant_array(None) is None
    found = edit.constant_array(w)
    assert found is not None
    assert found.tolist() == [1, 1]


def test_initializers_get_names_of_their_own() -> None:
    """With a number where the name is taken."""
    b, _, _y, _ = _chain()
    names = [edit.make_initializer(b.graph, "w", np.zeros(1)).name for _ in range(3)]
    assert names == ["w", "w_1", "w_2"]


def test_broken_order_is_found() -> None:
    """A value used before it is made."""
    b, _, _y, z = _chain()
    model = b.finish({"z": z})
    first, second = model.graph
    model.graph.remove(first)
    model.graph.insert_after(second, first)
    with pytest.raises(AssertionError, match="is not defined before it"):
        edit.check(model)


def test_two_values_of_one_name_are_found() -> None:
    """Names are how a model is used."""
    b, _, y, z = _chain()
    model = b.finish({"z": z})
    y.name = "z"
    with pytest.raises(AssertionError, match="two values have the same name"):
        edit.check(model)
