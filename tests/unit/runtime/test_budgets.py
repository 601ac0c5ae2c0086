"""What a run may take, and attributes that can't be meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.attributes import problem
from runtime.budget import Budget, Limits, Meter, TooMuchError
from runtime.cost import cost
from runtime.errors import RunError
from runtime.kernels import KERNELS
from runtime.kernels.base import Array
from runtime.plan import Graph, Node, execute

_X = np.ones((2, 3), np.float32)
_I = np.array


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Pad", [_X, _I([1, 2, 3, 4])], {}),
        ("Pad", [_X, _I([0, 50]), None, _I([1])], {}),
        ("Tile", [_X, _I([5, 7])], {}),
        ("Range", [_I(3), _I(50), _I(2)], {}),
        ("Range", [_I(0.5), _I(-3.0), _I(-0.5)], {}),
        ("ConstantOfShape", [_I([4, 5])], {}),
        ("Expand", [_X, _I([9, 2, 3])], {}),
        ("OneHot", [_I([1, 2]), _I(7), _I([0.0, 1.0])], {}),
        ("Gather", [_X, _I([[0, 1, 0], [1, 1, 1]])], {"axis": 0}),
        ("GatherND", [_X, _I([[0], [1], [1], [0]])], {}),
        ("Concat", [_X, _X, _X], {"axis": 0}),
        ("Add", [_X[:, :1], np.ones((5, 1, 3), np.float32)], {}),
        ("MatMul", [np.ones((4, 7, 2, 1)), np.ones((7, 1, 9))], {}),
        ("Gemm", [np.ones((1, 6)), np.ones((1, 9))], {"transA": 1}),
        ("Dense", [np.ones((4, 5, 1)), np.ones((1, 30))], {}),
        ("Einsum", [np.ones(5), np.ones(6)], {"equation": "i,j->ij"}),
        ("Resize", [_X, None, _I([2.5, 3.0])], {}),
        ("Resize", [_X, None, None, _I([9, 8])], {}),
        ("Conv", [np.ones((1, 3, 1)), np.ones((2, 1, 6))], {"pads": [4, 5]}),
        ("ConvTranspose", [np.ones((1, 3, 1)), np.ones((2, 5, 1))], {"strides": [7]}),
        ("MaxPool", [np.ones((1, 3, 1))], {"kernel_shape": [2], "pads": [1, 1]}),
        ("NonZero", [np.ones((2, 2, 2), bool)], {}),
    ],
)
def test_what_an_operator_makes_is_known_before(
    op: str, inputs: list[Array | None], attributes: dict[str, Any]
) -> None:
    """At least the bytes of its results, and within a factor that the budget can bear."""
    made = sum(y.nbytes for y in KERNELS[op](inputs, attributes))
    assert made <= cost(op, inputs, attributes)[0] <= 16 * made


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("Conv", {"strides": [0, 1]}),
        ("Conv", {"dilations": [-1]}),
        ("Conv", {"pads": [1 << 63, 0]}),
        ("Conv", {"pads": [0, 0], "strides": [1, 1]}),
        ("Conv", {"group": 0}),
        ("Conv", {"strides": "11"}),
        ("Conv", {"strides": [1.5]}),
        ("Conv", {"strides": [True]}),
        ("Conv", {"strides": None}),
        ("MaxPool", {"kernel_shape": [0]}),
        ("Softmax", {"axis": 10**30}),
        ("Transpose", {"perm": [-1]}),
        ("Concat", {"axis": [1]}),
        ("DepthToSpace", {"blocksize": 0}),
        ("Elu", {"alpha": "1"}),
        ("Einsum", {"equation": 5}),
        ("Constant", {"value": 5}),
        ("If", {"then_branch": 1}),
        ("Cast", {"to": 1.5}),
        ("Gemm", {"transA": 2}),
    ],
)
def test_an_attribute_that_cannot_be_meant_is_told(op: str, attributes: dict[str, Any]) -> None:
    """Of another type than the function's, out of range, or for another number of axes."""
    assert problem(op, attributes) is not None


def test_good_attributes_have_no_problem() -> None:
    """The check says no more than it has to."""
    assert problem("Conv", {"strides": [2, 1], "pads": [0, 1, 0, 1], "group": 3, "auto_pad": "NOTSET"}) is None
    assert problem("Elu", {"alpha": 1}) is None
    assert problem("Cast", {"to": 1}) is None


