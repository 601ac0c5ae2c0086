"""The forward computation reads variables whose assignments it goes on with in training."""

from __future__ import annotations

import numpy as np
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


@pytest.mark.parametrize("resource", [True, False])
def test_a_state_that_every_call_changes_is_a_warning(resource: bool) -> None:
    """What is computed from the input is assigned to a variable that the output needs: it begins as saved."""
    g = Draft()
    x = g.placeholder("x")
    state = g.variable("state", resource=resource)
    y = g.add("y", "AddV2", g.dense("dense", x), state)
    g.add("keep", "AssignVariableOp" if resource else "Assign", Ref("state"), y)
    (warning,) = g.infer(y.node).findings.warnings
    assert warning.startswith("state: the model changes them at every call")


def test_what_sets_a_variable_otherwise_is_none() -> None:
    """Initial values, restored ones and steps of gradients are no states."""
    g = Draft()
    x = g.placeholder("x")
    y = g.dense("dense", x)
    g.add("start", "Assign", Ref("dense/kernel"), g.const("zeros", np.zeros((4, 4))))
    step = g.add("gradients/step", "MatMul", x, y, transpose_a=True)
    g.add("train", "AssignSub", Ref("dense/kernel"), step)
    assert g.infer(y.node).findings.warnings == []
