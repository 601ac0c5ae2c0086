"""Random networks: folded and unfolded compute the same, and planted mistakes don't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ir.evaluate import evaluate
from exporter.passes.affine import carriers, collect, linear
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.linear import Linear
from exporter.passes.affine.weighted import Weighted
from exporter.passes.pipeline import run
from tests.unit.passes.nets import Layer, Net, difference, feed, network

SHAPE = ("N", 6, 6, 4)
TOLERANCE = 1e-10


def _channels(x: ir.Value) -> int:
    assert x.shape is not None
    return int(str(x.shape[-1]))


def _grouped(net: Net, x: ir.Value) -> ir.Value:
    group = 2 if _channels(x) % 2 == 0 else 1
    return net.conv(x, "grouped", out=4 * group, group=group, pad=1)


def _depthwise(net: Net, x: ir.Value) -> ir.Value:
    c = _channels(x)
    return net.conv(x, "depthwise", out=2 * c, group=c, pad=1) if c <= 8 else net.conv(x, "pointwise", k=1, out=4)


def _transposed(net: Net, x: ir.Value) -> ir.Value:
    c = _channels(x)
    group = 2 if c % 2 == 0 else 1
    with net.b.source("transposed"):
        return net.b.op("ConvTranspose", x, net.normal("up", 3, 3, 2, c), None, pads=[1, 1, 1, 1], group=group)


def _branches(net: Net, x: ir.Value) -> ir.Value:
    left = net.batch_norm(net.conv(x, "left", k=1, out=3), "bn_left")
    return net.op("Concat", left, net.op("Relu", net.conv(x, "right", k=1, out=2)), axis=-1)


def _residual(net: Net, x: ir.Value) -> ir.Value:
    y = net.batch_norm(net.conv(x, "residual", out=_channels(x), pad=1), "bn_residual")
    return net.op("Add", x, y)


def _halves(net: Net, x: ir.Value) -> ir.Value:
    c = _channels(x)
    if c < 2:
        return net.op("Identity", x)
    with net.b.source("split"):
        left, right = net.b.op_n("Split", 2, x, net.ints(1, c - 1), axis=-1)
    return net.op("Concat", net.batch_norm(right, "bn_half"), left, axis=-1)


def _factor(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Mul", x, net.normal("factor", 1, _channels(x)))


def _rows(net: Net, x: ir.Value) -> ir.Value:
    assert x.shape is not None
    return net.op("Add", x, net.normal("rows", int(str(x.shape[1])), 1, 1))


def _channels_first(layer: Layer) -> Layer:
    """A layer that works on [N, C, H, W], between two transposes."""

    def wrapped(net: Net, x: ir.Value) -> ir.Value:
        return net.op("Transpose", layer(net, net.op("Transpose", x, perm=[0, 3, 1, 2])), perm=[0, 2, 3, 1])

    return wrapped


def _channels_of_first(x: ir.Value) -> int:
    assert x.shape is not None
    return int(str(x.shape[1]))


def _resized(net: Net, x: ir.Value) -> ir.Value:
    assert x.shape is not None
    dims = [int(str(size)) for size in x.shape.dims[1:]]
    sizes = net.op("Concat", net.op("Shape", x, start=0, end=1), net.ints(dims[0] + 2, dims[1], dims[2]), axis=0)
    return net.op("Resize", x, None, None, sizes, mode="linear", coordinate_transformation_mode="asymmetric")


def _two_convs(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Add", net.conv(x, "first", k=1, out=3), net.conv(x, "second", k=1, out=3))


def _gate(net: Net, x: ir.Value) -> ir.Value:
    mean = net.op("ReduceMean", x, net.ints(1, 2), keepdims=1)
    return net.op("Mul", net.batch_norm(x, "bn_gated"), net.op("Sigmoid", net.dense(mean, "gate", out=_channels(x))))


LAYERS: dict[str, Layer] = {
    "channels first: bias": _channels_first(
        lambda net, x: net.op("Add", x, net.normal("first/bias", _channels_of_first(x), 1, 1))
    ),
    "channels first: pad": _channels_first(lambda net, x: net.op("Pad", x, net.ints(0, 0, 1, 1, 0, 0, 0, 1))),
    "channels first: concat": _channels_first(lambda net, x: net.op("Concat", x, net.op("Neg", x), axis=1)),
    "channels first: slice": _channels_first(lambda net, x: net.op("Slice", x, net.ints(0), net.ints(2), net.ints(1))),
    "channels first: clip": _channels_first(
        lambda net, x: net.op("Clip", x, net.weight("low", -1.0), net.weight("high", 1.0))
    ),
    "resize": _resized,
    "two convs": _two_convs,
    "gate": _gate,
    "conv": lambda net, x: net.conv(x, out=3),
    "padded conv": lambda net, x: net.conv(x, out=4, pad=1),
    "pointwise": lambda net, x: net.conv(x, k=1, out=4),
    "grouped": _grouped,
    "depthwise": _depthwise,
    "transposed": _transposed,
    "dense": lambda net, x: net.dense(x, out=4, bias=True),
    "batch norm": lambda net, x: net.batch_norm(x),
    "another batch norm": lambda net, x: net.batch_norm(x, given={"gamma": [0.5, *[2] * (_channels(x) - 1)]}),
    "dead channels": lambda net, x: net.batch_norm(x, given={"gamma": np.arange(_channels(x)) % 2}),
    "dead norm": lambda net, x: net.batch_norm(x, given={"gamma": 0.0}),
    "bias": lambda net, x: net.op("Sub", x, net.normal("bias", _channels(x))),
    "factor": _factor,
    "rows": _rows,
    "half": lambda net, x: net.op("Div", x, net.weight("two", 2.0)),
    "relu": lambda net, x: net.op("Relu", x),
    "leaky relu": lambda net, x: net.op("LeakyRelu", x, alpha=0.3),
    "tanh": lambda net, x: net.op("Tanh", x),
    "max pool": lambda net, x: net.op("MaxPool", x, kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    "average pool": lambda net, x: net.op("AveragePool", x, kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    "average pool that counts": lambda net, x: net.op(
        "AveragePool", x, kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1
    ),
    "pad": lambda net, x: net.op("Pad", x, net.ints(0, 1, 1, 0, 0, 0, 0, 0)),
    "reflect": lambda net, x: net.op("Pad", x, net.ints(0, 1, 1, 0, 0, 0, 0, 0), mode="reflect"),
    "transposes": lambda net, x: net.op(
        "Transpose", net.op("Relu", net.op("Transpose", x, perm=[0, 3, 1, 2])), perm=[0, 2, 3, 1]
    ),
    "branches": _branches,
    "residual": _residual,
    "halves": _halves,
}

HEADS: dict[str, Layer] = {
    "none": lambda net, x: x,
    "mean": lambda net, x: net.dense(net.op("ReduceMean", x, net.ints(1, 2), keepdims=0), "head"),
    "flatten": lambda net, x: net.dense(net.op("Flatten", x, axis=1), "head"),
}


def _build(layers: list[str], head: str) -> Layer:
    def build(net: Net, x: ir.Value) -> ir.Value:
        for layer in layers:
            assert x.shape is not None
            if isinstance(x.shape[1], int) and x.shape[1] < 3:
                break
            x = LAYERS[layer](net, x)
        return net.op("Identity", _flat(net, x, head))

    return build


def _flat(net: Net, x: ir.Value, head: str) -> ir.Value:
    if head != "flatten":
        return HEADS[head](net, x)
    assert x.shape is not None
    size = int(np.prod([int(str(d)) for d in x.shape.dims[1:]]))
    return net.dense(net.op("Reshape", x, net.ints(-1, size)), "head")


NETWORKS = st.tuples(
    st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=9),
    st.sampled_from(sorted(HEADS)),
    st.integers(0, 99),
)


def _error(layers: list[str], head: str, seed: int, dtype: ir.DataType = ir.DataType.DOUBLE) -> float:
    model = network(_build(layers, head), SHAPE, dtype=dtype, seed=seed)
    x = feed(SHAPE, seed)
    before = evaluate(model, {"x": x})
    run(model)
    return difference(before, evaluate(model, {"x": x}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NETWORKS)
def test_folded_equals_unfolded(drawn: tuple[list[str], str, int]) -> None:
    """In float64 the folded network computes the unfolded one's numbers to 1e-10."""
    assert _error(*drawn) < TOLERANCE


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NETWORKS)
def test_folding_adds_no_noise(drawn: tuple[list[str], str, int]) -> None:
    """In float32 the folded network is as close to the truth as the unfolded one, up to a small factor.

    The truth is the unfolded network in float64; its own float32 run measures the noise. A network of a few ops can be
    exact by luck, so one rounding error per layer of the largest output is always allowed.
    """
    layers, head, seed = drawn
    model = network(_build(layers, head), SHAPE, dtype=ir.DataType.FLOAT, seed=seed)
    x = feed(SHAPE, seed).astype(np.float32)
    truth = evaluate(model, {"x": x})
    noise = difference(truth, evaluate(model, {"x": x}, dtype=np.float32))
    run(model)
    folded = difference(truth, evaluate(model, {"x": x}, dtype=np.float32))
    eps = float(np.finfo(np.float32).eps)
    assert folded <= 8 * noise + 8 * (len(layers) + 2) * eps


