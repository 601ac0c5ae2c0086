"""Batch statistics become the variables that the graph averages them into, in every form of averaging."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from exporter.errors import MissingError, UsageError
from exporter.inference.batch_norm.moving_averages import Updates, is_statistic
from exporter.sources.graph import Ref
from exporter.sources.model import Signature
from tests.unit.inference.graphs import FLOAT, Draft, Inferred

Average = Callable[[Draft, str, Ref], object]


def _arithmetic(g: Draft, x: Ref, mean: Ref, variance: Ref) -> Ref:
    """`tf.nn.batch_normalization`: `x * inv + (beta - mean * inv)`."""
    gamma, beta = g.variable("bn/gamma"), g.variable("bn/beta")
    root = g.add("bn/Rsqrt", "Rsqrt", g.add("bn/add", "AddV2", variance, g.const("bn/epsilon", 1e-3)))
    inverse = g.add("bn/mul", "Mul", root, gamma)
    shift = g.add("bn/sub", "Sub", beta, g.add("bn/mul_2", "Mul", mean, inverse))
    return g.add("bn/y", "AddV2", g.add("bn/mul_1", "Mul", x, inverse), shift)


def _moments(g: Draft, x: Ref) -> tuple[Ref, Ref]:
    """`tf.nn.moments` over the batch, squeezed."""
    mean = g.mean("moments/mean", x, keep=True)
    squares = g.add("moments/squares", "SquaredDifference", x, g.add("moments/stop", "StopGradient", mean))
    variance = g.mean("moments/variance", squares, keep=True)
    return g.add("moments/m", "Squeeze", mean), g.add("moments/v", "Squeeze", variance)


def _unfused(average: Average, *, names: tuple[str, str] = ("bn/a", "bn/b")) -> Inferred:
    """A batch norm in training mode whose statistics are averaged into the two variables of these names."""
    g = Draft()
    x = g.placeholder("x")
    mean, variance = _moments(g, x)
    for name, statistic in zip(names, (mean, variance), strict=True):
        g.variable(name)
        average(g, name, statistic)
    return g.infer(_arithmetic(g, x, mean, variance).node)


def _subtract(g: Draft, variable: str, statistic: Ref) -> object:
    return g.average(variable, statistic)


def _weighted(g: Draft, variable: str, statistic: Ref) -> object:
    """`V <- V * d + T * (1 - d)`."""
    old = g.add(f"{variable}/old", "Mul", Ref(f"{variable}/read"), g.const(f"{variable}/d", 0.9))
    new = g.add(f"{variable}/new", "Mul", statistic, g.const(f"{variable}/1-d", 0.1))
    return g.add(f"{variable}/Assign", "Assign", Ref(variable), g.add(f"{variable}/sum", "Add", old, new))


def _copied(g: Draft, variable: str, statistic: Ref) -> object:
    """`V <- T`."""
    return g.add(f"{variable}/Assign", "Assign", Ref(variable), statistic)


def _difference_first(g: Draft, variable: str, statistic: Ref) -> object:
    """`V += (T - V) * k`."""
    difference = g.add(f"{variable}/diff", "Sub", statistic, Ref(f"{variable}/read"))
    step = g.add(f"{variable}/step", "Mul", difference, g.const(f"{variable}/k", 0.1))
    return g.add(f"{variable}/AssignAdd", "AssignAdd", Ref(variable), step)


def _unbiased(g: Draft, variable: str, statistic: Ref) -> object:
    """`T * n / (n - 1)`, as tf.keras averages variances."""
    corrected = g.add(f"{variable}/corrected", "Mul", statistic, g.const(f"{variable}/factor", 1.1))
    return g.average(variable, corrected)


@pytest.mark.parametrize("average", [_subtract, _weighted, _copied, _difference_first, _unbiased])
def test_every_form_of_averaging(average: Average) -> None:
    """The variables are found by what is assigned to them; their names say nothing here."""
    found = _unfused(average)
    (norm,) = found.batch_norms
    assert (norm.mean, norm.variance) == ("stored as bn/a", "stored as bn/b")
    assert "Mean" not in found.ops


def test_misleading_names_do_not_mislead() -> None:
    """Structure wins over names: a mean averaged into `bn/moving_variance` is taken from there."""
    (norm,) = _unfused(_subtract, names=("bn/moving_variance", "bn/moving_mean")).batch_norms
    assert (norm.mean, norm.variance) == ("stored as bn/moving_variance", "stored as bn/moving_mean")


def test_zero_debias() -> None:
    """`B` averages, `V <- B / (1 - d^n)` is the moving statistic."""

    def average(g: Draft, variable: str, statistic: Ref) -> object:
        g.variable(f"{variable}/biased")
        biased = g.average(f"{variable}/biased", statistic)
        steps = g.variable(f"{variable}/local_step", ())
        power = g.add(f"{variable}/pow", "Pow", g.const(f"{variable}/decay", 0.9), steps)
        share = g.add(f"{variable}/share", "Sub", g.const(f"{variable}/one", 1.0), power)
        value = g.add(f"{variable}/debiased", "RealDiv", biased, share)
        change = g.add(f"{variable}/change", "Sub", Ref(f"{variable}/read"), value)
        return g.add(f"{variable}/AssignSub", "AssignSub", Ref(variable), change)

    (norm,) = _unfused(average).batch_norms
    assert (norm.mean, norm.variance) == ("stored as bn/a", "stored as bn/b")


def test_an_average_of_a_copy() -> None:
    """`ema.apply` on a variable that holds the last batch's statistic: the shadow is the moving statistic."""

    def average(g: Draft, variable: str, statistic: Ref) -> object:
        _copied(g, variable, statistic)
        g.variable(f"{variable}/shadow")
        return g.average(f"{variable}/shadow", Ref(f"{variable}/read"))

    (norm,) = _unfused(average).batch_norms
    assert (norm.mean, norm.variance) == ("stored as bn/a/shadow", "stored as bn/b/shadow")


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("op", ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])
def test_fused_norms(op: str, resource: bool) -> None:
    """A fused op in training mode is put in inference mode with the variables that its results are averaged into."""
    g = Draft()
    x = g.placeholder("x", (None, 8, 8, 4))
    gamma, beta = g.variable("bn/gamma", resource=resource), g.variable("bn/beta", resource=resource)
    empty = g.const("empty", np.zeros(0))
    y = g.add("bn/Fused", op, x, gamma, beta, empty, empty, is_training=True, epsilon=0.02)
    for name, port in (("one", 1), ("two", 2)):
        g.variable(f"bn/{name}", resource=resource)
        g.average(f"bn/{name}", Ref(y.node, port))
    found = g.infer(y.node)
    (norm,) = found.batch_norms
    assert (norm.mean, norm.variance, norm.epsilon) == ("stored as bn/one", "stored as bn/two", 0.02)
    assert found.model.graph.nodes[y.node].attribute("is_training") is False
    assert found.model.batch_norms == {y.node: "bn"}


