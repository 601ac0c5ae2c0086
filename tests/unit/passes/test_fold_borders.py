"""The borders of exactness, from both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import ValueInputError
from tests.unit.passes.nets import Net, fold

EXACT = 1e-12
IMAGE = ("N", 8, 8, 4)


@pytest.mark.parametrize("pad", [0, 1])
def test_a_shift_does_not_go_forward_into_zero_padding(pad: int) -> None:
    """Without padding all goes; with it the scale goes, and the shift stays as one Add before the convolution."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.conv(net.batch_norm(net.op("Relu", x)), pad=pad)

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    if pad:
        assert folded.ops == ["Relu", "Add", "Conv"]
        assert folded.outcome.how == "scale forward into kernel; shift kept"
        assert "pads with zeros: the shift would be missing at the border" in folded.reason
    else:
        assert folded.ops == ["Relu", "Conv"]
        assert folded.outcome.how == "scale and shift forward into kernel and bias"


@pytest.mark.parametrize("k", [1, 3])
def test_padding_of_unknown_size_counts_as_padding(k: int) -> None:
    """SAME_UPPER with a kernel of one tap never pads; with three it may."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.normal("kernel", k, k, 4, 6)
        return net.op("Conv", net.batch_norm(net.op("Relu", x)), kernel, None, strides=[2, 2], auto_pad="SAME_UPPER")

    folded = fold(build, ("N", None, None, 4))
    assert (folded.outcome.reason is None) == (k == 1)
    assert folded.error < EXACT


@pytest.mark.parametrize("beta", ["per channel", "uniform", "none"])
def test_a_shift_does_not_go_back_through_zero_padding(beta: str) -> None:
    """A scale does; so does a shift that is the same in all channels: the padding then is that number."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Pad", net.conv(x), net.ints(0, 1, 1, 0, 0, 1, 1, 0))
        if beta == "uniform":
            return net.op("Add", net.op("Mul", y, net.weight("s", 3.0)), net.weight("t", 0.5))
        given: dict[str, float] = {"beta": 0.0, "mean": 0.0} if beta == "none" else {}
        return net.batch_norm(y, given=given)

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    if beta == "per channel":
        assert folded.ops == ["Conv", "Pad", "Add"]
        assert "can't pass constant padding" in folded.reason
    else:
        assert folded.ops == ["Conv", "Pad"]


def test_zeros_that_are_counted_have_no_shift() -> None:
    """Average pooling that counts its padding lets only the scale pass."""

    def build(net: Net, x: ir.Value, counted: int) -> ir.Value:
        y = net.op("AveragePool", net.conv(x), kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=counted)
        return net.batch_norm(y)

    assert fold(lambda net, x: build(net, x, 0), IMAGE).ops == ["Conv", "AveragePool"]
    counted = fold(lambda net, x: build(net, x, 1), IMAGE)
    assert counted.ops == ["Conv", "AveragePool", "Add"]
    assert "counts the zeros of its padding" in counted.reason
    assert counted.error < EXACT


@pytest.mark.parametrize("gamma", [[1, 2, 3, 4, 5, 6], [1, 2, 0, 4, 5, 6], [1, 2, -3, 4, 5, 6]])
def test_max_pooling_needs_scales_that_are_not_negative(gamma: Sequence[float]) -> None:
    """max(s x + t) is s max(x) + t for s >= 0 only."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("MaxPool", net.conv(x), kernel_shape=[2, 2], strides=[2, 2])
        return net.batch_norm(y, given={"gamma": gamma})

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    if min(gamma) < 0:
        assert "the scale is negative in 1 of 6 channels" in folded.reason
        assert folded.ops == ["Conv", "MaxPool", "Mul"]
    else:
        assert folded.ops == ["Conv", "MaxPool"]


@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Sigmoid"])
def test_an_activation_lets_at_most_a_positive_scale_pass(activation: str) -> None:
    """The shift stays behind a Relu; nothing passes a Sigmoid."""

    def build(net: Net, x: ir.Value, gamma: float) -> ir.Value:
        return net.batch_norm(net.op(activation, net.conv(x)), given={"gamma": gamma})

    positive, negative = fold(lambda n, x: build(n, x, 2.0), IMAGE), fold(lambda n, x: build(n, x, -2.0), IMAGE)
    assert positive.ops == ["Conv", activation, "BatchNormalization" if activation == "Sigmoid" else "Add"]
    assert negative.ops == ["Conv", activation, "BatchNormalization"]
    assert positive.outcome.reason is not None
    assert max(positive.error, negative.error) < EXACT


def test_a_result_with_two_users_is_not_changed() -> None:
    """The other user would see it."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.conv(x)
        return net.op("Concat", net.batch_norm(y), net.op("Relu", y), axis=-1)

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv", "BatchNormalization", "Relu", "Concat"]
    assert "the result of Conv conv has 2 users" in folded.reason
    assert folded.error < EXACT


