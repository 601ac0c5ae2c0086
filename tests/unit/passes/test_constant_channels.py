"""Channels whose folded scale is 0 are constants: they go as far as that is exact, and no further."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Array, Folded, Layer, Net, fold

EXACT = 1e-12
IMAGE = ("N", 8, 8, 4)
DEAD = [1, 3]


def _norm(net: Net, x: ir.Value, *, beta: float = 0.7) -> ir.Value:
    """A batch norm whose channels 1 and 3 are switched off: they are beta."""
    assert x.shape is not None
    gamma = np.ones(int(str(x.shape[-1])))
    gamma[DEAD] = 0
    return net.batch_norm(x, given={"gamma": gamma, "beta": beta})


def _rows(folded: Folded, name: str) -> list[int]:
    """The input channels that a kernel gives no weight."""
    kernel = folded.weight(name)
    taps = np.abs(kernel).reshape(-1, *kernel.shape[-2:]).max(axis=(0, 2))
    return [int(c) for c in np.flatnonzero(taps == 0)]


def _outcome(folded: Folded, source: str) -> str:
    return next(outcome.how for outcome in folded.outcomes if outcome.source == source and not outcome.batch_norms)


BETWEEN: dict[str, Layer] = {
    "nothing": lambda net, x: x,
    "Relu": lambda net, x: net.op("Relu", x),
    "Sigmoid": lambda net, x: net.op("Sigmoid", x),
    "Clip": lambda net, x: net.op("Clip", x, net.weight("low", 0.0), net.weight("high", 0.5)),
    "PRelu": lambda net, x: net.op("PRelu", net.op("Neg", x), net.weight("slope", np.arange(6.0))),
    "MaxPool": lambda net, x: net.op("MaxPool", net.op("Relu", x), kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    "AveragePool": lambda net, x: net.op("AveragePool", net.op("Tanh", x), kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    "mean": lambda net, x: net.op("ReduceMean", net.op("Relu", x), net.ints(1, 2), keepdims=1),
    "Transpose": lambda net, x: net.op(
        "Transpose", net.op("Relu", net.op("Transpose", x, perm=[0, 3, 1, 2])), perm=[0, 2, 3, 1]
    ),
    "the sum of two": lambda net, x: net.op("Add", net.op("Relu", x), net.op("Sigmoid", x)),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_the_next_linear_op_takes_the_constants_into_its_bias(between: str) -> None:
    """Without padding: its kernel gives the constant channels no weight, and the numbers stay the same."""
    folded = fold(lambda net, x: net.conv(BETWEEN[between](net, _norm(net, net.conv(x))), "next", k=1), IMAGE)
    assert folded.error < EXACT
    assert _rows(folded, "next/kernel") == DEAD
    assert folded.weight("next/bias").any()
    assert _outcome(folded, "next").startswith("2 constant input channels into kernel and bias")


def test_dead_channels_are_told_whether_or_not_anything_takes_them() -> None:
    """The report lists them, for who wants to prune."""
    folded = fold(lambda net, x: net.op("Softmax", _norm(net, net.conv(x))), IMAGE)
    assert folded.outcome.dead == tuple(DEAD)
    assert not folded.weight("conv/kernel")[..., DEAD].any()


@pytest.mark.parametrize(("pad", "beta"), [(0, 0.7), (1, 0.7), (1, -0.7), (1, 0.0)])
def test_constants_do_not_go_through_zero_padding_unless_they_are_0(pad: int, beta: float) -> None:
    """At the border a padded convolution sees zeros in their place; a Relu that makes 0 of them lets them go."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.conv(net.op("Relu", _norm(net, net.conv(x), beta=beta)), "next", pad=pad)

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    assert _rows(folded, "next/kernel") == ([] if pad and beta > 0 else DEAD)
    assert ("next/bias" in folded.model.graph.initializers) == (pad == 0)


def test_zeros_pass_padding_beside_constants_that_do_not() -> None:
    """Of two constant channels, 0 and 0.7, the first alone goes into a padded convolution."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        given = {"gamma": [1, 0, 1, 0, 1, 1], "beta": [1, -1, 1, 0.7, 1, 1]}
        return net.conv(net.op("Relu", net.batch_norm(net.conv(x), given=given)), "next", pad=1)

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    assert _rows(folded, "next/kernel") == [1]


def test_one_of_two_users_takes_the_constants() -> None:
    """Nothing changes for the other one, which is an output of the model."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        y = net.op("Sigmoid", _norm(net, net.conv(x)))
        return {"y": y, "z": net.conv(y, "next")}

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    assert folded.ops == ["Conv", "Sigmoid", "Conv"]
    assert _rows(folded, "next/kernel") == DEAD


