"""Everything linear takes the affine op behind it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Build, Layer, Net, fold

EXACT = 1e-12

IMAGE = ("N", 8, 8, 4)
_SINGLE = ir.DataType.FLOAT.value


def _conv_transpose(net: Net, x: ir.Value, group: int) -> ir.Value:
    kernel = net.normal("up/kernel", 3, 3, 6 // group, 4)
    with net.b.source("up"):
        return net.b.op("ConvTranspose", x, kernel, None, strides=[2, 2], pads=[1, 1, 0, 0], group=group)


def _einsum(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Einsum", x, net.normal("heads/kernel", 6, 2, 3), equation="btc,chd->bthd")


LINEAR: dict[str, tuple[Build, tuple[int | str | None, ...]]] = {
    "conv": (lambda net, x: net.batch_norm(net.conv(x, pad=1)), IMAGE),
    "conv of one channel": (lambda net, x: net.batch_norm(net.conv(x, out=1)), ("N", 8, 8, 1)),
    "conv 1-D": (lambda net, x: net.batch_norm(net.conv(x)), ("N", 9, 4)),
    "conv 3-D": (lambda net, x: net.batch_norm(net.conv(x, pad=1)), ("N", 5, 5, 5, 2)),
    "dilated": (lambda net, x: net.batch_norm(net.conv(x, dilations=[2, 2], pad=2)), IMAGE),
    "grouped": (lambda net, x: net.batch_norm(net.conv(x, group=2)), IMAGE),
    "depthwise": (lambda net, x: net.batch_norm(net.conv(x, out=4, group=4)), IMAGE),
    "depthwise with multiplier": (lambda net, x: net.batch_norm(net.conv(x, out=12, group=4)), IMAGE),
    "separable": (lambda net, x: net.batch_norm(net.conv(net.conv(x, "dw", out=8, group=4), "pw", k=1)), IMAGE),
    "transposed": (lambda net, x: net.batch_norm(_conv_transpose(net, x, 1)), IMAGE),
    "transposed in groups": (lambda net, x: net.batch_norm(_conv_transpose(net, x, 2)), IMAGE),
    "dense": (lambda net, x: net.batch_norm(net.dense(x)), ("N", 7)),
    "dense of rank 3": (lambda net, x: net.batch_norm(net.dense(x, bias=True)), ("N", 3, 7)),
    "matmul": (lambda net, x: net.batch_norm(net.op("MatMul", x, net.normal("w", 7, 5))), ("N", 7)),
    "bias": (lambda net, x: net.batch_norm(net.op("Add", net.conv(x, pad=1), net.normal("bias", 6))), IMAGE),
    "bias of full rank": (
        lambda net, x: net.batch_norm(net.op("Sub", net.conv(x), net.normal("bias", 1, 1, 1, 6))),
        IMAGE,
    ),
    "two in a row": (lambda net, x: net.batch_norm(net.batch_norm(net.conv(x), "bn1"), "bn2"), IMAGE),
    "unknown sizes": (lambda net, x: net.batch_norm(net.conv(x, pad=1)), (None, None, None, 4)),
}


@pytest.mark.parametrize("case", LINEAR)
def test_batch_norm_goes_into_the_linear_op_before_it(case: str) -> None:
    """No batch norm and nothing else is left behind, and the numbers are the same."""
    build, shape = LINEAR[case]
    folded = fold(build, shape)
    assert set(folded.ops) <= {"Conv", "ConvTranspose", "Dense"}
    assert folded.error < EXACT
    assert all(outcome.reason is None and outcome.into for outcome in folded.outcomes)


def test_the_folded_weights_keep_the_names_of_their_layer() -> None:
    """The kernel under its own name, the new bias beside it."""
    folded = fold(lambda net, x: net.batch_norm(net.conv(x)), IMAGE)
    assert list(folded.model.graph.initializers) == ["conv/kernel", "conv/bias"]
    assert folded.outcome.batch_norms == ("bn",)
    assert folded.outcome.into == "conv"
    assert folded.outcome.how == "scale and shift into kernel and bias"


def test_a_bias_keeps_its_name() -> None:
    """What was added is the bias now."""
    build: Layer = lambda net, x: net.batch_norm(net.op("Add", net.conv(x), net.normal("conv/bias", 6)))  # noqa: E731
    assert list(fold(build, IMAGE).model.graph.initializers) == ["conv/kernel", "conv/bias"]


def test_past_a_bias_that_has_been_folded() -> None:
    """A dense layer with a bias, a reshape, a batch norm: nothing is left of either."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Add", net.dense(x, out=2 * 2 * 3), net.normal("dense/bias", 12))
        return net.batch_norm(net.op("Reshape", y, net.ints(-1, 2, 2, 3)))

    folded = fold(build, ("N", 5))
    assert folded.ops == ["Dense", "Reshape"]
    assert folded.error < EXACT


