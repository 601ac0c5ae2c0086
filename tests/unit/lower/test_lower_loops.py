"""Loops and TensorArrays written down by hand: what becomes of them, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import UnsupportedError
from exporter.inference.model import LOOP, LoopBody
from exporter.ir import edit
from exporter.ir.evaluate import evaluate as run
from exporter.sources.graph import Node, parse_ref
from exporter.targets.onnx_file import onnx_model
from tests.unit.lower.handmade import Array, const, lower, node

X = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
FLOAT = 1


def _assert_close(y: Array, expected: Array) -> None:
    """Equal but for the rounding of float32 inputs."""
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6, strict=False)
    assert y.shape == expected.shape


def _loop(
    states: Sequence[str], inner: Sequence[Node], condition: str, following: Sequence[str], *initial: str
) -> Node:
    body = LoopBody(tuple(map(parse_ref, states)), tuple(inner), parse_ref(condition), tuple(map(parse_ref, following)))
    return node("loop", LOOP, *initial, body=body)


def _constants(**values: object) -> list[Node]:
    return [const(name, value) for name, value in values.items()]


_COUNTING = [node("next", "AddV2", "i", "one"), node("going", "Less", "i", "limit")]
"""`i < limit`, `i + one`."""

_NUMBERS = _constants(zero=np.int32(0), one=np.int32(1), limit=np.int32(4), three=np.int32(3))


def _loops(model: ir.Model) -> list[ir.Node]:
    return [found for found in model.graph if found.op_type == "Loop"]


def _summed(
    dtype: int = FLOAT, shape: tuple[int | None, ...] | None = (3,), size: str = "limit", **array: object
) -> list[Node]:
    """The rows of x from a TensorArray, their running sum into another one."""
    return [
        *_NUMBERS,
        node("rows", "TensorArrayV3", "limit", dtype=FLOAT, element_shape=(3,)),
        const("all", np.arange(4, dtype=np.int32)),
        node("filled", "TensorArrayScatterV3", "rows", "all", "x", "rows:1", T=FLOAT),
        node("sums", "TensorArrayV3", size, dtype=dtype, element_shape=shape, **array),
        const("start", np.zeros(3, np.float32)),
        _loop(
            ["i", "total", "flow"],
            [
                *_COUNTING,
                node("row", "TensorArrayReadV3", "rows", "i", "filled", dtype=FLOAT),
                node("sum", "AddV2", "total", "row"),
                node("written", "TensorArrayWriteV3", "sums", "i", "sum", "flow", T=FLOAT),
            ],
            "going",
            ["next", "sum", "written"],
            "zero",
            "start",
            "sums:1",
        ),
    ]


def test_what_each_step_writes_is_stacked() -> None:
    """A TensorArray written at the number of the step is a scan, the counter the loop's own."""
    nodes = [*_summed(), node("y", "TensorArrayGatherV3", "sums", "all", "loop:2", dtype=FLOAT)]
    model = lower(nodes, {"x": X}, ["y"])
    (loop,) = _loops(model)
    body = loop.attributes["body"].as_graph()
    assert (len(loop.inputs), len(body.inputs), len(body.outputs)) == (3, 3, 3)
    assert "ScatterND" not in {inner.op_type for inner in body}
    _assert_close(run(model, {"x": X})["y"], np.cumsum(X, 0))


def test_what_is_not_written_is_zero() -> None:
    """A TensorArray that is longer than the loop."""
    nodes = [
        *_summed(size="size"),
        const("size", np.int32(6)),
        node("y", "TensorListStack", "loop:2", "shape", element_dtype=FLOAT),
        const("shape", np.array([3], np.int32)),
    ]
    nodes.insert(0, nodes.pop(-3))
    expected = np.concatenate([np.cumsum(X, 0), np.zeros((2, 3))])
    _assert_close(run(lower([nodes[-1], *nodes[:-1]], {"x": X}, ["y"]), {"x": X})["y"], expected)


def test_counters_and_sizes_after_the_loop() -> None:
    """What a counter has become, and how long a TensorArray is."""
    nodes = [*_summed(dynamic_size=True, size="zero"), node("size", "TensorArraySizeV3", "sums", "loop:2")]
    found = run(lower(nodes, {"x": X}, ["loop", "size"]), {"x": X})
    assert int(found["loop"]) == int(found["size"]) == 4


def test_elements_that_are_written_again() -> None:
    """Not at the number of the step: the TensorArray is handed on as a tensor."""
    nodes = [
        *_NUMBERS,
        node("list", "TensorListFromTensor", "x", "shape", element_dtype=FLOAT),
        const("shape", np.array([3], np.int32)),
        _loop(
            ["i", "held"],
            [
                *_COUNTING,
                node("before", "TensorListGetItem", "held", "zero", "shape", element_dtype=FLOAT),
                node("item", "TensorListGetItem", "held", "i", "shape", element_dtype=FLOAT),
                node("sum", "AddV2", "before", "item"),
                node("written", "TensorListSetItem", "held", "zero", "sum", element_dtype=FLOAT),
            ],
            "going",
            ["next", "written"],
            "zero",
            "list",
        ),
        node("y", "TensorListGetItem", "loop:1", "zero", "shape", element_dtype=FLOAT),
    ]
    nodes.insert(0, nodes.pop(5))
    _assert_close(run(lower(nodes, {"x": X}, ["y"]), {"x": X})["y"], X[0] + X.sum(0))


