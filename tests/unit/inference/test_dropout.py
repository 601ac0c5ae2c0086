"""Dropout and noise of training become the identity, by whatever TensorFlow wrote them; other randomness is left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from exporter.errors import UnsupportedError
from exporter.inference.findings import Findings
from exporter.inference.training.dropout import drop_noise
from exporter.sources.graph import Ref
from tests.unit.inference.graphs import BOOL, FLOAT, Draft

Keep = Callable[[Draft], Ref]


def _uniform(g: Draft, x: Ref, op: str = "RandomUniform") -> Ref:
    """`random_uniform(shape(x), 0, 1)` as TensorFlow writes it: `uniform * (1 - 0) + 0`."""
    drawn = g.add("uniform", op, g.add("shape", "Shape", x), dtype=FLOAT)
    low, high = g.const("min", 0.0), g.const("max", 1.0)
    scaled = g.add("uniform/mul", "Mul", drawn, g.add("uniform/sub", "Sub", high, low))
    return g.add("uniform/scaled", "Add", scaled, low)


def _keep(g: Draft) -> Ref:
    return g.const("keep_prob", 0.8)


def _fed_keep(g: Draft) -> Ref:
    return g.placeholder("keep_prob", ())


def _first(g: Draft, x: Ref, keep: Keep) -> Ref:
    """TensorFlow 0.5 to 1.12: `x / keep_prob * floor(keep_prob + uniform)`."""
    probability = keep(g)
    mask = g.add("floor", "Floor", g.add("add", "Add", probability, _uniform(g, x)))
    return g.add("mul", "Mul", g.add("div", "RealDiv", x, probability), mask)


def _second(g: Draft, x: Ref, keep: Keep) -> Ref:
    """1.13 to 2.4: `x * (1 / (1 - rate)) * cast(uniform >= rate)`."""
    rate = g.add("rate", "Sub", g.const("one", 1.0), keep(g))
    scale = g.add("truediv", "RealDiv", g.const("1", 1.0), g.add("sub", "Sub", g.const("one_2", 1.0), rate))
    kept = g.add("cast", "Cast", g.add("greater", "GreaterEqual", _uniform(g, x), rate), SrcT=BOOL, DstT=FLOAT)
    return g.add("mul_1", "Mul", g.add("mul", "Mul", x, scale), kept)


def _third(g: Draft, x: Ref, keep: Keep) -> Ref:
    """Since 2.5: `select(uniform >= rate, x * (1 / (1 - rate)), 0)`."""
    rate = g.add("rate", "Sub", g.const("one", 1.0), keep(g))
    scale = g.add("truediv", "RealDiv", g.const("1", 1.0), g.add("sub", "Sub", g.const("one_2", 1.0), rate))
    kept = g.add("greater", "GreaterEqual", _uniform(g, x), rate)
    return g.add("select", "SelectV2", kept, g.add("mul", "Mul", x, scale), g.const("zero", 0.0))


def _stateless(g: Draft, x: Ref, keep: Keep) -> Ref:
    """With a stateless generator, the comparison the other way round, zeros of the same shape."""
    rate = g.add("rate", "Sub", g.const("one", 1.0), keep(g))
    dropped = g.add("less", "Less", rate, _uniform(g, x, "StatelessRandomUniformV2"))
    scaled = g.add("div", "RealDiv", x, g.add("sub", "Sub", g.const("one_2", 1.0), rate))
    return g.add("select", "Select", dropped, scaled, g.add("zeros", "ZerosLike", x))


def _by_hand(g: Draft, x: Ref, keep: Keep) -> Ref:
    """`x * cast(uniform < keep_prob) / keep_prob`."""
    probability = keep(g)
    mask = g.add("cast", "Cast", g.add("less", "Less", _uniform(g, x), probability), SrcT=BOOL, DstT=FLOAT)
    return g.add("div", "RealDiv", g.add("mul", "Mul", x, mask), probability)


_PATTERNS = [_first, _second, _third, _stateless, _by_hand]


@pytest.mark.parametrize("pattern", _PATTERNS)
def test_a_constant_rate(pattern: Callable[[Draft, Ref, Keep], Ref]) -> None:
    """The output is the input; the report says dropout and how much it kept; nothing is warned of."""
    g = Draft()
    found = g.infer(g.add("y", "Relu", pattern(g, g.placeholder("x"), _keep)).node)
    assert found.ops == ["Relu"]
    (decision,) = [d for d in found.findings.decisions if d.kind == "dropout"]
    assert decision.choice == "identity"
    assert decision.reason.endswith("keep probability 0.8")
    assert not found.findings.warnings


@pytest.mark.parametrize("pattern", _PATTERNS)
def test_a_fed_rate(pattern: Callable[[Draft, Ref, Keep], Ref]) -> None:
    """A placeholder that says how much to keep is 1 and no input of the model, also where else it is used."""
    g = Draft()
    dropped = pattern(g, g.placeholder("x"), _fed_keep)
    found = g.infer(g.add("y", "Mul", dropped, Ref("keep_prob")).node)
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert found.decided("flag") == {"keep_prob": "1"}
    assert found.model.graph.nodes["y"].inputs == (Ref("x"), Ref("keep_prob"))
    assert found.model.graph.nodes["keep_prob"].attribute("value") == 1


def test_a_fed_rate_that_drops() -> None:
    """A placeholder that says how much to drop is 0."""
    g = Draft()
    x, rate = g.placeholder("x"), g.placeholder("rate", ())
    scale = g.add("div", "RealDiv", g.const("1", 1.0), g.add("sub", "Sub", g.const("one", 1.0), rate))
    kept = g.add("cast", "Cast", g.add("greater", "GreaterEqual", _uniform(g, x), rate), SrcT=BOOL, DstT=FLOAT)
    found = g.infer(g.add("mul_1", "Mul", g.add("mul", "Mul", x, scale), kept).node)
    assert found.decided("flag") == {"rate": "0"}
    assert found.model.outputs[0].ref == x


def test_a_rate_with_a_default() -> None:
    """`placeholder_with_default(0.5)` for the share to keep is 1 as well, not its default."""
    g = Draft()
    x = g.placeholder("x")
    keep = g.add("keep_prob", "PlaceholderWithDefault", g.const("default", 0.5), dtype=FLOAT, shape=())
    mask = g.add("floor", "Floor", g.add("add", "Add", keep, _uniform(g, x)))
    found = g.infer(g.add("mul", "Mul", g.add("div", "RealDiv", x, keep), mask).node)
    assert found.decided("flag") == {"keep_prob": "1"}
    assert found.model.outputs[0].ref == x


def test_two_layers_with_one_rate() -> None:
    """Both are dropped, and the placeholder is decided once."""
    g = Draft()
    x, keep = g.placeholder("x"), _fed_keep(g)
    for name in ("a", "b"):
        inner = Draft()
        inner.nodes = {"x": g.nodes["x"], "keep_prob": g.nodes["keep_prob"]}
        _first(inner, Ref("x"), lambda _: keep)
        for node in list(inner.nodes.values())[2:]:
            inputs = [
                x if ref == Ref("x") else ref if ref == keep else Ref(f"{name}/{ref.node}") for ref in node.inputs
            ]
            g.add(f"{name}/{node.name}", node.op, *inputs, **dict(node.attributes))
        x = g.add(f"{name}/relu", "Relu", Ref(f"{name}/mul"))
    found = g.infer("b/relu")
    assert found.ops == ["Relu", "Relu"]
    assert found.decided("flag") == {"keep_prob": "1"}


def test_a_mask_without_rescaling() -> None:
    """Values dropped at random and not made up for: left out, with a warning that numbers shift."""
    g = Draft()
    x = g.placeholder("x")
    mask = g.add("cast", "Cast", g.add("less", "Less", _uniform(g, x), _keep(g)), SrcT=BOOL, DstT=FLOAT)
    found = g.infer(g.add("mul", "Mul", x, mask).node)
    assert found.model.outputs[0].ref == x
    assert any("without rescaling" in warning for warning in found.findings.warnings)


def test_a_factor_that_is_not_the_rate_stays() -> None:
    """`2 x` times a mask of 0.8 is not dropout of x: the factor belongs to the model."""
    g = Draft()
    x = g.placeholder("x")
    doubled = g.add("double", "Mul", x, g.const("two", 2.0))
    mask = g.add("floor", "Floor", g.add("add", "Add", _keep(g), _uniform(g, x)))
    found = g.infer(g.add("mul", "Mul", doubled, mask).node)
    assert found.model.outputs[0].ref == doubled


def test_alpha_dropout() -> None:
    """`(x * mask + alpha * (1 - mask)) * a + b` is the identity as a whole."""
    g = Draft()
    x = g.placeholder("x")
    kept = g.add("greater", "GreaterEqual", _uniform(g, x), g.const("rate", 0.1))
    mask = g.add("cast", "Cast", kept, SrcT=BOOL, DstT=FLOAT)
    other = g.add("mul_1", "Mul", g.const("alpha", -1.76), g.add("sub", "Sub", g.const("one", 1.0), mask))
    total = g.add("add_1", "AddV2", g.add("mul", "Mul", x, mask), other)
    found = g.infer(g.add("add_2", "AddV2", g.add("mul_2", "Mul", g.const("a", 0.9), total), g.const("b", 0.1)).node)
    assert found.model.outputs[0].ref == x
    assert found.decided("dropout") == {"add_2": "identity"}


def _normal(g: Draft, x: Ref, mean: float, deviation: float) -> Ref:
    drawn = g.add("normal", "RandomStandardNormal", g.add("shape", "Shape", x), dtype=FLOAT)
    scaled = g.add("normal/mul", "Mul", drawn, g.const("stddev", deviation))
    return g.add("normal/add", "AddV2", scaled, g.const("mean", mean))


@pytest.mark.parametrize(("op", "mean"), [("AddV2", 0.0), ("Mul", 1.0)])
def test_gaussian_noise(op: str, mean: float) -> None:
    """Noise around what changes nothing (0 added, 1 multiplied) is dropped, and said to be."""
    g = Draft()
    x = g.placeholder("x")
    found = g.infer(g.add("y", op, x, _normal(g, x, mean, 0.1)).node)
    assert found.model.outputs[0].ref == x
    assert found.decided("noise") == {"y": "identity"}


@pytest.mark.parametrize(("op", "mean"), [("AddV2", 0.5), ("Mul", 0.0), ("Mul", 2.0)])
def test_noise_that_moves_the_mean_stays(op: str, mean: float) -> None:
    """Where dropping it would shift or scale the numbers, randomness is part of the model: an error."""
    g = Draft()
    x = g.placeholder("x")
    y = g.add("y", op, x, _normal(g, x, mean, 0.1))
    with pytest.raises(UnsupportedError, match="random numbers are part of the model: normal"):
        g.infer(y.node)


def test_a_sample_stays() -> None:
    """`mean + normal * exp(log_sigma)` of an autoencoder is the model's own: an error that says where to cut."""
    g = Draft()
    x = g.placeholder("x")
    drawn = g.add("normal", "RandomStandardNormal", g.add("shape", "Shape", x), dtype=FLOAT)
    spread = g.add("mul", "Mul", drawn, g.add("exp", "Exp", g.dense("sigma", x)))
    y = g.add("z", "AddV2", g.dense("mu", x), spread)
    with pytest.raises(UnsupportedError, match=r"normal \(RandomStandardNormal\).*--input normal"):
        g.infer(y.node)
    assert "Relu" in g.infer(g.add("cut", "Relu", Ref("mu/MatMul")).node).ops


