"""Concatenations of concatenations become one, in the right order; numbers stay the same."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Net, fold

IMAGE = ("N", 8, 8, 4)


def _three(net: Net, x: ir.Value) -> list[ir.Value]:
    return [net.op(name, x) for name in ("Relu", "Tanh", "Sigmoid")]


@pytest.mark.parametrize("inner", [-1, 3])
@pytest.mark.parametrize("outer", [-1, 3])
def test_nested_concatenations_are_one(inner: int, outer: int) -> None:
    """However deep, and however the axis is counted."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        a, b, c = _three(net, x)
        nested = net.op("Concat", b, net.op("Concat", c, a, axis=inner), axis=inner)
        return net.op("Concat", a, nested, c, axis=outer)

    folded = fold(build, IMAGE)
    assert folded.ops.count("Concat") == 1
    assert folded.error == 0


def test_along_another_axis_they_stay() -> None:
    """Height, then channels."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        a, b, c = _three(net, x)
        high = net.op("Concat", a, b, axis=1)
        return net.op("Concat", high, net.op("Concat", c, a, axis=1), axis=3)

    folded = fold(build, IMAGE)
    assert folded.ops.count("Concat") == 3
    assert folded.error == 0


@pytest.mark.parametrize("seen", ["by another op", "as an output", "twice"])
def test_what_others_see_is_not_copied_again(seen: str) -> None:
    """By another op, as an output of the model, or by the same concatenation a second time."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        a, b, c = _three(net, x)
        pair = net.op("Concat", a, b, axis=3)
        whole = net.op("Concat", pair, pair if seen == "twice" else c, axis=3)
        others = {"by another op": {"z": net.op("Exp", pair)}, "as an output": {"z": pair}}
        return {"y": whole, **others.get(seen, {})}

    folded = fold(build, IMAGE)
    assert folded.ops.count("Concat") == 2
    assert folded.error == 0