def test_training_mode_is_the_default() -> None:
    """A fused op without `is_training` is in training mode, as TensorFlow has it."""
    g = Draft()
    y = g.fused("bn", g.placeholder("x", (None, 8, 8, 4)), training=True)
    node = g.nodes[y.node]
    g.nodes[y.node] = type(node)(node.name, node.op, node.inputs, (), {"epsilon": 1e-3})
    assert g.infer(y.node).model.graph.nodes[y.node].attribute("is_training") is False


def test_inference_mode_is_left_alone() -> None:
    """A fused op in inference mode keeps its inputs, and nothing is decided."""
    g = Draft()
    y = g.fused("bn", g.placeholder("x", (None, 8, 8, 4)), training=False)
    found = g.infer(y.node)
    assert found.decided("statistics") == {}
    assert [norm.mean for norm in found.batch_norms] == ["stored as bn/moving_mean"]


def test_layer_normalisation_keeps_its_own() -> None:
    """A fused op on samples reshaped to channels, as Keras builds LayerNormalization, is no batch norm."""
    g = Draft()
    x = g.placeholder("x")
    flat = g.add("reshape", "Reshape", x, g.const("shape", np.array([1, -1, 4, 1])))
    ones, zeros, empty = g.const("ones", np.ones(8)), g.const("zeros", np.zeros(8)), g.const("empty", np.zeros(0))
    y = g.add("ln", "FusedBatchNormV3", flat, ones, zeros, empty, empty, is_training=True, epsilon=1e-3)
    found = g.infer(y.node)
    assert found.batch_norms == ()
    assert found.model.graph.nodes["ln"].attribute("is_training") is True