def test_a_loop_without_an_end_is_stopped() -> None:
    """After as many steps as the budget has, which the caller may raise."""
    body = Graph(("step", "going", "state"), ("going", "more"), (Node("Add", "add", ("state", "one"), ("more",)),))
    loop = Node("Loop", "loop", ("", "", "x"), ("y",), {"body": body})
    graph = Graph(("x",), ("y",), (loop,))
    with pytest.raises(RunError, match=r"node 'loop'.*more than 100 steps"):
        execute(graph, {"x": _X, "one": _X}, budget=Budget(limits=Limits(most_steps=100)))


def test_a_loop_that_collects_is_stopped() -> None:
    """What its steps give is counted until it ends."""
    body = Graph(("step", "going"), ("going", "step"), ())
    graph = Graph((), ("y",), (Node("Loop", "loop", ("n", ""), ("y",), {"body": body}),))
    with pytest.raises(RunError, match="collects more than 1000 bytes"):
        execute(graph, {"n": np.array(1000)}, budget=Budget(limits=Limits(most_bytes=1000)))


def test_results_that_live_together_count_together() -> None:
    """Each is small enough, all of them aren't; what has ended doesn't count."""
    nodes = tuple(Node("Exp", f"e{i}", ("x",), (f"y{i}",)) for i in range(9))
    outputs, budget = tuple(f"y{i}" for i in range(9)), Budget(limits=Limits(most_bytes=239))
    with pytest.raises(RunError, match="240 bytes, and 239 are allowed"):
        execute(Graph(("x",), outputs, nodes), {"x": _X}, budget=budget)
    execute(Graph(("x",), ("y8",), nodes), {"x": _X}, budget=budget)


def test_more_is_allowed_for_more() -> None:
    """A large input gets what it needs."""
    shape = np.array([1 << 27])
    with pytest.raises(TooMuchError):
        Budget().check("ConstantOfShape", [shape], {})
    Budget(1 << 25).check("ConstantOfShape", [shape], {})


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "products"),
    [
        ("MatMul", [np.ones((5, 2, 3)), np.ones((3, 7))], {}, 5 * 2 * 3 * 7),
        ("Dense", [np.ones((4, 5)), np.ones((5, 6))], {}, 4 * 5 * 6),
        ("Gemm", [np.ones((5, 4)), np.ones((6, 5))], {"transA": 1, "transB": 1}, 4 * 5 * 6),
        ("Conv", [np.ones((2, 8, 8, 3)), np.ones((3, 3, 3, 5))], {"pads": [1, 1, 1, 1]}, 2 * 64 * 27 * 5),
        ("Conv", [np.ones((1, 8, 4)), np.ones((3, 1, 4))], {"group": 4}, 6 * 3 * 4),
        ("ConvTranspose", [np.ones((1, 8, 4)), np.ones((3, 5, 4))], {"strides": [2]}, 8 * 4 * 3 * 5),
        ("Einsum", [np.ones((3, 4)), np.ones((4, 5))], {"equation": "ij,jk->ik"}, 3 * 4 * 5),
        ("MaxPool", [np.ones((1, 8, 2))], {"kernel_shape": [3]}, 6 * 3 * 2),
        ("LSTM", [np.ones((9, 2, 3)), np.ones((1, 16, 3)), np.ones((1, 16, 4))], {}, 9 * 2 * 16 * 7),
        ("Det", [np.ones((2, 3, 3))], {}, 2 * 27),
    ],
)
def test_products_are_counted(op: str, inputs: list[Array | None], attributes: dict[str, Any], products: int) -> None:
    """At least the multiplications of the operator's definition; no more than these and what a call costs."""
    made, found = cost(op, inputs, attributes)
    _, call = cost("Identity", inputs, {})
    assert products <= found - call - made <= products + 10 * (1 << 18)


def test_work_is_stopped_and_the_caller_may_allow_more() -> None:
    """A product that is too much, and one of a chain that is too much together."""
    nodes = tuple(Node("MatMul", f"m{i}", ("x", "x"), (f"y{i}",)) for i in range(9))
    graph, x = Graph(("x",), ("y8",), nodes), np.ones((8, 8), np.float32)
    with pytest.raises(RunError, match=r"node 'm5'.*more than 100000 operations; .*most_operations"):
        execute(graph, {"x": x}, budget=Budget(limits=Limits(most_operations=100_000)))
    execute(graph, {"x": x}, budget=Budget(limits=Limits(most_operations=200_000)))


def test_runs_that_share_a_meter_are_counted_together() -> None:
    """The second one is stopped."""
    graph, meter = Graph(("x",), ("y",), (Node("Exp", "e", ("x",), ("y",)),)), Meter(30_000)
    execute(graph, {"x": _X}, budget=Budget(meter=meter))
    with pytest.raises(RunError, match="more than 30000 operations"):
        execute(graph, {"x": _X}, budget=Budget(meter=meter))
