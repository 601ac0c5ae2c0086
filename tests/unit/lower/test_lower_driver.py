"""What the driver promises: names, lazily read weights, one error for all that has no translation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.errors import CorruptError, MissingError, UnsupportedError
from exporter.lower.tf import OPS
from exporter.lower.tf.context import merge
from exporter.sources.model import Variable
from tests.unit.lower.handmade import const, lower, node
from tests.unit.lower.oracle import assert_close, run

X = np.arange(24, dtype=np.float32).reshape(1, 4, 6, 1)
KERNEL = np.ones((3, 3, 1, 2), np.float32)


def _variable(name: str, key: str, array: Any, reads: list[str] | None = None) -> Variable:
    def read() -> Any:
        if reads is not None:
            reads.append(name)
        return array

    return Variable(name, key, "float", array.shape, read)


def test_names() -> None:
    """Inputs and outputs have the model's names, results their node's, weights their checkpoint key."""
    nodes = [
        node("w", "VariableV2"),
        node("w/read", "Identity", "w"),
        node("conv", "Conv2D", "x", "w/read", strides=[1, 1, 1, 1], padding=b"SAME"),
        node("relu", "Relu", "conv"),
        node("y", "Identity", "relu"),
    ]
    model = lower(nodes, {"x": X}, ["y"], variables=[_variable("w", "scope/weights", KERNEL)])
    conv, relu = model.graph
    assert [value.name for value in (*model.graph.inputs, *model.graph.outputs)] == ["x", "y"]
    assert conv.outputs[0].name == "conv"
    assert [value and value.name for value in conv.inputs] == ["x", "scope/weights"]
    assert conv.metadata_props["source"] == "conv"
    assert relu.outputs[0].name == "y"


def test_weights_are_not_read() -> None:
    """Lowering reads no weight, also one that is reshaped on its way; computing reads each once."""
    reads: list[str] = []
    nodes = [
        node("w", "VarHandleOp"),
        node("read", "ReadVariableOp", "w"),
        node("y", "DepthwiseConv2dNative", "x", "read", strides=[1, 1, 1, 1], padding=b"VALID"),
    ]
    model = lower(nodes, {"x": X}, ["y"], variables=[_variable("w", "w", KERNEL, reads)])
    assert reads == []
    run(model, {"x": X})
    assert reads == ["w"]


def test_unknown_sizes_have_names() -> None:
    """The first unknown size is N; others are named after the input, in letters that arithmetic can be done with."""
    model = lower([node("y", "Relu", "a/b.c")], {"a/b.c": X}, ["y"], shapes={"a/b.c": (None, None, 6, 1)})
    assert [str(size) for size in model.graph.inputs[0].shape or ()] == ["N", "a_b_c_dim1", "6", "1"]


def test_an_input_may_have_any_rank() -> None:
    """An input of unknown rank gets the rank that an op implies, and stays unknown where none does."""
    kernel = const("w", KERNEL)
    convolution = node("y", "Conv2D", "x", "w", strides=[1, 1, 1, 1], padding=b"SAME")
    model = lower([kernel, convolution], {"x": X}, ["y"], shapes={"x": None})
    assert len(model.graph.inputs[0].shape or ()) == 4
    model = lower([node("y", "Relu", "x")], {"x": X}, ["y"], shapes={"x": None})
    assert model.graph.inputs[0].shape is None


def test_everything_unsupported_is_in_one_error() -> None:
    """Unknown ops and unknown attributes are collected, with how many, the first names and the reason."""
    nodes = [
        *(node(f"crop{i}", "EncodeJpeg", "x") for i in range(5)),
        node("pool", "MaxPool", "x", ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding=b"CIRCULAR"),
        node("after", "FancyOp", "crop0"),
        node("skipped", "Relu", "crop1"),
    ]
    with pytest.raises(UnsupportedError) as caught:
        lower(nodes, {"x": X}, ["skipped"])
    text = str(caught.value)
    assert "7 nodes" in text
    assert "5 EncodeJpeg (crop0, crop1, crop2, and 2 more)" in text
    assert "1 MaxPool (pool): padding is 'CIRCULAR'" in text
    assert "FancyOp (after)" in text
    assert "skipped" not in text
    assert "--output" in text


REFUSED = [
    ("layout", node("y", "Conv2D", "x", "w", strides=[1] * 4, padding=b"SAME", data_format=b"NCHW_VECT_C")),
    ("padding", node("y", "AvgPool", "x", strides=[1] * 4, ksize=[1] * 4, padding=b"FULL")),
    ("batch stride", node("y", "Conv2D", "x", "w", strides=[2, 1, 1, 1], padding=b"SAME")),
    ("window over channels", node("y", "MaxPool", "x", strides=[1] * 4, ksize=[1, 1, 1, 2], padding=b"VALID")),
    ("strides of another rank", node("y", "Conv2D", "x", "w", strides=[1, 1], padding=b"SAME")),
    ("missing strides", node("y", "Conv2D", "x", "w", padding=b"SAME")),
    ("rank", node("y", "Conv3D", "x", "w", strides=[1] * 5, padding=b"SAME")),
    ("padded batch", node("y", "Conv2D", "x", "w", strides=[1] * 4, padding=b"EXPLICIT", explicit_paddings=[1] * 8)),
    ("bias layout", node("y", "BiasAdd", "x", "w", data_format=b"CHWN")),
    ("data-dependent axis", node("y", "Reverse", "x", "x")),
    ("element type", node("y", "Cast", "x", DstT=7)),
    ("truncating cast", node("y", "Cast", "x", DstT=19, Truncate=True)),
    ("mirror mode", node("y", "MirrorPad", "x", "p", mode=b"CIRCULAR")),
    ("two grids", node("y", "ResizeBilinear", "x", "s", align_corners=True, half_pixel_centers=True)),
    ("two ellipses", node("y", "StridedSlice", "x", "s", "s", "s", ellipsis_mask=3)),
]


@pytest.mark.parametrize(("what", "refused"), REFUSED, ids=[what for what, _ in REFUSED])
def test_refusals(what: str, refused: Any) -> None:
    """An attribute that says something unknown is refused, never guessed."""
    nodes = [
        const("w", KERNEL),
        const("s", np.array([3, 3], np.int32)),
        const("p", np.zeros((4, 2), np.int32)),
        refused,
    ]
    with pytest.raises(UnsupportedError, match="no translation"):
        lower(nodes, {"x": X}, ["y"])


def test_tensors_that_dont_go_together() -> None:
    """Shapes that contradict each other are an error of the file that names the node."""
    nodes = [const("w", np.ones((3, 4), np.float32)), node("y", "MatMul", "x", "w")]
    with pytest.raises(CorruptError, match="node y"):
        lower(nodes, {"x": np.ones((2, 5), np.float32)}, ["y"])


def test_an_input_that_is_nowhere() -> None:
    """A reference to no node is an error of the file."""
    with pytest.raises(CorruptError, match="gone"):
        lower([node("y", "Relu", "gone")], {"x": X}, ["y"])


def test_a_variable_without_value() -> None:
    """A variable that the source has no value for is named."""
    with pytest.raises(MissingError, match="lost"):
        lower([node("lost", "VariableV2"), node("y", "Identity", "lost")], {"x": X}, ["y"])


def test_bytes_that_are_no_text_are_refused() -> None:
    """ONNX's strings are UTF-8; a constant of other bytes has no translation."""
    with pytest.raises(UnsupportedError, match=r"Const \(c\): a string that isn't UTF-8"):
        lower([const("c", np.array([b"\xff"], object)), node("y", "Identity", "c")], {"x": X}, ["y"])


