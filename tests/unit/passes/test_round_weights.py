"""Weights in float16: which are rounded, and which stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from exporter.ir.half import HalfTensor
from exporter.passes.round_weights import round_weights
from tests.unit.passes.nets import Net

Array = npt.NDArray[Any]


def _dense(kernel: Array) -> ir.Model:
    net = Net(dtype=ir.DataType.FLOAT)
    x = net.b.input("x", ir.DataType.FLOAT, ("N", kernel.shape[0]))
    y = net.b.op("Dense", x, net.weight("kernel", kernel), net.weight("bias", np.full(kernel.shape[1], 0.1)))
    return net.b.finish({"y": y})


def _held(model: ir.Model, name: str) -> ir.TensorProtocol:
    held = model.graph.initializers[name].const_value
    assert held is not None
    return held


def test_kernels_are_rounded_and_biases_are_not() -> None:
    """A kernel becomes the nearest float16 numbers, still float32 to the model; vectors keep every digit."""
    kernel = np.random.default_rng(0).standard_normal((6, 4))
    model = _dense(kernel)
    done = round_weights(model)
    assert (done.rounded, done.kept) == (("kernel",), ())
    held = _held(model, "kernel")
    assert isinstance(held, HalfTensor)
    assert held.dtype == ir.DataType.FLOAT
    np.testing.assert_array_equal(held.numpy(), kernel.astype(np.float32).astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(_held(model, "bias").numpy(), np.full(4, np.float32(0.1)))


@pytest.mark.parametrize(
    ("scale", "word"),
    [(1e6, "float16 ends at 65504"), (1e-7, "too few digits"), (np.nan, "float16 ends at 65504")],
    ids=["large", "small", "nan"],
)
def test_what_float16_has_no_numbers_for_stays(scale: float, word: str) -> None:
    """Beyond its range, or mostly below it, weights stay what they are, and the reason is told."""
    kernel = np.random.default_rng(0).standard_normal((6, 4)) * scale
    model = _dense(kernel)
    done = round_weights(model)
    assert done.rounded == ()
    ((name, reason),) = done.kept
    assert name == "kernel" and word in reason
    np.testing.assert_array_equal(_held(model, "kernel").numpy(), kernel.astype(np.float32))


def test_a_few_small_numbers_dont_matter() -> None:
    """Zeros and a channel that is nearly nothing are rounded with the others."""
    kernel = np.random.default_rng(0).standard_normal((6, 4))
    kernel[:, 1] = 0
    kernel[:, 2] *= 1e-8
    assert round_weights(_dense(kernel)).rounded == ("kernel",)


def test_other_float_types_are_left_alone() -> None:
    """Weights in float64 aren't rounded without being asked for: --weights is about float32."""
    net = Net(dtype=ir.DataType.DOUBLE)
    x = net.b.input("x", ir.DataType.DOUBLE, ("N", 3))
    model = net.b.finish({"y": net.b.op("Dense", x, net.normal("kernel", 3, 2))})
    assert round_weights(model).rounded == ()
