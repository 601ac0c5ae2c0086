"""Training flags are told by what hangs on them, whatever form they have, and set to inference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from exporter.errors import UsageError
from exporter.sources.graph import Ref
from tests.unit.inference.graphs import BOOL, FLOAT, INT32, Draft


def _normalised(g: Draft, x: Ref, training: Ref, *, inverted: bool = False, name: str = "bn") -> Ref:
    """A batch norm under a cond: batch statistics on one side, moving ones on the other, version 1."""
    on_false, on_true = g.switch(f"{name}/Switch", x, training)
    batch, moving = (on_false, on_true) if inverted else (on_true, on_false)
    parameters = [g.variable(f"{name}/{part}") for part in ("gamma", "beta", "moving_mean", "moving_variance")]
    empty = g.const(f"{name}/empty", np.zeros(0))
    a = g.add(f"{name}/batch", "FusedBatchNorm", batch, *parameters[:2], empty, empty, is_training=True, epsilon=1e-3)
    b = g.add(f"{name}/moving", "FusedBatchNorm", moving, *parameters, is_training=False, epsilon=1e-3)
    g.average(f"{name}/moving_mean", Ref(a.node, 1))
    g.average(f"{name}/moving_variance", Ref(a.node, 2))
    return g.add(f"{name}/Merge", "Merge", *((a, b) if inverted else (b, a)))


def _placeholder(g: Draft) -> Ref:
    return g.flag("flag")


def _defaults_to_training(g: Draft) -> Ref:
    return g.flag("flag", default=True)


def _defaults_to_inference(g: Draft) -> Ref:
    return g.flag("flag", default=False)


def _variable(g: Draft) -> Ref:
    return g.add("flag/read", "Identity", g.add("flag", "VariableV2", dtype=BOOL, shape=()))


def _not_test(g: Draft) -> Ref:
    return g.add("not", "LogicalNot", g.flag("flag"))


def _mode(g: Draft) -> Ref:
    return g.add("equal", "Equal", g.placeholder("flag", (), INT32), g.const("train", 1))


def _number(g: Draft) -> Ref:
    return g.add("greater", "Greater", g.placeholder("flag", (), FLOAT), g.const("half", 0.5))


def _cast(g: Draft) -> Ref:
    return g.add("cast", "Cast", g.placeholder("flag", (), INT32), SrcT=INT32, DstT=BOOL)


def _of_shape_one(g: Draft) -> Ref:
    return g.add("squeeze", "Squeeze", g.placeholder("flag", (1,), BOOL))


@pytest.mark.parametrize(
    ("make", "inverted", "value"),
    [
        (_placeholder, False, "false"),
        (_placeholder, True, "true"),
        (_defaults_to_training, False, "false"),
        (_defaults_to_inference, False, "false"),
        (_defaults_to_inference, True, "true"),
        (_variable, False, "false"),
        (_not_test, False, "true"),
        (_not_test, True, "false"),
        (_mode, False, "0"),
        (_number, False, "0"),
        (_cast, False, "0"),
        (_of_shape_one, False, "false"),
    ],
)
def test_every_form_of_a_flag(make: Callable[[Draft], Ref], inverted: bool, value: str) -> None:
    """The value that takes the side of the moving statistics, said with its reason; the flag is no input."""
    g = Draft()
    output = _normalised(g, g.placeholder("x"), make(g), inverted=inverted)
    found = g.infer(output.node)
    assert found.decided("flag") == {"flag": value}
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert [norm.name for norm in found.batch_norms] == ["bn"]
    assert "bn/moving" in found.model.graph
    assert "bn/batch" not in found.model.graph
    reason = next(d.reason for d in found.findings.decisions if d.kind == "flag")
    assert "bn/batch" in reason


def test_one_flag_for_many_layers() -> None:
    """It is decided once, and every layer follows."""
    g = Draft()
    flag = g.flag("flag")
    x = _normalised(g, g.placeholder("x"), flag, name="first")
    found = g.infer(_normalised(g, x, flag, name="second").node)
    assert found.decided("flag") == {"flag": "false"}
    assert [norm.name for norm in found.batch_norms] == ["first", "second"]


@pytest.mark.parametrize("op", ["LogicalAnd", "LogicalOr"])
def test_two_flags_in_one_predicate(op: str) -> None:
    """`training and trainable`: values are found that make the predicate false, for each of them."""
    g = Draft()
    predicate = g.add("both", op, g.flag("training"), g.flag("trainable"))
    found = g.infer(_normalised(g, g.placeholder("x"), predicate).node)
    assert found.decided("flag") == {"training": "false", "trainable": "false"}


def test_two_flags_for_two_layers() -> None:
    """Independent flags are decided one by one."""
    g = Draft()
    x = _normalised(g, g.placeholder("x"), g.flag("a"), name="first")
    found = g.infer(_normalised(g, x, g.flag("b"), name="second", inverted=True).node)
    assert found.decided("flag") == {"a": "false", "b": "true"}


def test_a_given_value_wins() -> None:
    """--set is obeyed against the evidence, and no flag is decided then."""
    g = Draft()
    output = _normalised(g, g.placeholder("x"), g.flag("flag"))
    found = g.infer(output.node, values={"flag": "true"}, keep_batch_statistics=("bn",))
    assert found.decided("flag") == {}
    assert found.decided("value") == {"flag": "true"}
    assert "bn/batch" in found.model.graph


def test_kept_statistics_need_a_flag() -> None:
    """--keep-batch-statistics where a flag has chosen the moving ones is an error that says what to set."""
    g = Draft()
    output = _normalised(g, g.placeholder("x"), g.flag("flag"))
    with pytest.raises(UsageError, match=r"'bn'.*--set"):
        g.infer(output.node, keep_batch_statistics=("bn",))


def test_random_numbers_are_evidence() -> None:
    """A condition with dropout on one side is decided by that."""
    g = Draft()
    on_false, on_true = g.switch("Switch", g.placeholder("x"), g.flag("flag"))
    noise = g.add("noise", "RandomStandardNormal", g.add("shape", "Shape", on_true), dtype=FLOAT)
    output = g.add("Merge", "Merge", on_false, g.add("add", "AddV2", on_true, noise))
    found = g.infer(output.node)
    assert found.decided("flag") == {"flag": "false"}
    assert found.model.outputs[0].ref == Ref("x")


def test_a_condition_in_functions() -> None:
    """Version 2: the function with the assignment is the training side, also through a call inside it."""
    g = Draft()
    inner = Draft()
    inner.add("y", "FusedBatchNormV3", *map(Ref, "xgbmv"), is_training=True, epsilon=1e-3)
    called = g.function("batch", list("xgbmv"), [Ref("y")], inner)
    outer = Draft()
    outer.add("call", "PartitionedCall", *map(Ref, "xgbmv"), f=called)
    then = g.function("then", list("xgbmv"), [Ref("call")], outer)
    other = Draft()
    other.add("y", "FusedBatchNormV3", *map(Ref, "xgbmv"), is_training=False, epsilon=1e-3)
    otherwise = g.function("else", list("xgbmv"), [Ref("y")], other)
    arguments = [g.placeholder("x"), *(g.variable(f"bn/{part}") for part in ("gamma", "beta", "mean", "variance"))]
    output = g.add("if", "If", g.flag("flag"), *arguments, then_branch=then, else_branch=otherwise)
    found = g.infer(output.node)
    assert found.decided("flag") == {"flag": "false"}
    assert [node.attribute("is_training") for node in found.model.graph if node.op == "FusedBatchNormV3"] == [False]


def test_a_default_decides_where_nothing_else_does() -> None:
    """A flag with nothing of training on either side takes its default, and that is the reason given."""
    g = Draft()
    x = g.placeholder("x")
    on_false, on_true = g.switch("Switch", x, g.flag("flip", default=True))
    output = g.add("Merge", "Merge", on_false, g.add("reverse", "Neg", on_true))
    found = g.infer(output.node)
    assert found.decided("flag") == {"flip": "true"}
    assert "Neg" in found.ops
    assert "default" in next(d.reason for d in found.findings.decisions if d.kind == "flag")


def test_a_switch_of_the_model_stays_an_input() -> None:
    """A bool without default and without anything of training is an input; a warning says how to fix it."""
    g = Draft()
    x = g.placeholder("x")
    on_false, on_true = g.switch("Switch", x, g.flag("flip"))
    found = g.infer(g.add("Merge", "Merge", on_false, g.add("reverse", "Neg", on_true)).node)
    assert found.decided("flag") == {}
    assert [entry.name for entry in found.model.inputs] == ["x", "flip"]
    assert any("--set flip" in warning for warning in found.findings.warnings)


def test_data_is_no_flag() -> None:
    """A condition on the input itself is not decided, whatever hangs on it."""
    g = Draft()
    x = g.placeholder("x")
    predicate = g.add("greater", "Greater", g.mean("mean", x, (0, 1)), g.const("zero", 0.0))
    found = g.infer(_normalised(g, x, predicate).node)
    assert found.decided("flag") == {}
    assert "SelectV2" in found.ops


@pytest.mark.parametrize("shaped_by_flag", [True, False])
def test_a_random_mask_is_no_flag(shaped_by_flag: bool) -> None:
    """Dropout chooses by a mask that depends on a rate, and in its shape on a flag; neither makes it a condition."""
    g = Draft()
    x = _normalised(g, g.placeholder("x"), g.flag("flag"))
    shape: Ref = g.const("shape", np.array([8, 4]))
    if shaped_by_flag:
        _, shape = g.switch("shape/Switch", shape, Ref("flag"))
    rate = g.add("rate", "PlaceholderWithDefault", g.const("rate/default", 0.3), dtype=FLOAT, shape=())
    mask = g.add("mask", "GreaterEqual", g.add("random", "RandomUniform", shape, dtype=FLOAT), rate)
    kept = g.add(
        "kept",
        "Mul",
        x,
        g.add("factor", "RealDiv", g.const("one", 1.0), g.add("keep", "Sub", g.const("whole", 1.0), rate)),
    )
    y = g.add("y", "SelectV2", mask, kept, g.const("zero", 0.0))
    found = g.infer(y.node)
    assert "mask" not in found.decided("flag")
    assert "y" not in found.decided("flag") and "RandomUniform" not in found.ops
    assert found.batch_norms
