"""Inputs are what the outputs need and the graph can't compute, with the types and shapes that the file knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.errors import UsageError
from exporter.inference.graph.queries import STEPWISE
from exporter.sources.graph import Ref
from tests.unit.inference.graphs import BOOL, FLOAT, INT32, STRING, Draft


def _only(g: Draft, output: Ref, **options: Any) -> tuple[str, int, tuple[int | None, ...] | None]:
    (entry,) = g.infer(output.node, **options).model.inputs
    return entry.name, entry.dtype, entry.shape


def test_a_placeholder() -> None:
    """Its own name, type and shape."""
    g = Draft()
    assert _only(g, g.dense("y", g.placeholder("x", (None, 4)))) == ("x", FLOAT, (None, 4))


def test_the_report_says_why() -> None:
    """Named, a placeholder, or what a queue gives out; that is said of each input."""
    g = Draft()
    queue = g.add("queue", "FIFOQueueV2", component_types=(FLOAT,), shapes=((4,),))
    batch = g.add("batch", "QueueDequeueManyV2", queue, g.const("n", 32), component_types=(FLOAT,))
    y = g.add("y", "AddV2", g.dense("l1", batch), g.dense("l2", g.placeholder("x")))
    found = g.infer(y.node)
    assert {d.subject: d.reason for d in found.findings.decisions if d.kind == "input"} == {
        "batch": "data that come out of QueueDequeueManyV2",
        "x": "a placeholder that the outputs need",
    }
    named = g.infer(y.node, inputs={"x": None, "batch": None})
    assert {d.reason for d in named.findings.decisions if d.kind == "input"} == {"named by the user"}


def test_a_placeholder_of_unknown_shape() -> None:
    """None for an unknown rank; a shape that the user gives takes its place."""
    g = Draft()
    y = g.dense("y", g.placeholder("x", None))
    assert _only(g, y) == ("x", FLOAT, None)
    assert _only(g, y, inputs={"x": (2, 4)}) == ("x", FLOAT, (2, 4))


def test_old_files_write_an_empty_shape() -> None:
    """`shape` () with a hint of rank 2 is a placeholder of unknown shape: the hint is taken."""
    g = Draft()
    x = g.add("x", "Placeholder", dtype=FLOAT, shape=(), _output_shapes=((None, 4),))
    assert _only(g, g.dense("y", x)) == ("x", FLOAT, (None, 4))


def test_the_order_is_the_graphs() -> None:
    """Inputs come in the order of their nodes in the file, not of their use."""
    g = Draft()
    first, second = g.placeholder("b"), g.placeholder("a")
    y = g.add("y", "AddV2", g.dense("l1", second), g.dense("l2", first))
    assert [entry.name for entry in g.infer(y.node).model.inputs] == ["b", "a"]


@pytest.mark.parametrize("op", ["QueueDequeueManyV2", "QueueDequeueUpToV2", "QueueDequeueMany"])
def test_a_queue(op: str) -> None:
    """What a queue hands out is an input of any batch size; the other component, the labels, is not."""
    g = Draft()
    queue = g.add("queue", "FIFOQueueV2", component_types=(FLOAT, INT32), shapes=((8, 4), ()))
    g.add("batch", op, queue, g.const("n", 32), component_types=(FLOAT, INT32))
    y = g.add("y", "MatMul", Ref("batch", 0), g.variable("kernel", (4, 2)))
    g.add("xent", "SparseSoftmaxCrossEntropyWithLogits", y, Ref("batch", 1))
    assert _only(g, y) == ("batch", FLOAT, (None, 8, 4))


def test_the_second_component_of_an_iterator() -> None:
    """Its port is part of its name, its type and shape are those of the port."""
    g = Draft()
    iterator = g.add("iterator", "IteratorV2")
    g.add("next", "IteratorGetNext", iterator, output_types=(INT32, FLOAT), output_shapes=((None,), (None, 4)))
    assert _only(g, g.dense("y", Ref("next", 1))) == ("next:1", FLOAT, (None, 4))


def test_a_decoder() -> None:
    """Decoded images are an input of bytes; file names and contents before it are not."""
    g = Draft()
    content = g.add("read", "ReadFile", g.placeholder("path", (), STRING))
    image = g.add("decode", "DecodeJpeg", content, channels=3)
    pixels = g.add("cast", "Cast", image, SrcT=4, DstT=FLOAT)
    assert _only(g, g.add("y", "Relu", pixels)) == ("decode", 4, (None, None, 3))


def test_a_parsed_record() -> None:
    """The dense results of a parser come after three for each sparse one."""
    g = Draft()
    records = g.placeholder("records", (None,), STRING)
    g.add(
        "parse",
        "ParseExample",
        records,
        sparse_types=(FLOAT,),
        Tdense=(INT32, FLOAT),
        dense_shapes=((), (4,)),
    )
    assert _only(g, g.dense("y", Ref("parse", 4))) == ("parse:4", FLOAT, (None, 4))


def test_a_default_is_taken() -> None:
    """A scalar with a constant default that nobody names takes it, and the report says so."""
    g = Draft()
    scale = g.add("scale", "PlaceholderWithDefault", g.const("two", 2.0), dtype=FLOAT, shape=())
    y = g.add("y", "Mul", g.dense("layer", g.placeholder("x")), scale)
    found = g.infer(y.node)
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert found.decided("value") == {"scale": "2"}


def test_a_named_default_is_an_input() -> None:
    """Named by the user, it is one."""
    g = Draft()
    scale = g.add("scale", "PlaceholderWithDefault", g.const("two", 2.0), dtype=FLOAT, shape=())
    y = g.add("y", "Mul", g.dense("layer", g.placeholder("x")), scale)
    found = g.infer(y.node, inputs={"scale": None, "x": None})
    assert sorted(entry.name for entry in found.model.inputs) == ["scale", "x"]
    assert found.decided("value") == {}


def test_a_default_of_many_values_is_an_input() -> None:
    """A tensor with a default is data that may be left out in training, not a setting."""
    g = Draft()
    x = g.add("x", "PlaceholderWithDefault", g.const("default", np.zeros((2, 4))), dtype=FLOAT, shape=(None, 4))
    assert _only(g, g.dense("y", x)) == ("x", FLOAT, (None, 4))


def test_a_default_of_many_values_beside_named_inputs_is_taken() -> None:
    """Where the user says which the inputs are, a tensor with a default that isn't among them keeps it."""
    g = Draft()
    more = g.add("more", "PlaceholderWithDefault", g.const("default", np.ones((1, 4))), dtype=FLOAT, shape=(None, 4))
    y = g.add("y", "Add", g.dense("layer", g.placeholder("x")), more)
    found = g.infer(y.node, inputs={"x": None})
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert list(found.decided("value")) == ["more"]