def test_a_kernel_that_others_use_is_not_copied_for_it() -> None:
    """A second kernel would be stored for no gain."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.normal("shared/kernel", 1, 1, 6, 6)
        y = net.op("Relu", _norm(net, net.conv(x, pad=1)))
        return net.op("Add", net.b.op("Conv", y, kernel, None), net.b.op("Conv", net.op("Tanh", y), kernel, None))

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    assert _rows(folded, "shared/kernel") == []


WAYS: dict[str, tuple[Layer, Callable[[Array], bool]]] = {
    "depthwise": (
        lambda net, x: net.dense(net.conv(x, "dw", group=6, out=12), "next"),
        lambda kernel: _zero_rows(kernel, [2, 3, 6, 7]),
    ),
    "flatten": (
        lambda net, x: net.dense(net.op("Reshape", x, net.ints(-1, 216)), "next"),
        lambda kernel: _zero_rows(kernel, [c + 6 * i for i in range(36) for c in DEAD]),
    ),
    "concat": (
        lambda net, x: net.dense(net.op("Concat", net.op("Tanh", x), x, axis=-1), "next"),
        lambda kernel: _zero_rows(kernel, [1, 3, 7, 9]),
    ),
    "slice": (
        lambda net, x: net.dense(net.op("Slice", x, net.ints(2), net.ints(6), net.ints(-1)), "next"),
        lambda kernel: _zero_rows(kernel, [1]),
    ),
    "transposed": (
        lambda net, x: net.op("ConvTranspose", net.op("Mul", x, net.op("Relu", net.op("Neg", x))), _up(net), None),
        lambda kernel: not kernel[..., DEAD].any() and bool(kernel[..., [0, 2, 4, 5]].any()),
    ),
    "matmul": (
        lambda net, x: net.op("Einsum", net.op("Relu", net.op("Neg", x)), _up(net), equation="nhwc,abdc->nhwd"),
        lambda kernel: not kernel[..., DEAD].any(),
    ),
}


def _up(net: Net) -> ir.Value:
    return net.normal("next/kernel", 2, 2, 3, 6)


def _zero_rows(kernel: Array, rows: list[int]) -> bool:
    return [int(c) for c in np.flatnonzero(np.abs(kernel).max(axis=-1) == 0)] == rows


@pytest.mark.parametrize("way", WAYS)
def test_constants_go_wherever_affine_maps_go(way: str) -> None:
    """Each channel's constant arrives where that channel does; ops without a bias take zeros alone."""
    build, is_right = WAYS[way]
    folded = fold(lambda net, x: build(net, net.op("Relu", _norm(net, net.conv(x)))), IMAGE)
    assert folded.error < EXACT
    assert is_right(folded.weight("next/kernel"))


def test_a_branch_that_is_constant_is_left_out() -> None:
    """A residual branch whose last gamma was never trained away from 0: its shift goes into the shortcut."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        short = net.conv(x, "short", pad=1)
        branch = net.conv(net.op("Relu", net.conv(short, "a", pad=1)), "b", pad=1)
        return net.op("Tanh", net.op("Add", net.batch_norm(branch, given={"gamma": 0.0}), net.batch_norm(short, "bn2")))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv", "Tanh"]
    assert folded.error < EXACT
    assert folded.outcomes[0].how == "its result is a constant, and nothing is computed for it"
    assert folded.outcomes[0].dead == tuple(range(6))


@pytest.mark.parametrize("pad", [0, 1])
def test_a_constant_image_is_one_behind_a_convolution_without_padding_only(pad: int) -> None:
    """With padding its border differs."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        dead = net.op("Sigmoid", net.batch_norm(net.conv(x, k=1), given={"gamma": 0.0}))
        return net.op("Tanh", net.op("Add", net.conv(dead, "a", pad=pad), net.conv(x, "b", pad=pad)))

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    assert folded.ops.count("Conv") == (3 if pad else 1)


def test_a_constant_that_makes_the_other_operand_larger_stays_a_tensor() -> None:
    """The sum has its shape."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        dead = net.batch_norm(net.conv(x), given={"gamma": 0.0})
        return net.op("Add", dead, net.op("Tanh", net.op("ReduceMean", x, net.ints(1, 2, 3), keepdims=1)))

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    assert "Conv" in folded.ops


def test_a_constant_output_of_the_model_keeps_its_shape() -> None:
    """It is computed as before, for any batch."""
    folded = fold(lambda net, x: net.op("Relu", net.batch_norm(net.conv(x), given={"gamma": 0.0})), IMAGE)
    assert folded.ops == ["Conv", "Relu"]
    assert folded.error < EXACT


def test_a_constant_that_is_not_finite_goes_nowhere() -> None:
    """1 / 0 in a constant channel is what it was before."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Reciprocal", net.op("Relu", _norm(net, net.conv(x), beta=-1.0)))
        return net.conv(net.op("Clip", y, None, net.weight("high", 9.0)), "next", k=1)

    with np.errstate(divide="ignore"):
        folded = fold(build, IMAGE)
    assert _rows(folded, "next/kernel") == []


def test_unfolded_means_untouched() -> None:
    """Without folding a dead branch is computed like any other."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.conv(x)
        return net.op("Add", net.batch_norm(net.op("Relu", y), given={"gamma": 0.0}), y)

    assert fold(build, IMAGE, fold=False).ops == ["Conv", "Relu", "BatchNormalization", "Add"]
    assert fold(build, IMAGE).ops == ["Conv"]


@pytest.mark.parametrize(("dtype", "taken"), [(ir.DataType.FLOAT, True), (ir.DataType.FLOAT16, False)])
@pytest.mark.parametrize("beta", [0.7, -0.7])
def test_half_precision_takes_zeros_alone(dtype: ir.DataType, taken: bool, beta: float) -> None:
    """A bias that others are added to is rounded once more; a kernel loses nothing by zeros."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Relu", net.op("Add", net.op("Mul", x, net.weight("s", [1, 0, 1, 0])), net.weight("t", [beta] * 4)))
        return net.conv(net.op("Relu", y), "next", k=1)

    folded = fold(build, IMAGE, dtype=dtype)
    assert _rows(folded, "next/kernel") == (DEAD if taken or beta < 0 else [])