def test_statistics_of_kernels_stay() -> None:
    """Weight standardisation takes moments of kernels, which no data get into."""
    g = Draft()
    x, kernel = g.placeholder("x"), g.variable("kernel", (4, 4))
    mean = g.mean("mean", kernel, keep=True)
    variance = g.mean("variance", g.add("squares", "SquaredDifference", kernel, mean), keep=True)
    root = g.add("root", "Rsqrt", g.add("add", "AddV2", variance, g.const("epsilon", 1e-5)))
    standard = g.add("standard", "Mul", g.add("centred", "Sub", kernel, mean), root)
    found = g.infer(g.add("y", "MatMul", x, standard).node)
    assert found.batch_norms == ()
    assert found.ops.count("Mean") == 2


@pytest.mark.parametrize(
    "names", [("moving_mean", "moving_variance"), ("pop_mean", "pop_var"), ("running_mean", "running_var")]
)
@pytest.mark.parametrize("fused", [False, True])
def test_stripped_updates(fused: bool, names: tuple[str, str]) -> None:
    """Without updates, variables of the same scope with such names are taken, and the report says so."""
    g = Draft()
    x = g.placeholder("x")
    if fused:
        y = g.fused("bn", x, training=True, averaged=False)
        del g.weights["bn/moving_mean"], g.weights["bn/moving_variance"]
    else:
        y = _arithmetic(g, x, *_moments(g, x))
    g.weights |= {f"bn/{name}": np.full(4, 0.5, np.float32) for name in names}
    found = g.infer(y.node)
    (norm,) = found.batch_norms
    assert (norm.mean, norm.variance) == tuple(f"stored as bn/{name}" for name in names)
    assert any("called like" in d.reason for d in found.findings.decisions if d.kind == "statistics")


def test_no_statistics_anywhere() -> None:
    """An error that names the batch norm, what it looked for, and what there is."""
    g = Draft()
    first = g.fused("first", g.placeholder("x", (None, 8, 8, 4)), training=True, averaged=False)
    second = g.fused("second", first, training=True, averaged=False)
    for name in list(g.weights):
        if "moving" in name:
            del g.weights[name]
    with pytest.raises(MissingError) as caught:
        g.infer(second.node)
    text = str(caught.value)
    for word in ("first/Fused", "second/Fused", "first/moving_mean", "first/beta, first/gamma", "trainable_variables"):
        assert word in text


def test_statistics_that_were_not_saved() -> None:
    """Updates name the variables, but the checkpoint lacks them: each is named."""
    g = Draft()
    y = g.fused("bn", g.placeholder("x", (None, 8, 8, 4)), training=True)
    del g.weights["bn/moving_mean"], g.weights["bn/moving_variance"]
    with pytest.raises(MissingError, match=r"2 tensors.*bn/moving_mean, bn/moving_variance"):
        g.infer(y.node)


@pytest.mark.parametrize("scope", ["", "bn", "bn/Fused"])
def test_kept_statistics(scope: str) -> None:
    """--keep-batch-statistics leaves the op in training mode, and the report says whose wish that was."""
    g = Draft()
    y = g.fused("bn", g.placeholder("x", (None, 8, 8, 4)), training=True)
    found = g.infer(y.node, keep_batch_statistics=(scope,))
    assert found.model.graph.nodes[y.node].attribute("is_training") is True
    assert found.batch_norms == ()
    assert found.decided("statistics") == {"bn/Fused": "batch statistics"}