def test_a_cut_in_the_middle() -> None:
    """A tensor inside the graph that is named as input cuts off what made it."""
    g = Draft()
    hidden = g.add("relu", "Relu", g.dense("hidden", g.placeholder("x")), T=FLOAT)
    y = g.dense("y", hidden)
    found = g.infer(y.node, inputs={"relu:0": (None, 4)})
    assert [(entry.name, entry.shape) for entry in found.model.inputs] == [("relu", (None, 4))]
    assert list(found.model.variables) == ["y/kernel"]


def test_an_input_that_nothing_needs() -> None:
    """Naming a tensor in the middle that the outputs don't depend on is an error."""
    g = Draft()
    other = g.dense("other", g.placeholder("z"))
    y = g.dense("y", g.placeholder("x"))
    with pytest.raises(UsageError, match="don't need the input other"):
        g.infer(y.node, inputs={"x": None, other.node: None})


def test_a_placeholder_that_nothing_needs() -> None:
    """A placeholder that is named stays an input, where it was, with a warning; also a flag that was set."""
    g = Draft()
    g.dense("other", g.placeholder("z"))
    y = g.dense("y", g.placeholder("x"))
    found = g.infer(y.node, inputs={"x": None, "z": None})
    assert [entry.name for entry in found.model.inputs] == ["z", "x"]
    assert [warning for warning in found.findings.warnings if "z" in warning and "changes nothing" in warning]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("X", "Did you mean x?"),
        ("images/x", "Did you mean x?"),
        ("hiden/MatMul", "Did you mean hidden/MatMul?"),
        ("completely different", "`inspect` lists"),
    ],
)
@pytest.mark.parametrize("what", ["inputs", "outputs", "values"])
def test_a_wrong_name(what: str, name: str, hint: str) -> None:
    """Whatever it was given for, the error names the option and the nearest tensors."""
    g = Draft()
    g.dense("hidden", g.placeholder("x"))
    given: dict[str, dict[str, Any]] = {"inputs": {name: None}, "values": {name: "1"}}
    options: dict[str, Any] = {what: given[what]} if what in given else {}
    outputs = ["hidden/MatMul"] if what in given else [name]
    option = {"inputs": "--input", "outputs": "--output", "values": "--set"}[what]
    with pytest.raises(UsageError) as caught:
        g.infer(*outputs, **options)
    assert option in str(caught.value)
    assert hint in str(caught.value)


def test_the_name_of_a_scope_suggests_what_it_computes() -> None:
    """Scores, also where only their class leaves the scope; neither slots of optimizers nor penalties."""
    g = Draft()
    scores = g.dense("output", g.placeholder("x"))
    g.add("output/predictions", "ArgMax", scores, g.const("output/axis", 1))
    slot = g.variable("output/kernel/Adam", (4, 4))
    g.add("output/penalty", "Mul", g.add("output/l2", "L2Loss", Ref("output/kernel/read")), g.const("rate", 0.1))
    g.add("output/step", "ApplyAdam", Ref("output/kernel"), slot, scores)
    with pytest.raises(UsageError) as caught:
        g.infer("output")
    assert caught.value.hint == "Did you mean output/MatMul or output/predictions?"


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("0.5", 0.5), ("1e-3", 1e-3), ("true", 1), ("-2", -2), ("3.0", 3)]
)
def test_a_value_for_a_float(text: str, value: float) -> None:
    """--set takes JSON numbers; the constant has the placeholder's type."""
    g = Draft()
    y = g.add("y", "Mul", g.dense("layer", g.placeholder("x")), g.placeholder("scale", ()))
    found = g.infer(y.node, values={"scale": text})
    (constant,) = (node for node in found.model.graph if node.op == "Const")
    assert constant.attribute("value") == np.float32(value)
    assert constant.attribute("value").dtype == np.float32
    assert found.decided("value") == {"scale": f"{value:g}"}


