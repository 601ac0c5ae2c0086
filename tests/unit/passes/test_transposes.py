"""A network written channels first becomes channels last, with one Transpose at each border."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Build, Folded, Layer, Net, fold

EXACT = 1e-12
IMAGE = ("N", 3, 8, 8)


def last(net: Net, x: ir.Value) -> ir.Value:
    """Channels last."""
    return net.op("Transpose", x, perm=[0, 2, 3, 1])


def first(net: Net, x: ir.Value) -> ir.Value:
    """Channels first."""
    return net.op("Transpose", x, perm=[0, 3, 1, 2])


def conv(net: Net, x: ir.Value, name: str, out: int = 4) -> ir.Value:
    """A convolution of a tensor that is channels first."""
    return first(net, net.conv(last(net, x), name, out=out, pad=1))


def transposes(folded: Folded) -> int:
    """How many are left."""
    return folded.ops.count("Transpose")


BETWEEN: dict[str, Layer] = {
    "Relu": lambda net, x: net.op("Relu", x),
    "Clip": lambda net, x: net.op("Clip", x, net.weight("low", 0.0), net.weight("high", 6.0)),
    "bias": lambda net, x: net.op("Relu", net.op("Add", x, net.normal("bias", 4, 1, 1))),
    "PRelu": lambda net, x: net.op("PRelu", x, net.normal("slope", 4, 1, 1)),
    "Pad": lambda net, x: net.op("Pad", x, net.ints(0, 0, 1, 2, 0, 0, 3, 4)),
    "Concat": lambda net, x: net.op("Concat", x, net.op("Relu", x), axis=1),
    "Slice": lambda net, x: net.op("Slice", x, net.ints(1, 0), net.ints(4, 6), net.ints(1, 3)),
    "Softmax": lambda net, x: net.op("Softmax", x, axis=1),
    "ReduceMax": lambda net, x: net.op("ReduceMax", x, net.ints(1), keepdims=1),
    "Tile": lambda net, x: net.op("Tile", x, net.ints(1, 2, 1, 3)),
    "squeeze and excite": lambda net, x: net.op(
        "Mul", x, net.op("Sigmoid", conv(net, net.op("ReduceMean", x, net.ints(2, 3), keepdims=1), "se"))
    ),
    "residual": lambda net, x: net.op("Add", x, conv(net, net.op("Relu", x), "inner")),
    "pooling": lambda net, x: first(net, net.op("MaxPool", last(net, x), kernel_shape=[2, 2])),
    "batch norm": lambda net, x: first(net, net.batch_norm(last(net, net.op("Relu", x)))),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_nothing_is_transposed_inside(between: str) -> None:
    """One Transpose at the input, one at the output."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return conv(net, BETWEEN[between](net, conv(net, x, "a")), "b")

    folded = fold(build, IMAGE)
    assert transposes(folded) == 2
    assert folded.ops[0] == "Transpose"
    assert folded.ops[-1] == "Transpose"
    assert folded.error < EXACT


def _flattened(net: Net, x: ir.Value) -> ir.Value:
    return net.dense(net.op("Reshape", conv(net, x, "a"), net.ints(-1, 256)))


HEADS: dict[str, Build] = {
    "mean": lambda net, x: net.dense(net.op("ReduceMean", conv(net, x, "a"), net.ints(2, 3), keepdims=0)),
    "mean and squeeze": lambda net, x: net.dense(
        net.op("Squeeze", net.op("ReduceMean", conv(net, x, "a"), net.ints(2, 3), keepdims=1), net.ints(2, 3))
    ),
    "mean and reshape": lambda net, x: net.dense(
        net.op("Reshape", net.op("ReduceMean", conv(net, x, "a"), net.ints(2, 3), keepdims=1), net.ints(-1, 4))
    ),
    "flatten": _flattened,
    "flatten with batch norm": lambda net, x: net.batch_norm(_flattened(net, x)),
    "split": lambda net, x: net.dense(
        net.op(
            "ReduceMax",
            net.b.op_n("Split", 2, conv(net, x, "a"), net.ints(1, 3), axis=1)[1],
            net.ints(2, 3),
            keepdims=0,
        )
    ),
}


@pytest.mark.parametrize("head", HEADS)
def test_no_transpose_before_a_dense_head(head: str) -> None:
    """Means drop the axes that were moved; the rows of a dense kernel are put in order."""
    folded = fold(HEADS[head], IMAGE)
    assert transposes(folded) == 1
    assert folded.ops[0] == "Transpose"
    assert folded.error < EXACT


def test_the_transpose_rises_to_the_input() -> None:
    """What comes before the first convolution is done channels last too, so that a Pad can join it."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Pad", net.op("Mul", x, net.weight("half", 0.5)), net.ints(0, 0, 1, 1, 0, 0, 1, 1))
        return conv(net, y, "a")

    folded = fold(build, IMAGE)
    assert folded.ops == ["Transpose", "Conv", "Transpose"]
    assert list(folded.model.graph[1].attributes["pads"].as_ints()) == [2, 2, 2, 2]
    assert folded.error < EXACT


def test_constants_turn_with_the_transpose_that_rises() -> None:
    """Means per channel, [3, 1, 1], become [1, 1, 3]; also where the constant comes first."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return conv(net, net.op("Sub", net.normal("means", 3, 1, 1), net.op("Abs", x)), "a")

    folded = fold(build, IMAGE)
    assert folded.ops == ["Transpose", "Abs", "Add", "Conv", "Transpose"]
    assert folded.error < EXACT


def test_a_batch_norm_of_another_axis_keeps_its_transposes() -> None:
    """They don't rise past the bias of the convolution before it."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Add", net.conv(last(net, x)), net.normal("bias", 6))
        return first(net, net.batch_norm(last(net, y)))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Transpose", "Conv", "Transpose", "BatchNormalization", "Transpose"]
    assert "varies along axis 1" in (folded.outcomes[-1].reason or "")
    assert folded.error < EXACT


def test_a_flatten_that_others_read_keeps_its_order() -> None:
    """Only dense kernels can be reordered."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        y = net.op("Reshape", conv(net, x, "a"), net.ints(-1, 256))
        return {"flat": y, "y": net.dense(y)}

    folded = fold(build, IMAGE)
    assert transposes(folded) == 2
    assert folded.error < EXACT


def test_other_transposes_stay_where_they_are() -> None:
    """Attention's, for one."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.op("Relu", net.op("Transpose", x, perm=[0, 2, 1, 3]))

    assert fold(build, IMAGE).ops == ["Transpose", "Relu"]


def test_sequences_too() -> None:
    """[N, C, T] networks, whose Transpose is its own inverse."""

    def wrapped(net: Net, x: ir.Value, name: str) -> ir.Value:
        y = net.conv(net.op("Transpose", x, perm=[0, 2, 1]), name, out=4)
        return net.op("Transpose", y, perm=[0, 2, 1])

    folded = fold(lambda net, x: wrapped(net, net.op("Relu", wrapped(net, x, "a")), "b"), ("N", 3, 9))
    assert folded.ops == ["Transpose", "Conv", "Relu", "Conv", "Transpose"]
    assert folded.error < EXACT


def test_output_names_survive() -> None:
    """Whatever is moved, an output keeps its name, also one in the middle."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        y = net.op("Relu", conv(net, x, "a"))
        return {"middle": y, "end": conv(net, y, "b"), "input": x}

    folded = fold(build, IMAGE)
    assert [value.name for value in folded.model.graph.outputs] == ["middle", "end", "input"]
    assert folded.error < EXACT
    assert not np.isnan(folded.error)
