"""Batch norms written as arithmetic are recognised in each of their forms, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from exporter.errors import ValueInputError
from exporter.inference.model import BATCH_NORM
from exporter.sources.graph import Ref
from tests.unit.inference.graphs import Draft

_EPSILON = 2e-3


def _parameters(g: Draft, shape: tuple[int, ...] = (4,)) -> list[Ref]:
    return [g.variable(f"bn/{part}", shape) for part in ("gamma", "beta", "moving_mean", "moving_variance")]


def _root(g: Draft, variance: Ref, op: str = "Rsqrt") -> Ref:
    return g.add("root", op, g.add("under", "AddV2", variance, g.const("epsilon", _EPSILON)))


def _expanded(g: Draft, x: Ref) -> Ref:
    """`x * (inv * gamma) + (beta - mean * (inv * gamma))`."""
    gamma, beta, mean, variance = _parameters(g)
    inverse = g.add("inverse", "Mul", _root(g, variance), gamma)
    shift = g.add("shift", "Sub", beta, g.add("mean_1", "Mul", mean, inverse))
    return g.add("y", "AddV2", g.add("scaled", "Mul", x, inverse), shift)


def _without_beta(g: Draft, x: Ref) -> Ref:
    """`x * inv + (-mean) * inv`."""
    gamma, _, mean, variance = _parameters(g)
    inverse = g.add("inverse", "Mul", _root(g, variance), gamma)
    shift = g.add("shift", "Mul", g.add("negated", "Neg", mean), inverse)
    return g.add("y", "AddV2", g.add("scaled", "Mul", x, inverse), shift)


def _without_gamma(g: Draft, x: Ref) -> Ref:
    """`x * inv + (beta - mean * inv)`."""
    _, beta, mean, variance = _parameters(g)
    inverse = _root(g, variance)
    shift = g.add("shift", "Sub", beta, g.add("mean_1", "Mul", mean, inverse))
    return g.add("y", "AddV2", g.add("scaled", "Mul", x, inverse), shift)


def _centred(g: Draft, x: Ref) -> Ref:
    """`(x - mean) * inv * gamma + beta`."""
    gamma, beta, mean, variance = _parameters(g)
    normal = g.add("normal", "Mul", g.add("centred", "Sub", x, mean), _root(g, variance))
    return g.add("y", "Add", g.add("scaled", "Mul", normal, gamma), beta)


def _divided(g: Draft, x: Ref) -> Ref:
    """`gamma * ((x - mean) / sqrt(variance + epsilon)) + beta`."""
    gamma, beta, mean, variance = _parameters(g)
    normal = g.add("normal", "RealDiv", g.add("centred", "Sub", x, mean), _root(g, variance, "Sqrt"))
    return g.add("y", "AddV2", g.add("scaled", "Mul", gamma, normal), beta)


def _gamma_first(g: Draft, x: Ref) -> Ref:
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`."""
    gamma, beta, mean, variance = _parameters(g)
    scaled = g.add("scaled", "Mul", gamma, g.add("centred", "Sub", x, mean))
    return g.add("y", "AddV2", g.add("normal", "RealDiv", scaled, _root(g, variance, "Sqrt")), beta)


_FORMS: dict[Callable[[Draft, Ref], Ref], tuple[str, str]] = {
    _expanded: ("stored as bn/gamma", "stored as bn/beta"),
    _without_beta: ("stored as bn/gamma", "0 (center=False)"),
    _without_gamma: ("1 (scale=False)", "stored as bn/beta"),
    _centred: ("stored as bn/gamma", "stored as bn/beta"),
    _divided: ("stored as bn/gamma", "stored as bn/beta"),
    _gamma_first: ("stored as bn/gamma", "stored as bn/beta"),
}


@pytest.mark.parametrize("form", _FORMS)
def test_every_form(form: Callable[[Draft, Ref], Ref]) -> None:
    """One node takes the place of the arithmetic, with all four parameters and epsilon in their places."""
    g = Draft()
    x = g.placeholder("x")
    y = form(g, x)
    found = g.infer(y.node)
    (norm,) = found.batch_norms
    assert (norm.name, norm.channels) == ("bn", 4)
    assert norm.epsilon == pytest.approx(_EPSILON)
    assert (norm.gamma, norm.beta) == _FORMS[form]
    assert (norm.mean, norm.variance) == ("stored as bn/moving_mean", "stored as bn/moving_variance")
    node = found.model.graph.nodes[y.node]
    assert node.op == BATCH_NORM
    assert node.inputs[0] == x
    assert node.attribute("axis") == -1
    assert found.model.batch_norms == {y.node: "bn"}


def test_what_is_left_out_is_neutral() -> None:
    """A missing gamma is a constant of ones, a missing beta one of zeros, both as long as the others."""
    for form, position, value in ((_without_gamma, 1, 1), (_without_beta, 2, 0)):
        g = Draft()
        y = form(g, g.placeholder("x"))
        graph = g.infer(y.node).model.graph
        constant = graph.nodes[graph.nodes[y.node].inputs[position].node]
        assert constant.attribute("value").tolist() == [value] * 4


@pytest.mark.parametrize(("shape", "axis"), [((1, 4, 1, 1), 1), ((1, 1, 1, 4), -1), ((4, 1, 1), 0)])
def test_parameters_along_an_axis(shape: tuple[int, ...], axis: int) -> None:
    """A shape like [1, C, 1, 1] says which axis the channels are on."""
    g = Draft()
    x = g.placeholder("x", (None, 4, 8, 8))
    gamma, beta, mean, variance = _parameters(g, shape)
    normal = g.add("normal", "Mul", g.add("centred", "Sub", x, mean), _root(g, variance))
    y = g.add("y", "Add", g.add("scaled", "Mul", normal, gamma), beta)
    found = g.infer(y.node)
    assert found.model.graph.nodes[y.node].attribute("axis") == axis


