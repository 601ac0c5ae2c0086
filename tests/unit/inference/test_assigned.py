"""The forward computation reads variables whose assignments it goes on with in training."""

from __future__ import annotations

import pytest

from exporter.sources.graph import Ref
from tests.unit.inference.graphs import FLOAT, Draft


@pytest.mark.parametrize("op", ["Assign", "AssignSub", "AssignAdd"])
def test_an_assigned_range_is_read(op: str) -> None:
    """Quantisation-aware training goes on with a range that it has just averaged: inference with the stored one."""
    g = Draft()
    x = g.placeholder("x")
    largest = g.add("largest", "Max", x, g.const("axes", [0, 1]), T=FLOAT)
    g.variable("range", ())
    step = g.add("step", "Mul", g.add("difference", "Sub", Ref("range/read"), largest), g.const("decay", 0.01))
    y = g.add("y", "Minimum", x, g.add("update", op, Ref("range"), step))
    found = g.infer(y.node)
    assert found.decided("value") == {"update": "range as stored"}
    assert found.ops.count("Max") == 0 and set(found.model.variables) == {"range"}
