"""Means over all of space are global pools where the channels come first, and only there."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tests.unit.targets.networks import Net, export


@pytest.mark.parametrize(
    ("axes", "keepdims", "op"),
    [
        ((1, 2), 1, "GlobalAveragePool"),
        ((-2, -3), 1, "GlobalAveragePool"),
        ((1, 2), 0, "ReduceMean"),
        ((2,), 1, "ReduceMean"),
        ((1, 2, 3), 1, "ReduceMean"),
    ],
)
def test_only_means_over_all_of_space_that_keep_it(axes: tuple[int, ...], keepdims: int, op: str) -> None:
    """Between convolutions, as in a squeeze-and-excite block, or with the axes dropped."""
    net = Net()
    y = net.conv(net.input("x", "N", 6, 5, 3), 4)
    mean = net.op("ReduceMean", y, net.ints(*axes), keepdims=keepdims)
    exported = export(net.finish(y=net.op("Mul", y, mean) if keepdims else mean))
    assert exported.ops[op] == 1
    assert exported.ops["GlobalAveragePool"] + exported.ops["ReduceMean"] == 1
    exported.assert_same()


def test_of_channels_last_tensors_they_stay_means() -> None:
    """Without a convolution nothing is channels-first."""
    net = Net()
    x = net.input("x", "N", 6, 5, 3)
    exported = export(net.finish(y=net.op("ReduceMean", x, net.ints(1, 2))))
    assert exported.ops == {"ReduceMean": 1}
    exported.assert_same()


def test_of_other_types_they_stay_means() -> None:
    """Onnxruntime's CPU pools are for float32."""
    net = Net()
    x = net.input("x", "N", 6, 5, 3, dtype=ir.DataType.DOUBLE)
    y = net.op("MaxPool", x, kernel_shape=[2, 2])
    exported = export(net.finish(y=net.op("ReduceMean", y, net.ints(1, 2))))
    assert exported.ops["ReduceMean"] == 1
