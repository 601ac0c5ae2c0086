"""If, Loop and Scan, and the plan's liveness around them."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.errors import RunError
from runtime.plan import Graph, Node, execute
from tests.unit.runtime.executors import evaluate

ONE = np.array([1.0, 2.0])


def branch(op: str) -> Graph:
    return Graph((), ("r",), (Node(op, op, ("x", "w"), ("r",)),))


@pytest.mark.parametrize("chosen, expected", [(True, [4.0, 6.0]), (False, [3.0, 8.0])])
def test_if_runs_one_branch(chosen: bool, expected: list[float]) -> None:
    """A branch sees the values around it; the other one doesn't run."""
    node = Node("If", "if", ("c",), ("y",), {"then_branch": branch("Add"), "else_branch": branch("Mul")})
    found = evaluate([node], {"c": np.array(chosen), "x": ONE, "w": np.array([3.0, 4.0])}, ["y"])
    np.testing.assert_array_equal(found["y"], expected)


def test_loop_carries_state_and_stacks_scans() -> None:
    """x doubles three times; each step's x is stacked."""
    body = Graph(("i", "c", "s"), ("c", "t", "s"), (Node("Add", "double", ("s", "s"), ("t",)),))
    node = Node("Loop", "loop", ("n", "", "x"), ("last", "all"), {"body": body})
    found = evaluate([node], {"n": np.array(3), "x": ONE}, ["last", "all"])
    np.testing.assert_array_equal(found["last"], 8 * ONE)
    np.testing.assert_array_equal(found["all"], [ONE, 2 * ONE, 4 * ONE])


def test_loop_ends_on_its_condition() -> None:
    """The body's first output says whether to go on."""
    nodes = (Node("Add", "add", ("s", "s"), ("t",)), Node("Less", "less", ("t", "limit"), ("go",)))
    body = Graph(("i", "c", "s"), ("go", "t"), nodes)
    arrays = {"x": np.array(1.0), "limit": np.array(10.0)}
    found = evaluate([Node("Loop", "loop", ("", "", "x"), ("y",), {"body": body})], arrays, ["y"])
    assert found["y"] == 16


def test_a_loop_without_a_step_has_empty_scans() -> None:
    """The state is what it was; nobody knows the shape of what a step would have given."""
    body = Graph(("i", "c", "s"), ("c", "s", "s"), ())
    node = Node("Loop", "loop", ("n", "", "x"), ("last", "all"), {"body": body})
    found = evaluate([node], {"n": np.array(0), "x": ONE}, ["last", "all"])
    np.testing.assert_array_equal(found["last"], ONE)
    assert found["all"].shape == (0,)


def test_scan_runs_over_slices() -> None:
    """A running sum over the columns, from the end."""
    body = Graph(("s", "x"), ("t", "t"), (Node("Add", "add", ("s", "x"), ("t",)),))
    attributes = {"body": body, "num_scan_inputs": 1, "scan_input_axes": [1], "scan_input_directions": [1]}
    arrays = {"start": np.zeros(2), "x": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])}
    found = evaluate([Node("Scan", "scan", ("start", "x"), ("last", "all"), attributes)], arrays, ["last", "all"])
    np.testing.assert_array_equal(found["last"], [6, 15])
    np.testing.assert_array_equal(found["all"], [[3, 6], [5, 11], [6, 15]])


def test_values_are_dropped_after_their_last_use() -> None:
    """What only a subgraph reads lives until the node of that subgraph."""
    nodes = (
        Node("Neg", "neg", ("x",), ("w",)),
        Node("Abs", "abs", ("w",), ("u",)),
        Node("If", "if", ("c",), ("y",), {"then_branch": branch("Add"), "else_branch": branch("Mul")}),
    )
    scope = {"x": ONE, "c": np.array(True)}
    left = []
    execute(Graph(("x", "c"), ("y",), nodes), scope, lambda node, _: left.append(sorted(scope)))
    assert left == [["c", "w", "x"], ["c", "u", "w", "x"], ["c", "w", "x", "y"]]
    assert sorted(scope) == ["y"]


def test_a_failing_node_is_named() -> None:
    """The message has the node, the operator and the shapes."""
    node = Node("MatMul", "fc/mul", ("a", "b"), ("y",))
    with pytest.raises(RunError, match=r"fc/mul.*MatMul.*float64\[2\], float64\[3\]"):
        evaluate([node], {"a": np.ones(2), "b": np.ones(3)}, ["y"])
