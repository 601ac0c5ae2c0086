"""Models that are too much work to be run at their own sizes are checked on smaller inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx_ir as ir
import pytest

from exporter.checked import fold_checked
from exporter.passes.affine.fold_affine import affine_sources
from tests.unit.passes.nets import Build, Net, network
from tests.unit.test_self_check import FAULTS

IMAGE: tuple[int | str | None, ...] = ("N", 160, 160, 3)


def _blocks(net: Net, x: ir.Value) -> ir.Value:
    for name, out, stride in (("a", 48, 2), ("b", 96, 1), ("c", 48, 1)):
        y = net.conv(x, f"{name}/conv", out=out, pad=1, strides=[stride] * 2)
        x = net.op("Sigmoid", net.batch_norm(y, f"{name}/bn"))
    return x


def _pooled(net: Net, x: ir.Value) -> ir.Value:
    return net.dense(net.op("ReduceMean", _blocks(net, x), net.ints(1, 2), keepdims=0), bias=True)


def _window(net: Net, x: ir.Value) -> ir.Value:
    """A window as large as the image."""
    x = net.op("AveragePool", _blocks(net, x), kernel_shape=[80, 80], strides=[1, 1])
    return net.dense(net.op("Reshape", x, net.ints(-1, 48)), bias=True)


def _flattened(net: Net, x: ir.Value) -> ir.Value:
    """Weights for each position."""
    x = net.op("MaxPool", _blocks(net, x), kernel_shape=[8, 8], strides=[8, 8])
    return net.dense(net.op("Reshape", x, net.ints(-1, 10 * 10 * 48)), bias=True)


def _placed(net: Net, x: ir.Value) -> ir.Value:
    """A vector for each position."""
    x = net.op("Add", _blocks(net, x), net.normal("places", 80, 80, 48))
    return net.op("ReduceMean", x, net.ints(1, 2), keepdims=0)


def _resized(net: Net, x: ir.Value) -> ir.Value:
    """A part of a fixed size beside one that follows the image."""
    y = _blocks(net, x)
    small = net.op("MaxPool", y, kernel_shape=[4, 4], strides=[4, 4])
    large = net.op("Resize", small, None, None, net.ints(1, 80, 80, 48), mode="nearest")
    return net.op("ReduceMean", net.op("Concat", y, large, axis=-1), net.ints(1, 2), keepdims=0)


NETWORKS: dict[str, Build] = {
    "pooled": _pooled,
    "a window": _window,
    "flattened": _flattened,
    "placed": _placed,
    "resized": _resized,
}


def _make(name: str) -> Callable[[], ir.Model]:
    return partial(network, NETWORKS[name], IMAGE, dtype=ir.DataType.FLOAT)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_large_model_is_checked_on_small_images(name: str) -> None:
    """Whatever its ops ask of sizes; nothing is taken back, and the report says that the inputs were smaller."""
    result = fold_checked(_make(name)(), _make(name), fold=True, check=True)
    assert result.no_example == "too large" and not result.probes
    assert result.check.left_out is None and result.check.smaller and result.check.examples == 1
    assert result.check.share < 1 and result.check.taken_back == ()
    assert all(fold.reason is None for fold in result.folds if fold.batch_norms)


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_folds_of_a_large_model_are_taken_back(fault: str) -> None:
    """After a look at the model's own sizes, for all kinds of mistakes."""
    with FAULTS[fault]():  # type: ignore[attr-defined]
        result = fold_checked(_make("pooled")(), _make("pooled"), fold=True, check=True)
    assert result.check.left_out is None and not result.check.smaller
    assert result.check.taken_back and set(result.check.taken_back) <= set(affine_sources(_make("pooled")()))


def test_what_is_too_large_even_so_is_said() -> None:
    """Matrix products as deep as the weights are large don't shrink with an image."""

    def repeated(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.normal("kernel", 1024, 1024)
        for _ in range(8):
            x = net.op("Relu", net.op("MatMul", x, kernel))
        return net.op("Add", x, net.normal("bias", 1024))

    make = partial(network, repeated, ("N", 16, 16, 1024), dtype=ir.DataType.FLOAT)
    result = fold_checked(make(), make, fold=True, check=True)
    assert result.check.left_out == "too large" and result.no_example == "too large"


def test_differences_on_small_images_alone_are_no_mistake() -> None:
    """A fold that is right at the model's own sizes stays, whatever smaller ones tell."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        """What is repeated before the batch norm isn't what is repeated behind it."""
        return _pooled(net, net.op("Add", x, net.normal("places", 160, 160, 3)))

    make = partial(network, build, IMAGE, dtype=ir.DataType.FLOAT)
    result = fold_checked(make(), make, fold=True, check=True)
    assert result.check.left_out is None and result.check.taken_back == ()
