"""Ops that TensorFlow's graph optimiser fuses compute what the ops compute that they were made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from exporter.errors import UnsupportedError
from tests.unit.lower.handmade import const, lower, lower_and_run, node
from tests.unit.lower.oracle import assert_close

_random = np.random.default_rng(9)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 5, 6, 3)
M = _floats(4, 3)
CONSTANTS = [
    const("w", _floats(3, 3, 3, 4)),
    const("depthwise", _floats(3, 3, 3, 2)),
    const("matrix", _floats(3, 4)),
    *(const(name, np.abs(_floats(4)) + 1) for name in ("b", "gamma", "beta", "mean", "variance")),
]
CONV = {"strides": [1, 1, 1, 1], "padding": b"SAME"}
BATCH_NORM = ("gamma", "beta", "mean", "variance")


def _same(fused: Any, chain: list[Any], x: Any) -> None:
    """The fused node y gives what the last node of the chain gives."""
    expected = lower_and_run([*CONSTANTS, *chain], {"x": x}, chain[-1].name)
    actual = lower_and_run([*CONSTANTS, fused], {"x": x}, "y")
    assert_close(actual, expected, 16)


ACTIVATIONS = ["Relu", "Relu6", "Elu", "LeakyRelu", "Sigmoid", "Tanh"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_convolution_bias_activation(activation: str) -> None:
    """`_FusedConv2D` adds the bias and applies the activation."""
    fused = node(
        "y", "_FusedConv2D", "x", "w", "b", **CONV, fused_ops=(b"BiasAdd", activation.encode()), leakyrelu_alpha=0.3
    )
    chain = [
        node("conv", "Conv2D", "x", "w", **CONV),
        node("bias", "BiasAdd", "conv", "b"),
        node("end", activation, "bias", alpha=0.3),
    ]
    _same(fused, chain, X)


@pytest.mark.parametrize("data_format", [b"NHWC", b"NCHW"])
def test_convolution_batch_norm(data_format: bytes) -> None:
    """`_FusedConv2D` with a batch norm, in either layout."""
    x = X if data_format == b"NHWC" else X.transpose(0, 3, 1, 2).copy()
    options = {**CONV, "data_format": data_format}
    fused = node("y", "_FusedConv2D", "x", "w", *BATCH_NORM, **options, fused_ops=(b"FusedBatchNorm",), epsilon=0.01)
    chain = [
        node("conv", "Conv2D", "x", "w", **options),
        node("end", "FusedBatchNormV3", "conv", *BATCH_NORM, data_format=data_format, is_training=False, epsilon=0.01),
    ]
    _same(fused, chain, x)


def test_depthwise_and_matrix() -> None:
    """The depthwise convolution and the matrix product are fused in the same way."""
    fused = node("y", "_FusedDepthwiseConv2dNative", "x", "depthwise", "six", **CONV, fused_ops=(b"BiasAdd",))
    six = const("six", _floats(6))
    chain = [
        six,
        node("conv", "DepthwiseConv2dNative", "x", "depthwise", **CONV),
        node("end", "BiasAdd", "conv", "six"),
    ]
    expected = lower_and_run([*CONSTANTS, *chain], {"x": X}, "end")
    assert_close(lower_and_run([*CONSTANTS, six, fused], {"x": X}, "y"), expected, 16)
    product = [node("product", "MatMul", "x", "matrix"), node("bias", "BiasAdd", "product", "b")]
    _same(
        node("y", "_FusedMatMul", "x", "matrix", "b", fused_ops=(b"BiasAdd", b"Relu")),
        [*product, node("end", "Relu", "bias")],
        M,
    )


def test_exact_gelu() -> None:
    """GeluExact is x P(normal < x), GeluApproximate is close to it."""
    for name, units in ((b"GeluExact", 16), (b"GeluApproximate", 2**14)):
        fused = node("y", "_FusedMatMul", "x", "matrix", "b", fused_ops=(b"BiasAdd", name))
        plain = node("y", "_FusedMatMul", "x", "matrix", "b", fused_ops=(b"BiasAdd",))
        z = lower_and_run([*CONSTANTS, plain], {"x": M}, "y").astype(np.float64)
        normal = np.vectorize(lambda v: 0.5 * (1 + math.erf(v / 2**0.5)))(z)
        assert_close(lower_and_run([*CONSTANTS, fused], {"x": M}, "y"), (z * normal).astype(np.float32), units)


def test_batch_norm_with_another_tensor() -> None:
    """`_FusedBatchNormEx` adds its side input before the activation."""
    x = _floats(2, 3, 3, 4)
    options = {"is_training": False, "epsilon": 0.01}
    fused = node("y", "_FusedBatchNormEx", "x", *BATCH_NORM, "x", **options, activation_mode=b"Relu")
    chain = [
        node("norm", "FusedBatchNormV3", "x", *BATCH_NORM, **options),
        node("sum", "AddV2", "norm", "x"),
        node("end", "Relu", "sum"),
    ]
    _same(fused, chain, x)


@pytest.mark.parametrize(
    "attributes", [{"fused_ops": (b"BiasAdd", b"Swish")}, {"fused_ops": (), "filter_format": b"OIHW"}]
)
def test_unknown_fusions_are_refused(attributes: dict[str, Any]) -> None:
    """What `fused_ops` or the kernel's format says and isn't known is refused."""
    with pytest.raises(UnsupportedError, match=r"Swish|OIHW"):
        lower([*CONSTANTS, node("y", "_FusedConv2D", "x", "w", "b", **CONV, **attributes)], {"x": X}, ["y"])


def test_old_top_k() -> None:
    """`TopK` of TensorFlow 0.x has k as an attribute."""
    values = lower_and_run([node("y", "TopK", "x", k=2)], {"x": M}, "y")
    np.testing.assert_array_equal(values, -np.sort(-M, axis=1)[:, :2])