def test_all_users_take_it_or_none() -> None:
    """Forward into two convolutions; but not into one of them alone."""

    def build(net: Net, x: ir.Value, second: str) -> ir.Value:
        y = net.batch_norm(net.op("Relu", x))
        other = net.conv(y, "b") if second == "conv" else net.op("Sigmoid", y)
        return net.op("Concat", net.op("ReduceMean", net.conv(y, "a"), net.ints(1, 2)), _mean(net, other), axis=-1)

    both = fold(lambda net, x: build(net, x, "conv"), IMAGE)
    assert both.outcome.into in ("a, b", "b, a")
    assert "BatchNormalization" not in both.ops
    one = fold(lambda net, x: build(net, x, "sigmoid"), IMAGE)
    assert "BatchNormalization" in one.ops
    assert "Sigmoid sigmoid" in one.reason
    assert max(both.error, one.error) < EXACT


def _mean(net: Net, x: ir.Value) -> ir.Value:
    return net.op("ReduceMean", x, net.ints(1, 2))


def test_an_output_of_the_model_is_not_changed() -> None:
    """Neither the convolution's, from which a batch norm is computed, nor the batch norm's, before a convolution."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        y = net.conv(x)
        z = net.batch_norm(y)
        return {"y": y, "z": z, "last": net.conv(z, "last")}

    folded = fold(build, IMAGE)
    assert folded.ops.count("BatchNormalization") == 1
    assert "is the output y of the model" in folded.reason
    assert "z is an output of the model" in folded.reason
    assert folded.error < EXACT


def test_statistics_of_another_axis_are_refused() -> None:
    """A scale along the height isn't one along the channels, even if the sizes agree."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.op("Mul", net.conv(x, out=6), net.normal("rows", 6, 1, 1))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv", "Mul"]
    assert "varies along axis 1" in folded.reason
    assert folded.error < EXACT


def test_a_constant_that_makes_its_operand_larger_is_no_affine_op() -> None:
    """Adding [4] to [N, 1] gives [N, 4]."""
    folded = fold(lambda net, x: net.op("Add", net.dense(x, out=1), net.normal("row", 4)), ("N", 3))
    assert folded.ops == ["Dense", "Add"]
    assert folded.outcomes == ()


def test_a_transposed_convolution_takes_a_scale_forward_but_no_shift() -> None:
    """At its border fewer taps add up."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.batch_norm(net.op("Relu", x))
        return net.op("ConvTranspose", y, net.normal("kernel", 3, 3, 3, 4), None, strides=[2, 2], group=2)

    folded = fold(build, IMAGE)
    assert folded.ops == ["Relu", "Add", "ConvTranspose"]
    assert "fewer taps" in folded.reason
    assert folded.error < EXACT


def test_a_negative_variance_is_an_error_that_names_it() -> None:
    """Nothing is folded with it."""
    with pytest.raises(ValueInputError, match=r"batch norm bn: the variance bn/variance is -0.5 in channel 2"):
        fold(lambda net, x: net.batch_norm(net.conv(x), given={"variance": [1, 1, -0.5, 1, 1, 1]}), IMAGE)


@pytest.mark.parametrize("part", ["gamma", "beta", "mean", "variance"])
def test_nan_in_a_batch_norm_is_an_error_that_names_it(part: str) -> None:
    """So is infinity."""
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueInputError, match=f"bn/{part} contains NaN or infinity"):
            fold(lambda net, x, bad=bad: net.batch_norm(net.conv(x), given={part: bad}), IMAGE)  # type: ignore[misc]


def test_half_precision_weights_are_not_folded_beyond_their_range() -> None:
    """In float16 a scale that would overflow the kernel, or lose its digits, stays an op of its own."""

    def build(net: Net, x: ir.Value, gamma: float) -> ir.Value:
        return net.op("Mul", net.conv(x), net.weight("factor", gamma))

    half = ir.DataType.FLOAT16
    ordinary = fold(lambda net, x: build(net, x, 2.0), IMAGE, dtype=half)
    assert ordinary.ops == ["Conv"]
    assert ordinary.weight("conv/kernel").dtype == np.float16
    tiny = fold(lambda net, x: build(net, x, 1e-6), IMAGE, dtype=half)
    assert "lose digits in float16" in tiny.reason


def test_unfolded_means_untouched() -> None:
    """Without folding the batch norm stays, and so do all numbers."""
    folded = fold(lambda net, x: net.batch_norm(net.conv(x)), IMAGE, fold=False)
    assert folded.ops == ["Conv", "BatchNormalization"]
    assert folded.error == 0
    assert folded.outcomes == ()
