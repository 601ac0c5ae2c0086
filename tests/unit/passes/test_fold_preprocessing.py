"""What a graph does with its input before the first layer: scaling, centring, a batch norm, the order of colours."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Net, fold

EXACT = 1e-12
IMAGE = ("N", 12, 12, 3)

Layer = Callable[[Net, ir.Value], ir.Value]


def _standardised(net: Net, x: ir.Value) -> ir.Value:
    """(x / 255 - mean) / deviation."""
    y = net.op("Sub", net.op("Div", x, net.weight("255", 255.0)), net.weight("mean", [0.485, 0.456, 0.406]))
    return net.op("Div", y, net.weight("deviation", [0.229, 0.224, 0.225]))


def _reversed(net: Net, x: ir.Value) -> ir.Value:
    """x[..., ::-1]."""
    return net.op("Slice", x, net.ints(2), net.ints(-4), net.ints(3), net.ints(-1))


def _picked(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Gather", x, net.ints(2, 1, -3), axis=3)


BEFORE: dict[str, Layer] = {
    "standardised": _standardised,
    "batch norm": lambda net, x: net.batch_norm(x),
    "standardised, batch norm": lambda net, x: net.batch_norm(_standardised(net, x)),
    "reversed, standardised": lambda net, x: _standardised(net, _reversed(net, x)),
    "standardised, reversed": lambda net, x: _reversed(net, _standardised(net, x)),
    "picked, standardised": lambda net, x: _standardised(net, _picked(net, x)),
    "standardised, picked": lambda net, x: _picked(net, _standardised(net, x)),
    "standardised, resized": lambda net, x: net.op(
        "Resize", _standardised(net, x), None, None, net.ints(1, 8, 8, 3), mode="linear"
    ),
    "mean image, flattened": lambda net, x: net.op(
        "Reshape", net.op("Sub", x, net.normal("image", 12, 12, 3)), net.ints(-1, 432)
    ),
}


@pytest.mark.parametrize("before", BEFORE)
def test_it_goes_forward_into_the_first_layer(before: str) -> None:
    """Wholly, where that pads nothing."""
    first: Layer = lambda net, x: net.dense(x) if "flattened" in before else net.conv(x)  # noqa: E731
    folded = fold(lambda net, x: net.op("Relu", first(net, BEFORE[before](net, x))), IMAGE)
    assert set(folded.ops) <= {"Conv", "Dense", "Gather", "Relu", "Reshape", "Resize", "Slice"}
    assert folded.outcome.reason is None
    assert folded.error < EXACT


@pytest.mark.parametrize("before", ["standardised", "batch norm", "standardised, batch norm", "standardised, picked"])
def test_before_zero_padding_one_addition_stays(before: str) -> None:
    """Padding comes after the shift, so the border would differ; the report says so."""
    folded = fold(lambda net, x: net.op("Relu", net.conv(BEFORE[before](net, x), pad=1)), IMAGE)
    assert [op for op in folded.ops if op != "Gather"] == ["Add", "Conv", "Relu"]
    assert "pads with zeros" in folded.reason
    assert folded.error < EXACT


def test_a_mean_image_before_a_convolution_stays() -> None:
    """A kernel has no place for what differs from pixel to pixel."""
    folded = fold(lambda net, x: net.conv(net.op("Sub", x, net.normal("image", 12, 12, 3))), IMAGE)
    assert folded.ops == ["Sub", "Conv"]
    assert "varies along axes 1, 2" in folded.reason


@pytest.mark.parametrize(("indices", "left"), [((5, 0, 3), 0), ((5, 0, 5), 1)])
def test_picked_channels_are_mapped_where_they_come_from(indices: tuple[int, ...], left: int) -> None:
    """A batch norm behind a reordering goes up into the convolution, unless a channel is picked twice."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.op("Relu", net.batch_norm(net.op("Gather", net.conv(x), net.ints(*indices), axis=3)))

    folded = fold(build, IMAGE)
    assert folded.ops.count("BatchNormalization") == left
    assert folded.error < EXACT


def test_what_is_cast_to_half_precision_is_normalised_before() -> None:
    """A float32 number of 1e6 has no place in float16; in a wider type it has."""

    def build(net: Net, x: ir.Value, type_: ir.DataType) -> ir.Value:
        y = net.op("Cast", net.batch_norm(x, given={"mean": 1e6, "variance": 1e12}), to=type_.value)
        net.dtype = type_
        return net.op("Relu", net.conv(y))

    narrower = fold(lambda net, x: build(net, x, ir.DataType.FLOAT16), IMAGE, dtype=ir.DataType.FLOAT)
    assert "narrower type" in narrower.reason
    wider = fold(lambda net, x: build(net, x, ir.DataType.DOUBLE), IMAGE, dtype=ir.DataType.FLOAT)
    assert wider.outcome.reason is None