def test_kept_moments() -> None:
    """The same for a batch norm of separate ops, with and without updates in the graph."""
    for averaged in (True, False):
        g = Draft()
        x = g.placeholder("x")
        mean, variance = _moments(g, x)
        if averaged:
            for name, statistic in (("bn/a", mean), ("bn/b", variance)):
                g.variable(name)
                g.average(name, statistic)
        y = _arithmetic(g, x, mean, variance)
        found = g.infer(y.node, keep_batch_statistics=("",))
        assert found.ops.count("Mean") == 2
        assert found.batch_norms == ()
        assert "batch statistics" in found.decided("statistics").values()


@pytest.mark.parametrize("scope", ["b", "bn2", "bn/Fused/more", "other"])
def test_a_scope_that_keeps_nothing(scope: str) -> None:
    """A scope with no batch norm in it is an error, also one that is only the beginning of a name."""
    g = Draft()
    y = g.fused("bn", g.placeholder("x", (None, 8, 8, 4)), training=True)
    with pytest.raises(UsageError, match=scope):
        g.infer(y.node, keep_batch_statistics=("bn", scope))


def test_one_of_two_is_kept() -> None:
    """The scope decides for its own batch norms alone."""
    g = Draft()
    first = g.fused("a", g.placeholder("x", (None, 8, 8, 4)), training=True)
    found = g.infer(g.fused("b", first, training=True).node, keep_batch_statistics=("a",))
    assert [norm.name for norm in found.batch_norms] == ["b"]
    assert found.model.graph.nodes["a/Fused"].attribute("is_training") is True


def test_weights_are_no_statistics() -> None:
    """Averages of weights, gradients' moments and step counts are not taken for statistics of the batch."""
    g = Draft()
    x = g.placeholder("x")
    y = g.dense("dense", x)
    g.variable("dense/kernel/ExponentialMovingAverage", (4, 4))
    g.average("dense/kernel/ExponentialMovingAverage", Ref("dense/kernel/read"))
    updates = Updates(g.rewriter(), frozenset())
    assert updates.averaged() == []
    assert updates.shadows() == {"dense/kernel": "dense/kernel/ExponentialMovingAverage"}
    assert not is_statistic(g.rewriter(), y)


@pytest.mark.parametrize(("axes", "statistic"), [((0,), True), ((0, 1), True), ((1,), False)])
def test_only_means_over_the_batch_are_statistics(axes: tuple[int, ...], statistic: bool) -> None:
    """A mean over features alone is part of the model."""
    g = Draft()
    mean = g.mean("mean", g.placeholder("x"), axes)
    assert is_statistic(g.rewriter(), mean) is statistic
    assert g.nodes["x"].attribute("dtype") == FLOAT


def _fresh(g: Draft, name: str) -> None:
    """Sets the moving statistics of a batch norm to what they are initialised with."""
    g.weights[f"{name}/moving_mean"] = np.zeros(4, np.float32)
    g.weights[f"{name}/moving_variance"] = np.ones(4, np.float32)


@pytest.mark.parametrize("averaged", [True, False])
def test_statistics_that_no_step_has_updated_are_not_what_is_meant(averaged: bool) -> None:
    """Without a flag, and with moving statistics as initialised, the batch's own are kept, with a warning."""
    g = Draft()
    y = g.fused("bn", g.placeholder("x", (None, 8, 8, 4)), training=True, averaged=averaged)
    _fresh(g, "bn")
    found = g.infer(y.node)
    assert found.model.graph.nodes[y.node].attribute("is_training") is True
    assert found.decided("statistics") == {"bn/Fused": "batch statistics"}
    (warning,) = found.findings.warnings
    assert warning.startswith("bn: normalised by the batch itself")


def test_moments_that_no_step_has_averaged_are_kept() -> None:
    """The same where the batch norm is written as arithmetic: both statistics are kept, or neither."""
    for mean, variance, kept in ((0.0, 1.0, True), (0.0, 0.9, False), (0.1, 1.0, False)):
        g = Draft()
        x = g.placeholder("x")
        moments = _moments(g, x)
        for name, statistic, value in zip(("bn/a", "bn/b"), moments, (mean, variance), strict=True):
            g.variable(name, value=value)
            g.average(name, statistic)
        found = g.infer(_arithmetic(g, x, *moments).node)
        assert (found.ops.count("Mean") == 2) is kept
        assert len(found.batch_norms) == (0 if kept else 1)