def _epsilon_outside_the_root(node: ir.Node, constants: Any) -> tuple[int, Affine] | None:
    gamma, beta, mean, variance = (constants.array(v) for v in node.inputs[1:5])
    scale = gamma / (np.sqrt(variance) + node.attributes["epsilon"].as_float())
    return 0, Affine.of(scale, beta - mean * scale, len(node.inputs[0].shape))  # type: ignore[union-attr,arg-type]


def _wrong_depthwise_order(channels: Array, group: int, shape: tuple[int, ...]) -> Array:
    """Output m takes from input m % C, as if the multiplier were the slow index."""
    if group == 1 or channels.size == 1:
        return channels.reshape(-1, 1)
    return np.tile(channels.reshape(group, -1), (shape[-1] // group, 1)).T


def _shift_through_padding(op: Weighted, affine: Affine) -> None:
    linear._features(op, affine)


def _no_sign(step: Any, affine: Affine, *, axes: list[int]) -> Affine:
    step.uniform(affine, axes)
    return affine


@contextmanager
def _shift_taken() -> Iterator[None]:
    conv = linear.LINEAR["Conv"]
    careless = Linear(_shift_through_padding, conv.take_output, conv.factor, conv.input_shift, bias=2)
    with mock.patch.dict(linear.LINEAR, {"Conv": careless}):
        yield


PLANTED: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "epsilon outside the root": (
        lambda: mock.patch.object(collect, "_batch_normalization", _epsilon_outside_the_root),
        ["conv", "batch norm"],
    ),
    "wrong channel order for depthwise": (
        lambda: mock.patch.object(linear, "_by_group", _wrong_depthwise_order),
        ["relu", "batch norm", "depthwise"],
    ),
    "shift through padding": (_shift_taken, ["relu", "batch norm", "padded conv"]),
    "constants through padding": (_shift_taken, ["conv", "dead channels", "tanh", "padded conv"]),
    "negative scale through max pooling": (
        lambda: mock.patch.object(carriers, "_monotone", _no_sign),
        ["conv", "max pool", "factor"],
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_seen(mistake: str) -> None:
    """The comparison that passes above fails for each of the classic mistakes, by far."""
    plant, layers = PLANTED[mistake]
    assert _error(layers, "none", 4) < TOLERANCE
    with plant():
        assert _error(layers, "none", 4) > 1e6 * TOLERANCE