def _with_level(*, trained: str | None) -> Draft:
    """`x + level * normal` with the level in a variable, and an optimizer that changes one of the variables."""
    g = Draft()
    x = g.dense("layer", g.placeholder("x"))
    drawn = g.add("normal", "RandomStandardNormal", g.add("shape", "Shape", x), dtype=FLOAT)
    level = g.variable("level", ())
    if trained is not None:
        rate, gradient = g.const("rate", 0.1), g.const("gradient", 0.0)
        g.add("step", "ApplyGradientDescent", Ref(trained), rate, gradient, T=FLOAT)
    g.add("y", "AddV2", x, g.add("noise", "Mul", level, drawn))
    return g


def test_noise_whose_level_a_schedule_sets_is_dropped() -> None:
    """The optimizer changes other variables, and not this one."""
    found = _with_level(trained="layer/kernel").infer("y")
    assert "RandomStandardNormal" not in found.ops


@pytest.mark.parametrize("trained", ["level", None])
def test_noise_whose_level_was_learnt_stays(trained: str | None) -> None:
    """An optimizer trains it, or may have done: an error, since the noise may be the model's own."""
    with pytest.raises(UnsupportedError, match="random numbers are part of the model: normal"):
        _with_level(trained=trained).infer("y")


def test_a_sample_can_be_an_input() -> None:
    """Named as an input, the random tensor is given from outside."""
    g = Draft()
    x = g.placeholder("x")
    drawn = g.add("normal", "RandomStandardNormal", g.add("shape", "Shape", x), dtype=FLOAT)
    y = g.add("z", "AddV2", g.dense("mu", x), g.add("mul", "Mul", drawn, g.dense("sigma", x)))
    found = g.infer(y.node, inputs={"normal": (None, 4), "x": None})
    assert sorted(entry.name for entry in found.model.inputs) == ["normal", "x"]