def test_decomposed_batch_norm_is_computed_without_rounding() -> None:
    """x * (gamma * rsqrt(variance + epsilon)) + (beta - mean * that), each a constant subgraph, is one affine op."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.conv(x)
        gamma, beta, mean = (net.normal(name, 6) for name in ("gamma", "beta", "mean"))
        variance = net.weight("variance", net.random.uniform(0.5, 2, 6))
        with net.b.source("bn", batch_norm="bn"):
            root = net.b.op("Sqrt", net.b.op("Add", variance, net.weight("epsilon", 1e-3)))
            factor = net.b.op("Mul", net.b.op("Reciprocal", root), gamma)
            return net.b.op("Add", net.b.op("Mul", y, factor), net.b.op("Sub", beta, net.b.op("Mul", mean, factor)))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv"]
    assert folded.outcome.batch_norms == ("bn",)
    assert folded.error < EXACT


@pytest.mark.parametrize("form", ["scalar", "div", "neg", "from a constant"])
def test_plain_arithmetic_is_folded_like_a_batch_norm(form: str) -> None:
    """Scalars, divisions, negation, and differences from a constant go into the kernel and the bias."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.conv(x)
        if form == "scalar":
            return net.op("Add", net.op("Mul", y, net.weight("two", 2.0)), net.weight("one", 1.0))
        if form == "div":
            return net.op("Div", y, net.weight("d", [1.0, 2, 3, 4, 5, 6]))
        if form == "neg":
            return net.op("Neg", y)
        return net.op("Sub", net.weight("c", np.arange(6.0)), y)

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv"]
    assert folded.error < EXACT


def test_a_looked_up_table_takes_scale_and_shift() -> None:
    """An embedding followed by a batch norm is another table."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        indices = net.b.op("Cast", net.b.op("Abs", x), to=ir.DataType.INT64.value)
        return net.batch_norm(net.op("Gather", net.normal("table", 9, 6), indices, axis=0))

    folded = fold(build, ("N", 3))
    assert folded.ops == ["Abs", "Cast", "Gather"]
    assert folded.outcome.how == "scale and shift into table"
    assert folded.error < EXACT


def test_an_einsum_takes_the_scale_and_leaves_the_shift() -> None:
    """It has no bias: one Add stays, and the report says why."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Add", _einsum(net, x), net.normal("heads/bias", 2, 3))
        return net.op("Mul", y, net.weight("scale", 0.125))

    folded = fold(build, ("N", 4, 6))
    assert folded.ops == ["Einsum", "Add"]
    assert "has no bias" in folded.reason
    assert folded.error < EXACT


def test_a_shared_kernel_is_copied_for_users_that_fold_differently() -> None:
    """Two convolutions with one kernel, one of them normalised: both are right."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.normal("shared/kernel", 3, 3, 4, 6)
        left = net.b.op("Conv", x, kernel, None)
        right = net.batch_norm(net.b.op("Conv", x, kernel, None))
        return net.op("Concat", left, right, axis=-1)

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv", "Conv", "Concat"]
    assert folded.error < EXACT


@pytest.mark.parametrize(
    "given", [{"gamma": 0.0}, {"gamma": -2.0}, {"gamma": 1e9}, {"variance": 0.0}, {"variance": 1e-12, "mean": 1e-6}]
)
def test_unusual_statistics_are_folded_too(given: dict[str, float]) -> None:
    """gamma 0, negative or huge, variance 0 or tiny are numbers like others."""
    folded = fold(lambda net, x: net.batch_norm(net.conv(x), given=given), IMAGE)
    assert folded.ops == ["Conv"]
    assert folded.error < EXACT


def test_mixed_precision() -> None:
    """A kernel of float32 that is used in float16, normalised in float32, and cast back: one float16 convolution."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.op("Cast", net.normal("conv/kernel", 3, 3, 4, 6), to=ir.DataType.FLOAT16.value)
        y = net.op("Cast", net.op("Conv", net.op("Cast", x, to=ir.DataType.FLOAT16.value), kernel, None), to=_SINGLE)
        return net.op("Relu", net.op("Cast", net.batch_norm(y), to=ir.DataType.FLOAT16.value))

    folded = fold(build, IMAGE, dtype=ir.DataType.FLOAT)
    assert folded.ops == ["Cast", "Conv", "Relu"]
    assert [value.dtype for value in folded.model.graph.initializers.values()] == [ir.DataType.FLOAT16] * 2
    assert folded.error < 4 * float(np.finfo(np.float16).eps)


@pytest.mark.parametrize("gamma", [[1, 0, 2, 0, 3, 4], 0.0, 1.0])
def test_dead_channels_are_reported(gamma: object) -> None:
    """Those whose scale is exactly 0: constants, which could be pruned."""
    folded = fold(lambda net, x: net.batch_norm(net.conv(x), given={"gamma": gamma}), IMAGE)
    assert folded.outcome.dead == {1.0: (), 0.0: tuple(range(6))}.get(gamma if isinstance(gamma, float) else -1, (1, 3))


def test_a_chain_rounds_the_weights_once() -> None:
    """In float32, the folded kernel is the float64 product, rounded."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.batch_norm(net.batch_norm(net.conv(net.batch_norm(x, "a")), "b"), "c")

    single = fold(build, IMAGE, dtype=ir.DataType.FLOAT)
    assert single.ops == ["Conv"]
    double = fold(build, IMAGE, dtype=ir.DataType.DOUBLE)
    kernel = single.weight("conv/kernel")
    assert kernel.dtype == np.float32
    assert np.abs(kernel / double.weight("conv/kernel") - 1).max() < 1e-5