@pytest.mark.parametrize(("dtype", "text"), [(FLOAT, "[1, 2]"), (INT32, "[3, 4]")])
def test_a_list_is_a_value_too(dtype: int, text: str) -> None:
    """Arrays are written as JSON lists."""
    g = Draft()
    y = g.add("y", "AddV2", g.dense("layer", g.placeholder("x")), g.placeholder("shift", (2,), dtype))
    found = g.infer(y.node, values={"shift": text})
    (constant,) = (node for node in found.model.graph if node.op == "Const")
    assert constant.attribute("value").tolist() == [float(part) for part in text.strip("[]").split(",")]


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (FLOAT, "maybe"),
        (FLOAT, ""),
        (FLOAT, "{}"),
        (FLOAT, "null"),
        (INT32, "0.5"),
        (FLOAT, "[1, [2]]"),
        (INT32, '"1"'),
        (INT32, "3000000000"),
        (INT32, "1e20"),
        (FLOAT, "1e39"),
        (BOOL, "2"),
        (BOOL, "0.5"),
    ],
)
def test_what_is_no_value(dtype: int, text: str) -> None:
    """Text that is no number of the type, or one that the type doesn't have, is an error with what was given."""
    g = Draft()
    y = g.add("y", "Mul", g.dense("layer", g.placeholder("x")), g.placeholder("scale", (), dtype))
    with pytest.raises(UsageError, match="--set scale="):
        g.infer(y.node, values={"scale": text})


@pytest.mark.parametrize("other", [None, "RandomUniform"])
def test_images_that_a_loop_decodes_become_a_batch(other: str | None) -> None:
    """The model begins with images inside the loop, one of the batch for each string; not if it draws numbers, too."""
    g = Draft()
    strings = g.placeholder("strings", (None,), STRING)
    held = g.add("listed", "TensorListFromTensor", strings, g.const("shape", np.zeros(0)), element_dtype=STRING)
    length = g.add("length", "TensorListLength", held)
    index = g.const("index", 0)
    content = g.add("item", "TensorListGetItem", held, index, g.const("none", np.zeros(0)), element_dtype=STRING)
    plain = g.add("plain", "DecodeBase64", content)
    image = g.add("decode", "DecodeJpeg", plain, channels=3, **{STEPWISE: "loop"})
    element = g.add("cast", "Cast", image, SrcT=4, DstT=FLOAT)
    if other is not None:
        element = g.add("noisy", "Add", element, g.add("noise", other, length, dtype=FLOAT, **{STEPWISE: "loop"}))
    empty = g.add("empty", "TensorListReserve", g.const("any", -1), length, element_dtype=FLOAT)
    written = g.add("write", "TensorListSetItem", empty, index, element, element_dtype=FLOAT)
    y = g.add("y", "TensorListStack", written, g.const("size", -1), element_dtype=FLOAT)
    found = g.infer(g.add("z", "Relu", y).node)
    (entry,) = found.model.inputs
    if other is not None:
        assert entry.name == "y"
        return
    assert (entry.name, entry.dtype, entry.shape) == ("decode", 4, (None, None, None, 3))
    assert "TensorListFromTensor" not in found.ops
    assert {"GatherV2", "Shape"} <= set(found.ops)


@pytest.mark.parametrize("inside", [True, False])
def test_what_a_loop_has_collected(inside: bool) -> None:
    """Where decoders run in the loop it begins with numbers; where a loop only works on data these are the input."""
    g = Draft()
    content = g.placeholder("content", (), STRING)
    attributes = {STEPWISE: "loop"} if inside else {}
    image = g.add("decode", "DecodeJpeg", content, channels=3, **attributes)
    element = g.add("cast", "Cast", image, SrcT=4, DstT=FLOAT)
    handle = g.add("array", "TensorArrayV3", g.const("size", 1), dtype=FLOAT)
    written = g.add("write", "TensorArrayWriteV3", handle, g.const("index", 0), element, Ref("array", 1), T=FLOAT)
    all_of_it = g.add("range", "Range", g.const("start", 0), g.const("limit", 1), g.const("delta", 1))
    collected = g.add("collected", "TensorArrayGatherV3", handle, all_of_it, written, dtype=FLOAT)
    found = g.infer(g.add("y", "Relu", collected).node)
    assert [entry.name for entry in found.model.inputs] == ["collected" if inside else "decode"]
