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


def _looping(b: Builder, x: ir.Value) -> tuple[ir.Graph, ir.Value]:
    """Three times the tanh of what is there and of a dead Neg; the body and the result."""
    with b.body("body") as graph:
        b.body_input("step", ir.DataType.INT64, ())
        going = b.body_input("going", ir.DataType.BOOL, ())
        state = b.body_input("state", FLOAT, b.shape(x))
        b.op("Neg", state)
        b.body_outputs([going, b.op("Tanh", b.op("Add", state, x))])
    trips = b.constant(np.array(3, np.int64))
    (y,) = b.loop(trips, b.constant(np.array(True)), [x], graph)
    return graph, y


def test_dead_nodes_of_subgraphs_go() -> None:
    """And what only a subgraph uses stays."""
    b, _x, y, z = _chain()
    graph, result = _looping(b, y)
    model = b.finish({"result": result})
    assert [node.op_type for node in model.graph] == ["Relu", "Loop"]
    assert [node.op_type for node in graph] == ["Add", "Tanh", "Identity"]
    assert not z.uses()


def test_a_dead_loop_lets_go_of_what_it_uses() -> None:
    """What only its body has used is dead with it."""
    b, x, y, _ = _chain()
    _looping(b, y)
    model = b.finish({"z": b.op("Exp", x)})
    assert [node.op_type for node in model.graph] == ["Exp"]


def test_subgraphs_are_checked() -> None:
    """A body that uses what comes after it."""
    b, x, y, z = _chain()
    graph, result = _looping(b, x)
    model = b.finish({"z": z, "result": result})
    next(iter(graph)).replace_input_with(1, y)
    edit.check(model)
    producer = y.producer()
    assert producer is not None
    model.graph.remove(producer)
    with pytest.raises(AssertionError, match="not defined"):
        edit.check(model)


def test_a_discarded_body_leaves_nothing() -> None:
    """Its names are free again, and it uses nothing any more."""
    b, x, _, z = _chain()
    with b.body("body") as graph:
        state = b.body_input("state", FLOAT, (2,))
        b.op("Add", state, x)
    before = len(x.uses())
    b.discard(graph)
    assert len(x.uses()) == before - 1
    with b.body("body"):
        assert b.body_input("state", FLOAT, (2,)).name == "state"
    b.finish({"z": z})


def test_a_size_is_found() -> None:
    """Of an input, as an int64 vector; None where no tensor has it."""
    b, x, _, _ = _chain()
    assert x.shape is not None
    found = b.size(x.shape[0])
    assert found is not None
    assert found.dtype == ir.DataType.INT64
    assert b.size(ir.SymbolicDim("M")) is None
    assert b.size(ir.SymbolicDim(None)) is None
