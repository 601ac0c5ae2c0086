"""Carriers and borders that let a part pass: what goes, and beside it what must not."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Folded, Layer, Net, fold

EXACT = 1e-12
IMAGE = ("N", 8, 8, 4)

POSITIVE, NEGATIVE = np.arange(1.0, 7), np.array([1.0, 2, -3, 4, 5, 6])


def _behind(carrier: Layer, scale: object, shift: object = None) -> Folded:
    """A convolution, the carrier, a factor for each channel, and perhaps something added to each."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Mul", carrier(net, net.conv(x)), net.weight("scale", np.asarray(scale)))
        return y if shift is None else net.op("Add", y, net.weight("shift", np.asarray(shift)))

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    return folded


def _before(carrier: Layer, scale: object, shift: object = None) -> Folded:
    """The same before the carrier and a dense layer."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Mul", net.op("Tanh", x), net.weight("scale", np.asarray(scale)[:4]))
        y = y if shift is None else net.op("Add", y, net.weight("shift", np.asarray(shift)[:4]))
        return net.dense(carrier(net, y))

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    return folded


RISING: dict[str, Layer] = {
    "ReduceMax": lambda net, x: net.op("ReduceMax", x, net.ints(1, 2), keepdims=0),
    "ReduceMin": lambda net, x: net.op("ReduceMin", x, net.ints(1), keepdims=1),
    "MaxPool": lambda net, x: net.op("MaxPool", x, kernel_shape=[2, 2]),
}


@pytest.mark.parametrize("carrier", RISING)
@pytest.mark.parametrize("side", ["behind", "before"])
def test_a_maximum_lets_rising_maps_pass(carrier: str, side: str) -> None:
    """Scale and shift, if the scale isn't negative."""
    through = _behind if side == "behind" else _before
    assert not {"Mul", "Add", "BatchNormalization"} & set(through(RISING[carrier], POSITIVE, POSITIVE).ops)
    refused = through(RISING[carrier], NEGATIVE, POSITIVE)
    assert "the scale is negative in 1 of" in refused.reason
    assert {"Mul", "BatchNormalization"} & set(refused.ops)


@pytest.mark.parametrize("side", ["behind", "before"])
def test_a_sum_multiplies_the_shift(side: str) -> None:
    """The scale passes, of any sign; a shift stays."""
    carrier: Layer = lambda net, x: net.op("ReduceSum", x, net.ints(1, 2), keepdims=1)  # noqa: E731
    through = _behind if side == "behind" else _before
    assert not {"Mul", "Add"} & set(through(carrier, NEGATIVE).ops)
    shifted = through(carrier, NEGATIVE, POSITIVE)
    assert shifted.ops.count("Add") == 1
    assert "multiplies the shift by its number of elements" in shifted.reason


@pytest.mark.parametrize("op", ["Relu", "LeakyRelu", "PRelu"])
@pytest.mark.parametrize("side", ["behind", "before"])
def test_activations_with_a_corner_let_positive_scales_pass(op: str, side: str) -> None:
    """No negative ones, and no shift."""

    def carrier(net: Net, x: ir.Value) -> ir.Value:
        return net.op(op, x, net.weight("slope", 0.3)) if op == "PRelu" else net.op(op, x)

    through = _behind if side == "behind" else _before
    assert not {"Mul", "Add"} & set(through(carrier, POSITIVE).ops)
    assert "Mul" in through(carrier, NEGATIVE).ops
    assert "Add" in through(carrier, POSITIVE, POSITIVE).ops


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("group", [1, 2])
def test_transposed_convolutions(rank: int, group: int) -> None:
    """Of each rank, in groups or not, with the channels in their own order."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.normal("up/kernel", *[3] * rank, 6 // group, 4)
        y = net.b.op("ConvTranspose", x, kernel, None, strides=[2] * rank, pads=[1] * 2 * rank, group=group)
        return net.batch_norm(y)

    folded = fold(build, ("N", *[5] * rank, 4))
    assert folded.ops == ["ConvTranspose"]
    assert folded.error < EXACT


@pytest.mark.parametrize("even", [True, False])
def test_a_constant_as_large_as_the_image(even: bool) -> None:
    """The same at each pixel it is a scale per channel; one pixel that differs, and it stays."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        image = np.tile(np.arange(1.0, 7), (1, 8, 8, 1))
        image[0, 3, 3, 2] += 0 if even else 1e-9
        return net.op("Mul", net.conv(x, pad=1), net.weight("image", image))

    folded = fold(build, IMAGE)
    assert folded.ops == (["Conv"] if even else ["Conv", "Mul"])
    assert folded.error < EXACT


@pytest.mark.parametrize("bias", [False, True])
def test_an_attention_projection(bias: bool) -> None:
    """What is projected to heads takes scale and shift of the norm before it, and a factor behind it."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op(
            "Einsum", net.op("Mul", x, net.normal("gamma", 6)), net.normal("q", 6, 2, 3), equation="abc,cde->abde"
        )
        y = net.op("Add", y, net.normal("bias", 2, 3)) if bias else y
        return net.op("Mul", y, net.weight("factor", 0.5))

    folded = fold(build, ("N", 4, 6))
    assert folded.ops == ["Einsum", "Add"] if bias else ["Einsum"]
    assert folded.error < EXACT


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_norm_of_any_axis(axis: int) -> None:
    """Along the convolution's channels it goes in, channels first or last; along another axis it stays."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Transpose", net.conv(x, out=6), perm=[0, 3, 1, 2])
        sizes = [6 if a == axis else 1 for a in (1, 2, 3)]
        y = net.op("Add", net.op("Mul", y, net.normal("s", *sizes)), net.normal("t", *sizes))
        return net.op("Transpose", y, perm=[0, 2, 3, 1])

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv"] if axis == 1 else {"Mul", "Add"} <= set(folded.ops)
    assert folded.error < EXACT


def test_statistics_of_the_batch_are_not_folded() -> None:
    """A norm that is kept in training mode on purpose computes its mean and variance; gamma and beta stay behind it."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.conv(x)
        mean = net.op("ReduceMean", y, net.ints(0, 1, 2), keepdims=1)
        centred = net.op("Sub", y, mean)
        variance = net.op("ReduceMean", net.op("Mul", centred, centred), net.ints(0, 1, 2), keepdims=1)
        root = net.op("Sqrt", net.op("Add", variance, net.weight("epsilon", 1e-3)))
        return net.op("Add", net.op("Mul", net.op("Div", centred, root), net.normal("gamma", 6)), net.normal("beta", 6))

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    assert {"Sqrt", "Div", "Add"} <= set(folded.ops)
    assert not any(outcome.into == "conv" for outcome in folded.outcomes)


@pytest.mark.parametrize("size", [1, 4])
def test_channels_of_1(size: int) -> None:
    """One channel of input, of output, and a norm with one number; the same with four of each."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.batch_norm(net.conv(net.batch_norm(net.op("Relu", x), "first"), out=size))
        return net.dense(net.batch_norm(net.op("Tanh", y), "last"), out=1)

    folded = fold(build, ("N", 6, 6, size))
    assert folded.ops == ["Relu", "Conv", "Tanh", "Dense"]
    assert folded.error < EXACT