def test_each_batch_norm_is_judged_by_its_own_statistics() -> None:
    """One whose statistics were updated takes them, beside one whose never were."""
    g = Draft()
    first = g.fused("a", g.placeholder("x", (None, 8, 8, 4)), training=True)
    _fresh(g, "a")
    found = g.infer(g.fused("b", first, training=True).node)
    assert [norm.name for norm in found.batch_norms] == ["b"]
    assert found.model.graph.nodes["a/Fused"].attribute("is_training") is True


def test_what_keras_3_exports_takes_moving_statistics() -> None:
    """Its export loses the training argument behind some layers: there a fresh model is meant as one at inference."""
    g = Draft()
    x = g.placeholder("x", (None, 8, 8, 4))
    y = g.fused("bn", x, training=True)
    _fresh(g, "bn")
    for name in ("serve", "serving_default"):
        g.signatures[name] = Signature({"x": x}, {"y": y})
    found = g.infer()
    assert [norm.name for norm in found.batch_norms] == ["bn"]
    assert any("--keep-batch-statistics" in warning for warning in found.findings.warnings)


def test_moving_statistics_in_the_place_of_the_batch_s_are_a_warning() -> None:
    """Where no flag chose them, TensorFlow's own run of the graph gives other numbers: said once for all of them."""
    g = Draft()
    first = g.fused("a", g.placeholder("x", (None, 8, 8, 4)), training=True)
    (warning,) = g.infer(g.fused("b", first, training=True).node).findings.warnings
    assert warning.startswith("a, b: ") and "--keep-batch-statistics" in warning


def test_a_flag_with_statistics_that_were_never_updated_names_the_option() -> None:
    """The warning's arguments work as they stand: with them the batch's statistics are kept."""
    g = Draft()
    flag, x = g.flag("training"), g.placeholder("x", (None, 8, 8, 4))
    batch = g.fused("bn", x, training=True)
    parameters = [Ref(f"bn/{part}/read") for part in ("gamma", "beta", "moving_mean", "moving_variance")]
    moving = g.add("bn/Fused_1", "FusedBatchNormV3", x, *parameters, is_training=False, epsilon=1e-3)
    y = g.add("y", "Select", flag, batch, moving)
    _fresh(g, "bn")
    (warning,) = g.infer(y.node).findings.warnings
    assert warning.endswith("export with --set training=true --keep-batch-statistics")
    found = g.infer(y.node, values={"training": "true"}, keep_batch_statistics=("",))
    assert found.decided("statistics") == {"bn/Fused": "batch statistics"}


def test_a_frozen_training_graph_that_still_updates_its_statistics() -> None:
    """Freezing leaves the updates, on constants: these are the moving statistics, as TensorFlow trained them."""
    g = Draft()
    x = g.placeholder("x")
    mean = g.mean("bn/mean", x)
    variance = g.mean("bn/variance", g.add("bn/squares", "SquaredDifference", x, mean, T=FLOAT))
    for name, statistic, value in (("moving_mean", mean, 3.0), ("moving_variance", variance, 4.0)):
        stored = g.const(f"bn/{name}", np.full(4, value))
        g.add(f"bn/{name}/read", "Identity", stored, T=FLOAT)
        g.average(f"bn/{name}", statistic)
    root = g.add("bn/Rsqrt", "Rsqrt", g.add("bn/add", "AddV2", variance, g.const("bn/epsilon", 1e-3)), T=FLOAT)
    g.add("y", "Mul", g.add("bn/centred", "Sub", x, mean, T=FLOAT), root, T=FLOAT)
    found = g.infer("y")
    model = found.model
    assert {name: float(v.read()[0]) for name, v in model.variables.items()} == {
        "bn/moving_mean": 3.0,
        "bn/moving_variance": 4.0,
    }
    assert not any(node.op == "Mean" for node in model.graph)
    assert any("moving statistics are taken" in text for text in found.findings.warnings)
