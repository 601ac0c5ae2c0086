"""The result of each batch norm is found in the folded model, or said to be in no tensor of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.builder import Builder
from exporter.passes.pipeline import run
from exporter.verify.sites import locate, truths

FLOAT = ir.DataType.FLOAT
RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((2, 8, 8, 4)).astype(np.float32)


def _array(*shape: int, positive: bool = False) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    array = RANDOM.uniform(0.5, 2, shape) if positive else RANDOM.standard_normal(shape)
    return array.astype(np.float32)


def _conv(b: Builder, x: ir.Value, out: int, *, pads: list[int] | None = None) -> ir.Value:
    channels = int(str(x.shape[-1])) if x.shape is not None else 0
    return b.op("Conv", x, b.constant(_array(3, 3, channels, out)), None, pads=pads or [1, 1, 1, 1])


def _norm(b: Builder, x: ir.Value, name: str, channels: int = 4) -> ir.Value:
    with b.source(name, batch_norm=name):
        parameters = [b.constant(_array(channels, positive=i in (0, 3))) for i in range(4)]
        return b.op("BatchNormalization", x, *parameters, epsilon=1e-3)


def _behind_a_convolution(b: Builder, x: ir.Value) -> ir.Value:
    return b.op("Relu", _norm(b, _conv(b, x, 4), "bn"))


def _behind_a_pool(b: Builder, x: ir.Value) -> ir.Value:
    pooled = b.op("AveragePool", _conv(b, x, 4), kernel_shape=[2, 2], strides=[2, 2])
    return b.op("Relu", _norm(b, pooled, "bn"))


def _that_stays(b: Builder, x: ir.Value) -> ir.Value:
    return b.op("Relu", _norm(b, b.op("Relu", x), "bn"))


def _ahead_of_a_convolution(b: Builder, x: ir.Value) -> ir.Value:
    return b.op("Relu", _conv(b, _norm(b, b.op("Relu", x), "bn"), 4, pads=[0, 0, 0, 0]))


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (_behind_a_convolution, True),
        (_behind_a_pool, True),
        (_that_stays, True),
        (_ahead_of_a_convolution, False),
    ],
)
def test_the_tensor_is_found_wherever_the_fold_went(
    build: Callable[[Builder, ir.Value], ir.Value], found: bool
) -> None:
    """Before a pool that it moved through, in what is left of it; nowhere once the layer behind has taken it."""
    b = Builder("net")
    model = b.finish({"y": build(b, b.input("x", FLOAT, ("N", 8, 8, 4)))})
    known = truths(model, {"x": X})
    assert list(known.results) == list(known.noise) == ["bn"]
    assert 0 < known.noise["bn"] < 1e-5
    run(model)
    (site,) = locate(model, known)
    made = {str(value.name) for node in model.graph for value in node.outputs}
    assert (site.tensor in made) is found
    assert found or site.tensor is None


def test_a_wrong_fold_is_not_taken_for_the_result() -> None:
    """A tensor that is off by a thousandth isn't the batch norm's result."""
    b = Builder("net")
    model = b.finish({"y": _behind_a_convolution(b, b.input("x", FLOAT, ("N", 8, 8, 4)))})
    known = truths(model, {"x": X})
    run(model)
    kernel = next(node for node in model.graph if node.op_type == "Conv").inputs[1]
    assert kernel is not None and kernel.const_value is not None
    kernel.const_value = ir.tensor(kernel.const_value.numpy() * np.float32(1.001))
    (site,) = locate(model, known)
    assert site.tensor is None