def test_comparisons_of_data_are_no_masks() -> None:
    """Thresholds without randomness are left alone."""
    g = Draft()
    x = g.placeholder("x")
    mask = g.add("cast", "Cast", g.add("greater", "GreaterEqual", x, g.const("zero", 0.0)), SrcT=BOOL, DstT=FLOAT)
    y = g.add("y", "Mul", x, mask)
    rewriter, findings = g.rewriter(), Findings()
    drop_noise(rewriter, [y], findings)
    assert rewriter.resolve(y) == y
    assert not findings.decisions


def test_uniform_numbers_as_data_stay() -> None:
    """Uniform numbers that nothing compares, such as augmentation, are not dropped."""
    g = Draft()
    x = g.placeholder("x")
    y = g.add("y", "AddV2", x, _uniform(g, x))
    with pytest.raises(UnsupportedError, match="uniform"):
        g.infer(y.node)


def test_a_generator_that_draws_its_own_input() -> None:
    """Random numbers are an input where they are the only thing that the model starts from."""
    g = Draft()
    z = g.add("z", "RandomStandardNormal", g.const("shape", np.array([8, 4])), dtype=FLOAT)
    found = g.infer(g.dense("image", z).node)
    assert [entry.name for entry in found.model.inputs] == ["z"]
    assert found.decided("input") == {"z": "input"}


@pytest.mark.parametrize(("training", "expected"), [(True, {"rnn": "identity"}), (False, {})])
def test_what_layers_of_cudnn_drop_between_them_is_said(training: bool, expected: dict[str, str]) -> None:
    """An attribute says how much; at inference nothing is dropped, and the report tells."""
    g, findings = Draft(), Findings()
    inputs = [g.placeholder(name, (None, None, 4)) for name in ("x", "h", "c", "params")]
    rnn = g.add("rnn", "CudnnRNNV2", *inputs, dropout=0.25, is_training=training)
    drop_noise(g.rewriter(), [rnn], findings)
    assert {d.subject: d.choice for d in findings.decisions} == expected
    assert all("0.75" in d.reason for d in findings.decisions)
