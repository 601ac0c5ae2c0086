"""A batch that a graph was written for is opened where the rest of the graph runs at others, and kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest

from exporter.inference.model import InferenceModel, Input, Output
from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.lower.batches import lower_batched
from exporter.lower.tf.batch import Batch
from exporter.report.decisions import Reason
from exporter.sources.graph import Graph, Node, Ref

_N = ir.SymbolicDim("N")


@pytest.mark.parametrize(
    ("dims", "wanted", "opened"),
    [
        ((_N, 7, 12), [28, 12], [-1, 12]),
        ((_N * 7, 12), [4, 7, 12], [-1, 7, 12]),
        ((_N, 12), [4, 3, 2, 2], [-1, 3, 2, 2]),
        ((2, _N, 3), [8, 3], [-1, 3]),
        ((_N * 2, 3), [2, 4, 3], [2, -1, 3]),
        ((_N, ir.SymbolicDim("t"), 3), [4, -1, 1, 3], [0, -1, 1, 3]),
        ((_N, 12), [4, -1, 2], [0, -1, 2]),
        ((_N, 7), [-1, 7], None),
        ((_N * 4, 3), [4, 4, 3], None),
        ((_N, 7), [2, 14], None),
        ((_N, 7), [4, 6], None),
        ((4, 7), [28], None),
        ((ir.SymbolicDim("t"), 7), [4, 7], None),
    ],
)
def test_the_axis_that_carries_the_batch(
    dims: Sequence[int | ir.SymbolicDim], wanted: list[int], opened: list[int] | None
) -> None:
    """It is left open if it is certain; a square, or a batch that is cut, isn't touched."""
    assert Batch(4).opened("node", tuple(dims), wanted) == opened


def test_a_batch_of_one_is_the_first_axis() -> None:
    """Any axis of size 1 could hold it: the first does if it did before."""
    assert Batch(1).opened("node", (_N, 6), [1, 3, 2]) == [-1, 3, 2]
    assert Batch(1).opened("node", (3, _N, 2), [1, 3, 2]) is None


def test_the_zeros_that_a_loop_begins_with() -> None:
    """States that are the same for each sample, and what is collected of them, get the batch of the input."""
    builder = Builder("m")
    builder.input("x", ir.DataType.FLOAT, ("N", 3))
    zeros = builder.constant(np.zeros((4, 5), np.float32))
    assert builder.shape(Batch(4, "x").state(builder, zeros)) == (_N, 5)
    assert Batch(4, "x").element(builder, (4, 5)) == (_N, 5)


@pytest.mark.parametrize("shape", [(4,), (3, 5), (5, 4)])
def test_what_is_no_state_of_each_sample(shape: tuple[int, ...]) -> None:
    """Counters, tensors without the batch in front, and rows that differ stay what they are."""
    builder = Builder("m")
    builder.input("x", ir.DataType.FLOAT, ("N", 3))
    batch = Batch(4, "x")
    kept = builder.constant(np.zeros(shape, np.float32))
    rows = builder.constant(np.arange(20, dtype=np.float32).reshape(4, 5))
    assert batch.state(builder, kept) is kept and batch.state(builder, rows) is rows
    assert batch.element(builder, shape) == shape
    zeros = builder.constant(np.zeros((4, 5), np.float32))
    assert Batch(4).state(builder, zeros) is zeros and Batch(4).element(builder, (4, 5)) == (4, 5)


def _model(nodes: Sequence[Node], width: int = 6) -> InferenceModel:
    """A function of `x` [N, width], written for a batch of 4, whose last node is the output."""
    graph = Graph({node.name: node for node in nodes})
    ref = Ref(nodes[-1].name)
    return InferenceModel(graph, (Input("x", Ref("x"), 1, (None, width), 4),), (Output("y", ref),), {}, {})


def _const(name: str, value: np.ndarray) -> Node:
    number = {"f": 1, "i": 3}[value.dtype.kind]
    return Node(name, "Const", (), (), {"value": value, "dtype": number})