def test_a_condition_on_data() -> None:
    """It is computed before the loop and at the end of each step."""
    nodes = [
        const("two", np.float32(2)),
        const("large", np.float32(20)),
        const("axes", np.array([0, 1], np.int32)),
        _loop(
            ["y"],
            [
                node("doubled", "Mul", "y", "two"),
                node("sum", "Sum", "y", "axes", keep_dims=False),
                node("going", "Less", "sum", "large"),
            ],
            "going",
            ["doubled"],
            "x",
        ),
    ]
    model = lower(nodes, {"x": X}, ["loop"], shapes={"x": (None, 3)})
    for scale in (1, 10):
        expected = X * np.float32(scale)
        while expected.sum() < 20:
            expected = expected * 2
        _assert_close(run(model, {"x": X * np.float32(scale)})["loop"], expected)
    onnx_model(model)


def test_a_shape_that_grows() -> None:
    """A loop variable that gets longer: its size is unknown inside, and nothing of a first attempt is left."""
    nodes = [
        *_NUMBERS,
        _loop(
            ["i", "y"],
            [*_COUNTING, node("longer", "ConcatV2", "y", "x", "zero", N=2)],
            "going",
            ["next", "longer"],
            "zero",
            "x",
        ),
    ]
    model = lower(nodes, {"x": X}, ["loop:1"])
    _assert_close(run(model, {"x": X})["loop:1"], np.concatenate([X] * 5))
    (loop,) = _loops(model)
    (state,) = loop.attributes["body"].as_graph().inputs[2:]
    assert state.shape is not None
    assert not isinstance(state.shape[0], int)
    users = {user for value in (*model.graph.inputs, *model.graph.initializers.values()) for user, _ in value.uses()}
    assert all(user.graph in (model.graph, loop.attributes["body"].as_graph()) for user in users)


@pytest.mark.parametrize("steps", [0, 2])
def test_a_loop_that_may_make_no_step(steps: int) -> None:
    """The limit is fed: with 0 what the steps give is empty, in its shape."""
    nodes = [*_summed()[:-1], node("limits", "Identity", "n")]
    (loop,) = _summed()[-1:]
    body = loop.attribute("body")
    inner = [node("going", "Less", "i", "limits") if n.name == "going" else n for n in body.nodes]
    changed = LoopBody(body.states, tuple(inner), body.condition, body.following)
    nodes += [Node(loop.name, LOOP, loop.inputs, (), {"body": changed})]
    nodes += [node("y", "TensorListStack", "loop:2", "shape", element_dtype=FLOAT), const("shape", np.array([3]))]
    nodes.insert(0, nodes.pop())
    feeds: dict[str, Array] = {"x": X, "n": np.array(steps, np.int32)}
    expected = np.concatenate([np.cumsum(X, 0)[:steps], np.zeros((4 - steps, 3))])
    model = lower(nodes, feeds, ["y", "loop"])
    found = run(model, feeds)
    _assert_close(found["y"], expected)
    assert int(found["loop"]) == steps
    edit.check(model)


_UNWRITTEN = node("y", "TensorArrayReadV3", "sums", "zero", "sums:1", dtype=FLOAT)

_REFUSED = {
    "shape of the tensors in a TensorArray is not known": [*_summed(shape=None)[:-1], _UNWRITTEN],
    "a TensorArray of TensorFlow's element type 20": [*_summed(dtype=20), node("y", "Identity", "loop:1")],
    "it works on a TensorArray": [*_summed(), node("y", "Relu", "loop:2")],
    "it is a TensorArray": [*_summed(), node("y", "Identity", "loop:2")],
    "something else than a TensorArray op": [*_NUMBERS, node("y", "TensorArrayReadV3", "x", "zero", "x", dtype=FLOAT)],
    "it runs in every step of the loop": [node("y", "RandomUniform", runs_in_every_step_of="loop")],
}


@pytest.mark.parametrize("reason", _REFUSED)
def test_what_is_refused(reason: str) -> None:
    """One error that says what about the loop or the TensorArray can't be exported."""
    with pytest.raises(UnsupportedError, match=reason):
        lower(_REFUSED[reason], {"x": X}, ["y"])


def test_a_loop_and_other_ops_are_refused_together() -> None:
    """One error names what is in the loop, once, and what isn't."""
    body = [*_COUNTING, node("inside", "Unheard", "y")]
    nodes = [*_NUMBERS, _loop(["i", "y"], body, "going", ["next", "inside"], "zero", "x"), node("z", "Unknown", "x")]
    with pytest.raises(UnsupportedError, match=r"2 nodes have no translation: 1 Unheard \(inside\); 1 Unknown \(z\)"):
        lower(nodes, {"x": X}, ["loop:1", "z"])


def test_variables_that_a_loop_assigns_to() -> None:
    """The model would read what it has before the loop."""
    loop = _loop(["i"], _COUNTING, "going", ["next"], "zero")
    assigning = Node(loop.name, LOOP, loop.inputs, (), {**loop.attributes, "assigned": ("count",)})
    with pytest.raises(UnsupportedError, match="it assigns to count"):
        lower([*_NUMBERS, assigning], {"x": X}, ["loop"])
