"""Reshapes that divide or join axes, in layouts in which the axes stand elsewhere."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from exporter.targets.layout.reshapes import matched_axes, regrouped, regrouping
from tests.unit.targets.networks import Net, export

N = ir.SymbolicDim("N")


def _features(net: Net, y: ir.Value) -> ir.Value:
    return net.op("ReduceMean", net.conv(y, 3), net.ints(1, 2), keepdims=0)


def test_group_normalisation_costs_nothing() -> None:
    """Channels divided into groups, normalised, and joined again between convolutions."""
    net = Net()
    y = net.op("Reshape", net.conv(net.input("x", "N", 6, 5, 3), 8), net.ints(-1, 6, 5, 2, 4))
    axes = net.ints(1, 2, 4)
    centred = net.op("Sub", y, net.op("ReduceMean", y, axes))
    variance = net.op("ReduceMean", net.op("Mul", centred, centred), axes)
    deviation = net.op("Sqrt", net.op("Add", variance, net.op("Abs", net.const(1))))
    y = net.op("Div", centred, deviation)
    y = net.op("Mul", net.op("Reshape", y, net.ints(-1, 6, 5, 8)), net.const(8))
    exported = export(net.finish(y=_features(net, y)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1


def test_groups_that_are_flattened() -> None:
    """Joined again only to be flattened: the joined axis, which nothing but the reshapes knows, has its place too."""
    net = Net()
    y = net.op("Reshape", net.conv(net.input("x", "N", 3, 2, 3), 4), net.ints(-1, 3, 2, 2, 2))
    y = net.op("Reshape", net.op("Mul", y, net.const(2, 1)), net.ints(-1, 3, 2, 4))
    exported = export(net.finish(y=net.dense(net.op("Reshape", y, net.ints(-1, 24)), 3)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_channel_shuffle_costs_one(times: int) -> None:
    """Groups and channels in them change places, and nothing else moves."""
    net = Net()
    y = net.conv(net.input("x", "N", 6, 5, 3), 8)
    for _ in range(times):
        y = net.op("Reshape", net.conv(y, 8, group=2), net.ints(-1, 6, 5, 2, 4))
        y = net.op("Reshape", net.op("Transpose", y, perm=[0, 1, 2, 4, 3]), net.ints(-1, 6, 5, 8))
    exported = export(net.finish(y=_features(net, y)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1 + times


def test_space_to_depth_by_hand() -> None:
    """Blocks of pixels moved into the channels by a Reshape, a Transpose and another Reshape."""
    net = Net()
    y = net.op("Reshape", net.conv(net.input("x", "N", 6, 4, 3), 4), net.ints(-1, 3, 2, 2, 2, 4))
    y = net.op("Reshape", net.op("Transpose", y, perm=[0, 1, 3, 2, 4, 5]), net.ints(-1, 3, 2, 16))
    exported = export(net.finish(y=_features(net, y)))
    exported.assert_same()
    assert exported.ops["Transpose"] <= 2


def test_patches_of_an_image_as_a_sequence() -> None:
    """As in a vision transformer: one Transpose between the convolution and what is bound to sequences."""
    net = Net()
    y = net.op("Reshape", net.conv(net.input("x", "N", 4, 4, 3), 6), net.ints(-1, 16, 6))
    y = net.op("LayerNormalization", net.op("Add", y, net.const(1, 16, 6)), net.const(6), net.const(6))
    exported = export(net.finish(y=net.dense(y, 2)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 2


def test_attention_keeps_its_transposes() -> None:
    """Heads divided and moved: exactly the Transposes that the model has, and dense layers stay products."""
    net = Net()
    x = net.op("LayerNormalization", net.input("x", "N", 5, 8), net.const(8), net.const(8))

    def heads(perm: list[int]) -> ir.Value:
        return net.op("Transpose", net.op("Reshape", net.dense(x, 8), net.ints(-1, 5, 2, 4)), perm=perm)

    scores = net.op("Softmax", net.op("MatMul", heads([0, 2, 1, 3]), heads([0, 2, 3, 1])))
    y = net.op("MatMul", scores, heads([0, 2, 1, 3]))
    y = net.op("Reshape", net.op("Transpose", y, perm=[0, 2, 1, 3]), net.ints(-1, 5, 8))
    exported = export(net.finish(y=net.op("Add", x, net.dense(y, 8))))
    exported.assert_same()
    assert exported.ops["Transpose"] == 4
    assert exported.ops["Conv"] == 0


def test_attention_over_pixels() -> None:
    """A non-local block: three products of pixels among convolutions."""
    net = Net()
    x = net.conv(net.input("x", "N", 4, 4, 3), 6)
    query, key, value = (net.op("Reshape", net.conv(x, 4, k=1), net.ints(-1, 16, 4)) for _ in range(3))
    scores = net.op("Softmax", net.op("MatMul", query, net.op("Transpose", key, perm=[0, 2, 1])))
    y = net.op("Reshape", net.op("MatMul", scores, value), net.ints(-1, 4, 4, 4))
    exported = export(net.finish(y=_features(net, net.op("Add", x, net.conv(y, 6, k=1)))))
    exported.assert_same()
    assert exported.ops["Transpose"] == 4  # the image, query, value, and back; the key is as it has to be


def test_a_flattened_image_that_is_divided_again() -> None:
    """Only some of the axes are joined, and divided into others."""
    net = Net()
    y = net.op("Reshape", net.conv(net.input("x", "N", 4, 6, 3), 4), net.ints(-1, 24, 4))
    y = net.op("Reshape", net.op("Relu", y), net.ints(-1, 3, 8, 4))
    exported = export(net.finish(y=_features(net, y)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1


def test_axes_that_stay() -> None:
    """Pairs that are left when axes of size 1 come or go."""
    assert matched_axes((N, 1, 1, 5), (N, 5)) == [(0, 0), (3, 1)]
    assert matched_axes((N, 5), (N, 1, 1, 5)) == [(0, 0), (1, 3)]
    assert matched_axes((1, 1, 5), (1, 5)) == [(0, 0), (2, 1)]
    assert matched_axes((ir.SymbolicDim(None), 1, 5), (ir.SymbolicDim(None), 5)) == [(0, 0), (2, 1)]
    assert matched_axes((N, 2, 3), (N, 3, 2)) is None
    assert (
        matched_axes((ir.SymbolicDim(None), ir.SymbolicDim(None), 1), (ir.SymbolicDim(None), ir.SymbolicDim(None)))
        is None
    )


def test_axes_that_are_divided_or_joined() -> None:
    """What has the same elements; nothing where more than that happens, or sizes aren't known."""
    assert regrouping((N, 4, 5, 6), (N, 20, 2, 3)) == [([0], [0]), ([1, 2], [1]), ([3], [2, 3])]
    assert regrouping((N, 6, 4), (N, 8, 3)) is None
    assert regrouping((N, 6, N), (N, 2, 3, N)) == [([0], [0]), ([1], [1, 2]), ([2], [3])]
    assert regrouping((N, 6), (N, ir.SymbolicDim("M"), 2)) is None
    assert regrouping((N, 6), (N,)) is None
    assert regrouping((N, 0, 4), (N, 0)) is None


def test_divided_axes_stay_together() -> None:
    """In every order of the output there is one near it in which they are, and an order of the input for that."""
    parts = regrouping((N, 4, 5, 6), (N, 4, 5, 2, 3))
    assert parts is not None
    assert regrouped(parts, (0, 3, 4, 1, 2)) == ((0, 3, 1, 2), (0, 3, 4, 1, 2))
    assert regrouped(parts, (0, 3, 1, 4, 2)) == ((0, 3, 1, 2), (0, 3, 4, 1, 2))
    assert regrouped(parts, (0, 4, 1, 2, 3)) == ((0, 3, 1, 2), (0, 3, 4, 1, 2))
