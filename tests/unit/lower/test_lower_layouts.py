"""Channels-first nodes compute what their channels-last twins compute; TensorFlow has no such kernels on a CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.ir.ops import is_op
from tests.unit.lower.handmade import const, lower, lower_and_run, node
from tests.unit.lower.oracle import assert_close

_random = np.random.default_rng(7)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 7, 8, 4)
VOLUME = _floats(2, 5, 6, 7, 4)
C = _floats(4)


def _first(numbers: list[int]) -> list[int]:
    return [numbers[0], numbers[-1], *numbers[1:-1]]


def _case(op: str, constants: list[Any], attributes: dict[str, Any], per_axis: dict[str, list[int]], x: Any = X) -> Any:
    """(op, the other inputs, attributes of the one layout, of the other, the input)."""
    formats = (b"NHWC", b"NCHW") if x.ndim == 4 else (b"NDHWC", b"NCDHW")
    last = {**attributes, **per_axis, "data_format": formats[0]}
    first = {**attributes, **{name: _first(value) for name, value in per_axis.items()}, "data_format": formats[1]}
    return pytest.param(op, constants, last, first, x, id=f"{op}-{attributes.get('padding', b'').decode()}")


CASES = [
    _case("Conv2D", [_floats(3, 2, 4, 5)], {"padding": b"SAME"}, {"strides": [1, 2, 1, 1], "dilations": [1, 1, 2, 1]}),
    _case("Conv3D", [_floats(3, 2, 2, 4, 5)], {"padding": b"VALID"}, {"strides": [1, 2, 1, 2, 1]}, VOLUME),
    _case("DepthwiseConv2dNative", [_floats(3, 2, 4, 2)], {"padding": b"VALID"}, {"strides": [1, 2, 2, 1]}),
    _case("MaxPool", [], {"padding": b"SAME"}, {"ksize": [1, 3, 2, 1], "strides": [1, 2, 1, 1]}),
    _case("AvgPool", [], {"padding": b"SAME"}, {"ksize": [1, 3, 2, 1], "strides": [1, 2, 1, 1]}),
    _case("MaxPool3D", [], {"padding": b"VALID"}, {"ksize": [1, 3, 2, 1, 1], "strides": [1, 2, 1, 2, 1]}, VOLUME),
    _case("AvgPool3D", [], {"padding": b"SAME"}, {"ksize": [1, 3, 2, 1, 1], "strides": [1, 2, 1, 2, 1]}, VOLUME),
    _case("BiasAdd", [C], {}, {}),
    _case("FusedBatchNormV3", [C, C + 1, C * 2, C * C], {"is_training": False, "epsilon": 0.01}, {}),
    _case("FusedBatchNormV3", [C, C + 1, C * 2, C * C], {"is_training": False, "epsilon": 0.01}, {}, VOLUME),
    _case("FusedBatchNormV2", [C, C + 1, C[:0], C[:0]], {"is_training": True, "epsilon": 0.01}, {}),
    _case("DepthToSpace", [], {"block_size": 2}, {}),
    _case("SpaceToDepth", [], {"block_size": 2}, {}, X[:, :6]),
]


@pytest.mark.parametrize(("op", "constants", "last", "first", "x"), CASES)
def test_channels_first(op: str, constants: list[Any], last: Any, first: Any, x: Any) -> None:
    """The channels-first node gives the transposed result of the channels-last one."""
    others = [const(f"c{i}", array) for i, array in enumerate(constants)]
    names = [other.name for other in others]
    expected = lower_and_run([*others, node("y", op, "x", *names, **last)], {"x": x}, "y")
    moved = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    actual = lower_and_run([*others, node("y", op, "x", *names, **first)], {"x": moved}, "y")
    assert_close(np.moveaxis(actual, 1, -1), expected, 4, op)


def test_explicit_paddings_are_in_the_order_of_the_layout() -> None:
    """Channels first, explicit paddings name the channels second."""
    kernel = const("w", _floats(3, 2, 4, 5))
    options = {"padding": b"EXPLICIT", "strides": [1, 1, 1, 1]}
    last = node("y", "Conv2D", "x", "w", **options, data_format=b"NHWC", explicit_paddings=[0, 0, 1, 2, 3, 0, 0, 0])
    first = node("y", "Conv2D", "x", "w", **options, data_format=b"NCHW", explicit_paddings=[0, 0, 0, 0, 1, 2, 3, 0])
    expected = lower_and_run([kernel, last], {"x": X}, "y")
    actual = lower_and_run([kernel, first], {"x": X.transpose(0, 3, 1, 2).copy()}, "y")
    assert_close(actual.transpose(0, 2, 3, 1), expected, 4)


def test_transposed_convolution_channels_first() -> None:
    """The sizes that a transposed convolution is given are in the order of the layout."""
    kernel = const("w", _floats(3, 2, 5, 4))
    sizes = [
        const("last", np.array([2, 14, 16, 5], np.int32)),
        const("first", np.array([2, 5, 14, 16], np.int32)),
    ]
    last = node("y", "Conv2DBackpropInput", "last", "w", "x", padding=b"SAME", strides=[1, 2, 2, 1])
    first = node(
        "y", "Conv2DBackpropInput", "first", "w", "x", padding=b"SAME", strides=[1, 1, 2, 2], data_format=b"NCHW"
    )
    expected = lower_and_run([kernel, *sizes, last], {"x": X}, "y")
    actual = lower_and_run([kernel, *sizes, first], {"x": X.transpose(0, 3, 1, 2).copy()}, "y")
    assert_close(actual.transpose(0, 2, 3, 1), expected, 4)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_recognised_batch_norm(axis: int) -> None:
    """A recognised batch norm works along the axis that it names, and its node carries the batch norm's name."""
    size = X.shape[axis]
    gamma, beta, mean, variance = _floats(3, size)[0], _floats(size), _floats(size), np.abs(_floats(size))
    arrays = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    nodes = [
        *(const(name, array) for name, array in arrays.items()),
        node("y", "BatchNorm", "x", *arrays, epsilon=0.01, axis=axis, batch_norm="bn"),
    ]
    shape = [size if i == axis % 4 else 1 for i in range(4)]
    g, b, m, v = (array.reshape(shape) for array in arrays.values())
    expected = (X - m) / np.sqrt(v + np.float32(0.01)) * g + b
    model = lower(nodes, {"x": X}, ["y"], batch_norms={"y": "bn"})
    marked = [n for n in model.graph if n.metadata_props.get("batch_norm") == "bn"]
    assert len(marked) == 1
    assert is_op(marked[0], "BatchNormalization")
    assert_close(lower_and_run(nodes, {"x": X}, "y"), expected, 16)


@pytest.mark.parametrize("scale", [True, False])
def test_global_normalization(scale: bool) -> None:
    """The batch norm of TensorFlow 0.x uses gamma only with scale_after_normalization."""
    arrays = {"m": _floats(4), "v": np.abs(_floats(4)), "b": _floats(4), "g": _floats(4)}
    nodes = [
        *(const(name, array) for name, array in arrays.items()),
        node(
            "y",
            "BatchNormWithGlobalNormalization",
            "x",
            *arrays,
            variance_epsilon=0.01,
            scale_after_normalization=scale,
        ),
    ]
    expected = (X - arrays["m"]) / np.sqrt(arrays["v"] + np.float32(0.01)) * (arrays["g"] if scale else 1) + arrays["b"]
    assert_close(lower_and_run(nodes, {"x": X}, "y"), expected.astype(np.float32), 16)
