"""Batches in pieces: where that is right, that it is declined elsewhere, and that nothing else changes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

from runtime.bundle import Bundle
from runtime.document import Value
from runtime.engine import Pieces, Policy, micro_batches
from runtime.engine.executor import Compiled
from runtime.engine.weights import Weights
from runtime.executor import Plain
from runtime.net import Net
from runtime.plan import Graph, Node
from tests.unit.runtime.executors import compiled

RANDOM = np.random.default_rng(0)
TOTAL, SIZE = 5, 2


def drawn(*shape: int) -> Any:
    return np.asarray(RANDOM.standard_normal(shape), np.float32)


def ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


class Case(NamedTuple):
    """Nodes from `x`, a batch of rows of this shape, to `y`.

    Attributes:
        is_right: Whether each row of y depends on the same row of x alone.
        other: The shape of a row of a second input of that batch, `z`.
    """

    nodes: list[Node]
    row: tuple[int, ...] = (3, 4)
    weights: Mapping[str, Any] = {}
    is_right: bool = True
    other: tuple[int, ...] | None = None


def op(kind: str, *inputs: str, out: str = "y", **attributes: Any) -> Node:
    return Node(kind, f"{kind} {out}", inputs, (out,), attributes)


SHAPE = [op("Shape", "x", out="s"), op("Gather", "s", "zero", out="n")]
"""The size of the batch, as a list of one number."""

CASES = {
    "unary": Case([op("Tanh", "x")]),
    "of two": Case([op("Mul", "x", "z")], other=(3, 4)),
    "numbers of a row": Case([op("Add", "x", "w")], weights={"w": drawn(3, 4)}),
    "one row for all": Case([op("Add", "x", "w")], weights={"w": drawn(1, 3, 1)}),
    "another for each": Case([op("Add", "x", "w")], weights={"w": drawn(TOTAL, 1, 1)}, is_right=False),
    "a batch across the columns": Case([op("Mul", "x", "z")], row=(TOTAL, 1), other=(1,), is_right=False),
    "convolution": Case([op("Conv", "x", "w", pads=[1, 1, 1, 1])], (4, 4, 2), {"w": drawn(3, 3, 2, 3)}),
    "transposed convolution": Case([op("ConvTranspose", "x", "w")], (4, 4, 2), {"w": drawn(3, 3, 3, 2)}),
    "pools": Case(
        [op("MaxPool", "x", out="a", kernel_shape=[2, 2]), op("AveragePool", "a", kernel_shape=[2, 2])], (4, 4, 2)
    ),
    "dense": Case([op("Dense", "x", "w")], (4,), {"w": drawn(4, 3)}),
    "norm": Case([op("BatchNormalization", "x", "a", "a", "a", "a")], (3, 4), {"a": np.abs(drawn(4)) + 1}),
    "norm over channels": Case([op("LayerNormalization", "x", "a")], (3, 4), {"a": drawn(4)}),
    "softmax": Case([op("Softmax", "x")]),
    "softmax over the batch": Case([op("Softmax", "x", axis=0)], is_right=False),
    "mean": Case([op("ReduceMean", "x", "w")], weights={"w": ints(1, -1)}),
    "mean over the batch": Case(
        [op("ReduceMean", "x", "w", out="a"), op("Sub", "x", "a")], weights={"w": ints(-3)}, is_right=False
    ),
    "mean of all": Case([op("ReduceMean", "x", out="a"), op("Sub", "x", "a")], is_right=False),
    "largest": Case([op("ArgMax", "x", axis=-1)]),
    "largest of the batch": Case(
        [op("ArgMax", "x", out="a"), op("Cast", "a", out="b", to=1), op("Add", "x", "b")], is_right=False
    ),
    "channels together": Case([op("Concat", "x", "z", axis=-1)], other=(3, 2)),
    "batches together": Case(
        [op("Concat", "x", "x", out="a", axis=0), op("Slice", "a", "two", "end", "zero")],
        weights={"two": ints(1), "end": ints(TOTAL + 1), "zero": ints(0)},
        is_right=False,
    ),
    "flat": Case([op("Reshape", "x", "w")], weights={"w": ints(0, -1)}),
    "flat by the batch's size": Case(
        [*SHAPE, op("Concat", "n", "twelve", out="t", axis=0), op("Reshape", "x", "t")],
        weights={"zero": ints(0), "twelve": ints(12)},
    ),
    "a number per batch": Case(
        [*SHAPE, op("Cast", "n", out="f", to=1), op("Div", "x", "f")], weights={"zero": ints(0)}, is_right=False
    ),
    "the batch among the columns": Case(
        [op("Reshape", "x", "w", out="a"), op("Transpose", "a", out="b", perm=[1, 0]), op("Reshape", "b", "v")],
        (2, 3),
        {"w": ints(-1, 2), "v": ints(-1, 2, 3)},
        is_right=False,
    ),
    "axes": Case([op("Unsqueeze", "x", "w", out="a"), op("Squeeze", "a", "w")], weights={"w": ints(2)}),
    "transpose": Case([op("Transpose", "x", perm=[0, 2, 1])]),
    "transpose of the batch": Case(
        [op("Transpose", "x", out="a", perm=[1, 0, 2]), op("Reshape", "a", "w")],
        (3, 4),
        {"w": ints(-1, 3, 4)},
        is_right=False,
    ),
    "pad": Case([op("Pad", "x", "w")], weights={"w": ints(0, 1, 0, 0, 0, 2)}),
    "shift of the batch": Case([op("Pad", "x", "w")], weights={"w": ints(1, 0, 0, -1, 0, 0)}, is_right=False),
    "slice": Case([op("Slice", "x", "a", "b", "c")], weights={"a": ints(1), "b": ints(3), "c": ints(-1)}),
    "whole batch of a slice": Case([op("Slice", "x", "a", "b")], weights={"a": ints(0, 1), "b": ints(1 << 40, 3)}),
    "batch backwards": Case(
        [op("Slice", "x", "a", "b", "c", "d")],
        weights={"a": ints(-1), "b": ints(-(1 << 40)), "c": ints(0), "d": ints(-1)},
        is_right=False,
    ),
    "gather": Case([op("Gather", "x", "w", axis=1)], weights={"w": ints(2, 0)}),
    "rows of a table": Case([op("ArgMax", "x", out="a", axis=-1), op("Gather", "w", "a")], weights={"w": drawn(4, 6)}),
    "gather of the batch": Case(
        [op("Gather", "x", "w")], weights={"w": ints(*range(TOTAL))[::-1].copy()}, is_right=False
    ),
    "matrix": Case([op("MatMul", "x", "w")], weights={"w": drawn(4, 2)}),
    "matrix from the left": Case([op("MatMul", "w", "x")], weights={"w": drawn(2, 3)}),
    "matrix of the batch from the left": Case(
        [op("MatMul", "w", "x")], (4,), {"w": drawn(TOTAL, TOTAL)}, is_right=False
    ),
    "two matrices": Case([op("MatMul", "x", "z")], other=(4, 2)),
    "gemm": Case([op("Gemm", "x", "w", "b", transB=1)], (4,), {"w": drawn(3, 4), "b": drawn(3)}),
    "scale": Case([op("Resize", "x", "", "w")], (2, 2, 3), {"w": np.array([1, 2, 2, 1], np.float32)}),
    "scale of some axes": Case([op("Resize", "x", "", "w", axes=[1, 2])], (2, 2, 3), {"w": np.full(2, 2, np.float32)}),
    "scale of the batch": Case(
        [op("Resize", "x", "", "w", mode="linear")],
        (2, 2, 3),
        {"w": np.array([1.15, 2, 2, 1], np.float32)},
        is_right=False,
    ),
    "size by the batch's": Case(
        [*SHAPE, op("Concat", "n", "w", out="t", axis=0), op("Resize", "x", "", "", "t")],
        (2, 2, 3),
        {"w": ints(4, 4, 3), "zero": ints(0)},
    ),
    "size": Case([op("Resize", "x", "", "", "w")], (2, 2, 3), {"w": ints(TOTAL, 4, 4, 3)}, is_right=False),
    "sum of the batch so far": Case([op("CumSum", "x", "w")], weights={"w": np.array(0)}, is_right=False),
    "split": Case([Node("Split", "s", ("x",), ("a", "b"), {"axis": -1, "num_outputs": 2}), op("Mul", "a", "b")]),
    "largest two": Case([Node("TopK", "t", ("x", "k"), ("y", ""), {})], weights={"k": ints(2)}),
}


def net(case: Case, *, plain: bool = False, threads: int = 1) -> Net:
    values = [Value("x", "float32", ("N", *case.row))]
    values += [Value("z", "float32", ("N", *case.other))] if case.other else []
    names = tuple(value.name for value in values)
    graph = Graph(names, ("y",), tuple(case.nodes))
    weights = Weights({name: case.weights[name] for name in graph.captures})
    bundle = Bundle("", tuple(values), (Value("y", "float32", None),), graph, weights, weights.__getitem__, (), {})
    return Net(bundle, Plain(bundle) if plain else Compiled(bundle, Policy("standard", threads)))


def batch(case: Case, total: int = TOTAL) -> list[Any]:
    return [drawn(total, *row) for row in (case.row, case.other) if row]


def is_cut(net: Net, arrays: list[Any]) -> bool:
    """Whether there are pieces for inputs like these, which were run before."""
    programs = compiled(net)._programs
    key = tuple((x.shape, x.dtype) for x in arrays)
    assert programs.knows(key[0] if len(key) == 1 else key)
    return isinstance(programs.take(arrays, key[0] if len(key) == 1 else key)[0], Pieces)


@pytest.fixture(autouse=True)
def always_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two images, however small."""
    monkeypatch.setattr(micro_batches, "_size", lambda graph, specs, total: min(total, SIZE))


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_cut_where_that_is_right(name: str) -> None:
    """And its outputs are those of the whole batch in any case."""
    case = CASES[name]
    arrays = batch(case)
    made = net(case)
    found, expected = made(*arrays), net(case, plain=True)(*arrays)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert is_cut(made, arrays) == case.is_right


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.is_right])
def test_cutting_elsewhere_would_be_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case that is declined gives other numbers, or none, in pieces."""
    monkeypatch.setattr(micro_batches, "separable", lambda *_: True)
    case = CASES[name]
    arrays = batch(case)
    made, expected = net(case), net(case, plain=True)(*arrays)
    try:
        found = made(*arrays)
    except ValueError:
        return
    differs = np.shape(found) != np.shape(expected) or not np.allclose(found, expected, rtol=1e-3)
    assert differs or not is_cut(made, arrays)  # what takes batches of this size alone can't be cut


def test_what_no_output_needs_counts() -> None:
    """A node that takes batches of one size alone would fail on a piece, though nobody asks for its result."""
    weights = {"w": ints(TOTAL, -1), "v": drawn(12, 2)}
    case = Case([op("Reshape", "x", "w", out="a"), op("Dense", "a", "v", out="b"), op("Tanh", "x")], weights=weights)
    arrays = batch(case)
    made = net(case)
    np.testing.assert_allclose(made(*arrays), np.tanh(arrays[0]), rtol=1e-5)
    assert not is_cut(made, arrays)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 7])
def test_any_number_of_images(total: int) -> None:
    """Those that a piece is too large for, and one that no two pieces share, included."""
    case = CASES["convolution"]
    arrays = batch(case, total)
    made = net(case)
    np.testing.assert_allclose(made(*arrays), net(case, plain=True)(*arrays), rtol=1e-5, atol=1e-5)
    assert is_cut(made, arrays) == (total > SIZE)


def test_batches_share_a_program() -> None:
    """Whatever their size, the pieces are alike, and so are their bits; the profile counts all of them."""
    case = CASES["convolution"]
    made = net(case)
    x = drawn(9, *case.row)
    whole = np.asarray(made(x))
    np.testing.assert_array_equal(made(x[:7]), whole[:7])
    np.testing.assert_array_equal(made(x[:2]), whole[:2])
    assert len(compiled(made)._programs._idle) == 1
    products = {total: sum(row.products for row in made.profile({"x": x[:total]}, rounds=1)) for total in (2, 8)}
    assert products[8] == 4 * products[2] > 0


def test_many_sizes_of_batches_leave_the_program_of_a_piece() -> None:
    """However many there were, it is made once."""
    case = CASES["convolution"]
    made = net(case)
    made(drawn(2, *case.row))
    ((program,),) = compiled(made)._programs._idle.values()
    for total in range(3, 100):
        made(drawn(total, *case.row))
    ((kept,),) = compiled(made)._programs._idle.values()
    assert kept is program
    assert len(compiled(made)._programs._cut) <= 64


def test_a_net_in_pieces_goes_when_it_is_let_go_of() -> None:
    """Nothing that it keeps refers to it, so its workers end at once."""
    made = net(CASES["convolution"], threads=2)
    made(*batch(CASES["convolution"]))
    alive = weakref.ref(compiled(made)._programs)
    gc.disable()
    try:
        del made
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([("N", 3)], [True]),
        ([(None, 3)], [True]),
        ([(None, None)], [True]),
        ([("N", 3), ("N",), (2, 2), ()], [True, True, False, False]),
        ([("N", 3), ("M",)], [False, False]),
        ([(None, 3), (None,)], [False, False]),
        ([("N", "N")], [False]),
        ([("N", 3), (2, "N")], [False, False]),
        ([("N", 3), None], [False, False]),
        ([(4, 3)], [False]),
        ([], []),
    ],
)
def test_which_axis_is_the_batch(shapes: list[tuple[int | str | None, ...] | None], expected: list[bool]) -> None:
    """The first, where it is open and nothing else has its name; two without a name may be two batches."""
    values = [Value(f"x{number}", "float32", shape) for number, shape in enumerate(shapes)]
    assert micro_batches.batched(values) == expected
