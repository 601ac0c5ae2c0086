"""Constants that ops work on have no layout of their own: they come in the order that the rest of the network has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.targets.networks import Net, export

Build = Callable[[Net, ir.Value], ir.Value]


def _repeated(net: Net, count: ir.Value) -> ir.Value:
    repeats = net.op("Concat", count, net.ints(1, 1, 1), axis=0)
    return net.raw("Tile", net.w(1, 6, 5, 3), repeats, shape=("N", 6, 5, 3))


CONSTANT: dict[str, Build] = {
    "Slice": lambda net, count: net.op("Slice", net.w(6, 6, 5, 3), net.ints(0), count, net.ints(0)),
    "Tile": _repeated,
    "ReduceMean": lambda net, count: net.op("ReduceMean", net.w(1, 6, 5, 3), net.ints(1, 2)),
    "Relu": lambda net, count: net.op("Relu", net.w(6, 5, 3)),
}


@pytest.mark.parametrize("op", CONSTANT)
def test_an_op_on_a_constant_meets_a_convolution(op: str) -> None:
    """As where positions are cut or repeated to the size of the batch."""
    net = Net()
    x, count = net.input("x", "N", 6, 5, 3), net.input("count", 1, dtype=ir.DataType.INT64)
    y = net.op("Mul", net.conv(x, 3), CONSTANT[op](net, count))
    given = {"x": np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype(np.float32), "count": np.array([2])}
    exported = export(net.finish(y=net.conv(y, 2)), given=given)
    exported.assert_same()
    assert exported.ops[op] == 1
