"""Flags that are numbers, and weights that training averaged over its steps."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.errors import UsageError
from exporter.sources.graph import Ref
from tests.unit.inference.graphs import Draft


def _blend(g: Draft, *, moving: Ref, statistic: Ref, inverted: bool = False) -> Ref:
    """`phase * statistic + (1 - phase) * moving`."""
    phase = g.placeholder("phase", ())
    rest = g.add("rest", "Sub", g.const("one", 1.0), phase)
    weights = (rest, phase) if inverted else (phase, rest)
    return g.add("blend", "Add", g.add("a", "Mul", weights[0], statistic), g.add("b", "Mul", weights[1], moving))


@pytest.mark.parametrize(("inverted", "value"), [(False, "0"), (True, "1")])
def test_a_blend_is_resolved(inverted: bool, value: str) -> None:
    """The number that leaves the moving statistic alone is taken, and the placeholder is no input."""
    g = Draft()
    x = g.placeholder("x")
    statistic = g.mean("mean", x)
    blended = _blend(g, moving=g.variable("moving"), statistic=statistic, inverted=inverted)
    found = g.infer(g.add("y", "Sub", x, blended).node)
    assert found.decided("flag") == {"phase": value}
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert found.model.graph.nodes["y"].inputs == (x, Ref("moving/read"))


def test_a_blend_of_data_stays() -> None:
    """A gate between two tensors of the model is an input, not a flag."""
    g = Draft()
    x = g.placeholder("x")
    found = g.infer(_blend(g, moving=g.dense("a_layer", x), statistic=g.dense("b_layer", x)).node)
    assert found.decided("flag") == {}
    assert sorted(entry.name for entry in found.model.inputs) == ["phase", "x"]


def _averaged(*, in_graph: bool = True) -> Draft:
    g = Draft()
    g.dense("layer", g.placeholder("x"))
    g.weights["layer/kernel/ExponentialMovingAverage"] = np.full((4, 4), 7, np.float32)
    if in_graph:
        g.variable("shadow", (4, 4), 9)
        g.average("shadow", Ref("layer/kernel/read"))
    return g


@pytest.mark.parametrize(("in_graph", "value"), [(True, 9), (False, 7)])
def test_averaged_weights_on_request(in_graph: bool, value: float) -> None:
    """--ema takes the shadow that the graph updates, else the key that is called so."""
    found = _averaged(in_graph=in_graph).infer("layer/MatMul", ema=True)
    assert found.decided("ema") == {"1 variables": "averaged weights"}
    assert np.all(found.model.variables["layer/kernel"].read() == value)


def test_averaged_weights_are_mentioned() -> None:
    """Without --ema the raw weights are exported, and the report says that there are others."""
    found = _averaged().infer("layer/MatMul")
    assert found.decided("ema") == {"1 variables": "raw weights"}
    assert np.all(found.model.variables["layer/kernel"].read() == 0.5)


def test_no_averages_no_word() -> None:
    """Nothing is said where there are none, and asking for them is an error."""
    g = Draft()
    g.dense("layer", g.placeholder("x"))
    assert g.infer("layer/MatMul").decided("ema") == {}
    with pytest.raises(UsageError, match="--ema"):
        g.infer("layer/MatMul", ema=True)


def test_averages_of_another_shape_are_no_shadows() -> None:
    """A stored average that can't be this variable's is left alone."""
    g = Draft()
    g.dense("layer", g.placeholder("x"))
    g.weights["layer/kernel/ExponentialMovingAverage"] = np.zeros((2, 2), np.float32)
    assert g.infer("layer/MatMul").decided("ema") == {}
