"""Roots of stored numbers that have none are errors that name the tensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import ValueInputError
from exporter.ir.roots import check_roots
from tests.unit.passes.nets import Net

Root = Callable[[Net, ir.Value], ir.Value]

SPELLINGS: dict[str, Root] = {
    "rsqrt(variance + epsilon)": lambda net, v: net.op(
        "Reciprocal", net.op("Sqrt", net.op("Add", v, net.weight("epsilon", 1e-3)))
    ),
    "sqrt(epsilon + variance)": lambda net, v: net.op("Sqrt", net.op("Add", net.weight("epsilon", 1e-3), v)),
    "max(sqrt(variance), fuzz)": lambda net, v: net.op("Max", net.op("Sqrt", v), net.weight("fuzz", 1e-7)),
    "sqrt of another shape": lambda net, v: net.op("Sqrt", net.op("Reshape", v, net.ints(1, 4))),
    "pow(variance + epsilon, -0.5)": lambda net, v: net.op(
        "Pow", net.op("Add", v, net.weight("epsilon", 1e-3)), net.weight("half", -0.5)
    ),
}


def _model(root: Root, variance: list[float]) -> ir.Model:
    net = Net()
    x = net.b.input("x", net.dtype, ["N", 4])
    deviation = root(net, net.weight("norm/variance", variance))
    return net.b.finish({"y": net.op("Mul", net.op("Sub", x, net.weight("norm/mean", np.zeros(4))), deviation)})


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("number", [-0.5, -1e-5, np.nan, np.inf])
def test_a_bad_variance_is_named(name: str, number: float) -> None:
    """With the number, and where it is; even if epsilon makes a small one positive."""
    with pytest.raises(ValueInputError, match=r"norm/variance is \S+ in element \[2\]") as caught:
        check_roots(_model(SPELLINGS[name], [1.0, 2.0, number, 0.0]))
    assert f"{number:g}" in str(caught.value)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_good_variance_passes(name: str) -> None:
    """Zeros among it."""
    check_roots(_model(SPELLINGS[name], [1.0, 2.0, 1e-12, 0.0]))


def test_what_is_computed_is_named_after_what_it_is_computed_from() -> None:
    """A difference of stored tensors under a root."""

    def root(net: Net, v: ir.Value) -> ir.Value:
        return net.op("Sqrt", net.op("Sub", v, net.weight("norm/square", np.ones(4))))

    with pytest.raises(ValueInputError, match=r"what is computed from norm/square and norm/variance is -0.5"):
        check_roots(_model(root, [1.0, 0.5, 2.0, 1.0]))


def test_other_powers_and_computed_tensors_are_no_business_of_this() -> None:
    """A square of negative numbers, and the root of an input."""
    net = Net()
    x = net.b.input("x", net.dtype, ["N", 4])
    squares = net.op("Pow", net.weight("w", [-1.0, 1.0, -2.0, 2.0]), net.weight("two", 2.0))
    check_roots(net.b.finish({"y": net.op("Mul", net.op("Sqrt", x), squares)}))