def test_a_frozen_graph() -> None:
    """Constants in the place of variables are parameters too."""
    g = Draft()
    x = g.placeholder("x")
    gamma, beta, mean, variance = (g.const(f"bn/{p}", np.arange(1, 5) / 4) for p in ("gamma", "beta", "mean", "var"))
    inverse = g.add("inverse", "Mul", _root(g, variance), gamma)
    shift = g.add("shift", "Sub", beta, g.add("mean_1", "Mul", mean, inverse))
    found = g.infer(g.add("y", "AddV2", g.add("scaled", "Mul", x, inverse), shift).node)
    (norm,) = found.batch_norms
    assert (norm.gamma, norm.mean) == ("constant bn/gamma", "constant bn/mean")


def _fused_ones(g: Draft, x: Ref) -> Ref:
    """A fused op whose gamma is a constant of ones, as `scale=False` is written."""
    ones = g.const("ones", np.ones(4))
    others = [g.variable(f"bn/{part}") for part in ("beta", "moving_mean", "moving_variance")]
    return g.add("y", "FusedBatchNormV3", x, ones, *others, is_training=False, epsilon=1e-3)


def test_ones_for_gamma() -> None:
    """A constant gamma of ones is said to be `scale=False`."""
    g = Draft()
    y = _fused_ones(g, g.placeholder("x", (None, 8, 8, 4)))
    (norm,) = g.infer(y.node).batch_norms
    assert norm.gamma == "1 (scale=False)"


def test_a_layer_used_twice() -> None:
    """Two uses of the same parameters are two rows, told apart by number."""
    g = Draft()
    first = _fused_ones(g, g.placeholder("x", (None, 8, 8, 4)))
    node = g.nodes[first.node]
    second = g.add("z", node.op, first, *node.inputs[1:], **dict(node.attributes))
    assert [norm.name for norm in g.infer(second.node).batch_norms] == ["bn", "bn (2)"]


def _attention(g: Draft, x: Ref) -> Ref:
    """The variance is computed from data: `x * rsqrt(f(x) + epsilon)`."""
    variance = g.mean("power", g.add("square", "Square", x), (1,), keep=True)
    return g.add("y", "Mul", x, _root(g, variance))


def _two_norms_of_one_root(g: Draft, x: Ref) -> Ref:
    """The same root scales two tensors: no single layer."""
    _, _, mean, variance = _parameters(g)
    inverse = _root(g, variance)
    a = g.add("a", "Mul", x, inverse)
    b = g.add("b", "Mul", g.add("relu", "Relu", x), inverse)
    return g.add("y", "AddV2", g.add("sum", "AddV2", a, b), mean)


def _scale_alone(g: Draft, x: Ref) -> Ref:
    """A root of weights without a mean: weight normalisation."""
    return g.add("y", "Mul", x, _root(g, g.variable("norm")))


def _matrix(g: Draft, x: Ref) -> Ref:
    """Parameters with two axes are no vectors of channels."""
    gamma, beta, mean, variance = _parameters(g, (4, 4))
    normal = g.add("normal", "Mul", g.add("centred", "Sub", x, mean), _root(g, variance))
    return g.add("y", "Add", g.add("scaled", "Mul", normal, gamma), beta)


@pytest.mark.parametrize("form", [_attention, _two_norms_of_one_root, _scale_alone, _matrix])
def test_what_is_no_batch_norm(form: Callable[[Draft, Ref], Ref]) -> None:
    """Arithmetic that only looks like one stays arithmetic."""
    g = Draft()
    found = g.infer(form(g, g.placeholder("x")).node)
    assert found.batch_norms == ()
    assert BATCH_NORM not in found.ops


def test_a_normalised_layer_used_elsewhere_too() -> None:
    """Where the normalised value is also used without gamma and beta, these aren't swallowed."""
    g = Draft()
    x = g.placeholder("x")
    gamma, beta, mean, variance = _parameters(g)
    normal = g.add("normal", "Mul", g.add("centred", "Sub", x, mean), _root(g, variance))
    affine = g.add("affine", "AddV2", g.add("scaled", "Mul", normal, gamma), beta)
    found = g.infer(g.add("y", "AddV2", affine, normal).node)
    (norm,) = found.batch_norms
    assert (norm.gamma, norm.beta) == ("1 (scale=False)", "0 (center=False)")
    assert found.model.graph.nodes["scaled"].op == "Mul"


@pytest.mark.parametrize(
    ("part", "value"),
    [("moving_variance", -1.0), ("moving_variance", np.nan), ("moving_variance", np.inf), ("moving_mean", np.nan)],
)
def test_statistics_that_cannot_be_meant(part: str, value: float) -> None:
    """A negative variance, NaN and infinity name the batch norm, the statistic and a value."""
    g = Draft()
    y = _centred(g, g.placeholder("x"))
    g.weights[f"bn/{part}"][2] = value
    with pytest.raises(ValueInputError, match=rf"batch norm bn: .*1 of 4 values.*bn/{part}"):
        g.infer(y.node)


def test_statistics_as_initialised() -> None:
    """Means of 0 and variances of 1 are a warning with the layer's name; others are not."""
    g = Draft()
    y = _centred(g, g.placeholder("x"))
    assert not g.infer(y.node).findings.warnings
    g.weights["bn/moving_mean"][:] = 0
    g.weights["bn/moving_variance"][:] = 1
    (warning,) = g.infer(y.node).findings.warnings
    assert "bn" in warning