def test_an_output_may_be_an_input_or_a_constant() -> None:
    """Outputs that nothing computes are passed through under their own names."""
    model = lower([const("c", np.float32(3)), node("y", "Identity", "x")], {"x": X}, ["y", "c"])
    results = run(model, {"x": X})
    assert_close(results["y"], X, 0)
    assert results["c"] == 3


def test_lowering_is_deterministic() -> None:
    """The same model makes the same nodes with the same names."""
    nodes = [const("w", KERNEL), node("y", "Conv2D", "x", "w", strides=[1] * 4, padding=b"SAME")]
    first, second = (lower(nodes, {"x": X}, ["y"]) for _ in range(2))
    assert str(first) == str(second)


def test_two_functions_for_one_op_are_refused() -> None:
    """The tables of op functions may not overlap."""
    with pytest.raises(ValueError, match="Relu"):
        merge(dict(OPS), {"Relu": OPS["Relu"]})


def test_a_wrong_number_is_seen() -> None:
    """The comparison with TensorFlow fails for an error of a few float32 epsilons, a shape, and a dtype."""
    good = np.linspace(-1, 1, 9, dtype=np.float32)
    assert_close(good, good, 4)
    for bad in (good + np.float32(1e-6), good[None], good.astype(np.float64), np.where(good == 1, np.nan, good)):
        with pytest.raises(AssertionError):
            assert_close(bad, good, 4)