def _op(name: str, op: str, *inputs: str, **attributes: object) -> Node:
    return Node(name, op, tuple(Ref(entry) for entry in inputs), (), attributes)


def test_what_is_the_same_for_each_sample_is_held_once() -> None:
    """A constant with the batch in it, of ones say, is narrowed to one sample, and the numbers stay."""
    halves = np.repeat(np.arange(6, dtype=np.float32)[None], 4, 0)
    model = _model([_const("c", halves), _op("y", "Mul", "x", "c", T=1)])
    lowered, held = lower_batched(model, name="m")
    assert held is None
    x = np.ones((3, 6))
    np.testing.assert_array_equal(evaluate(lowered, {"x": x})["y"], halves[:3])


@pytest.mark.parametrize("time_first", [False, True])
def test_as_many_steps_as_samples(time_first: bool) -> None:
    """Rows of all steps of all samples go back to where they came from, though a step could be a sample by its size."""
    shape = _const("shape", np.array([4, 4, 3], np.int32)), _const("rows", np.array([16, 3], np.int32))
    turned = _const("turned", np.array([1, 0, 2] if time_first else [0, 1, 2], np.int32))
    kernel = _const("kernel", np.arange(6, dtype=np.float32).reshape(3, 2) - 2)
    back = _const("back", np.array([4, 4, 2], np.int32))
    model = _model(
        [
            *shape,
            turned,
            kernel,
            back,
            _op("split", "Reshape", "x", "shape", T=1, Tshape=3),
            _op("ordered", "Transpose", "split", "turned", T=1, Tperm=3),
            _op("all", "Reshape", "ordered", "rows", T=1, Tshape=3),
            _op("product", "MatMul", "all", "kernel", T=1, transpose_a=False, transpose_b=False),
            _op("active", "Relu", "product", T=1),
            _op("series", "Reshape", "active", "back", T=1, Tshape=3),
            _op("y", "Transpose", "series", "turned", T=1, Tperm=3),
        ],
        width=12,
    )
    lowered, held = lower_batched(model, name="m")
    assert held is None
    x = np.random.default_rng(0).standard_normal((5, 12)).astype(np.float32)
    right = np.maximum(x.reshape(5, 4, 3) @ kernel.attributes["value"], 0)
    np.testing.assert_allclose(evaluate(lowered, {"x": x})["y"], right, rtol=1e-6)
    assert not np.allclose(evaluate(lowered, {"x": x[::-1]})["y"], right)


@pytest.mark.parametrize(
    "nodes",
    [
        [_const("c", np.arange(24, dtype=np.float32).reshape(4, 6)), _op("y", "Add", "x", "c", T=1)],
        [
            _const("c", np.zeros((4, 2), np.float32)),
            _const("axis", np.array(1, np.int32)),
            _op("y", "ConcatV2", "x", "c", "axis", N=2, T=1),
        ],
    ],
    ids=["each sample its own", "concatenated"],
)
def test_a_batch_that_something_holds_is_kept(nodes: list[Node]) -> None:
    """What takes one size alone is named, and the input has that size."""
    lowered, held = lower_batched(_model(nodes), name="m")
    assert held == (Reason.TAKES_NO_OTHER_BATCH, {"node": "node y"})
    assert lowered.graph.inputs[0].shape == [4, 6]


def test_an_output_that_is_cut_from_the_batch_keeps_it() -> None:
    """The first four samples, whatever the batch is, are no result for each sample of it."""
    begin, size = _const("begin", np.zeros(2, np.int32)), _const("size", np.array([4, 6], np.int32))
    lowered, held = lower_batched(
        _model([begin, size, _op("y", "Slice", "x", "begin", "size", T=1, Index=3)]), name="m"
    )
    assert held == (Reason.OUTPUT_OF_BATCH, {"output": "y"})
    assert lowered.graph.inputs[0].shape == [4, 6]
