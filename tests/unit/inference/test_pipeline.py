"""The inference function as a whole: only what the outputs need, with weights that can be meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.errors import CorruptError, MissingError, UsageError, ValueInputError
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.pipeline import to_inference
from exporter.options import Options
from exporter.sources.graph import Graph, Node, Ref
from tests.unit.inference.graphs import INT32, Draft


def test_only_what_is_needed() -> None:
    """Nothing that the outputs don't depend on is left, and no control inputs."""
    g = Draft()
    x = g.placeholder("x")
    g.dense("other", x)
    y = g.add("y", "Relu", g.dense("layer", x), controls=["other/MatMul"])
    found = g.infer(y.node)
    assert sorted(found.model.graph.nodes) == ["layer/MatMul", "layer/kernel", "layer/kernel/read", "y"]
    assert all(node.controls == () for node in found.model.graph)
    assert list(found.model.variables) == ["layer/kernel"]


def test_inputs_come_first() -> None:
    """Each node of the graph comes after all that it needs."""
    g = Draft()
    found = g.infer(g.add("y", "Softmax", g.dense("b", g.add("r", "Relu", g.dense("a", g.placeholder("x"))))).node)
    seen = {entry.ref.node for entry in found.model.inputs}
    for node in found.model.graph:
        assert {ref.node for ref in node.inputs} <= seen
        seen.add(node.name)


def test_weights_without_a_graph() -> None:
    """There is nothing to infer from, and the error says so."""
    source = replace(Draft().source(), graph=None)
    with pytest.raises(MissingError, match="weights only"):
        to_inference(source, Options())


def test_lost_weights_are_named() -> None:
    """Every variable that the outputs need and the checkpoint lacks, in one error; others don't matter."""
    g = Draft()
    x = g.placeholder("x")
    g.dense("other", x)
    y = g.dense("b", g.add("r", "Relu", g.dense("a", x)))
    for name in ("a/kernel", "b/kernel", "other/kernel"):
        del g.weights[name]
    with pytest.raises(MissingError, match=r"2 tensors.*a/kernel, b/kernel") as caught:
        g.infer(y.node)
    assert "other" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_are_checked_when_read(bad: float) -> None:
    """NaN and infinity in a weight are found when it is read, and named; before that nothing is read."""
    g = Draft()
    y = g.dense("layer", g.placeholder("x"))
    g.weights["layer/kernel"][1, 2] = bad
    variable = g.infer(y.node).model.variables["layer/kernel"]
    with pytest.raises(ValueInputError, match=r"tensor layer/kernel: 1 of its 16 values"):
        variable.read()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 5), np.float32), r"float \[4, 5\].*layer/kernel is float \[4, 4\]"),
        (np.zeros((4, 4, 1), np.float32), r"float \[4, 4, 1\]"),
        (np.zeros((4, 4), np.float64), r"double \[4, 4\].*is float \[4, 4\]"),
        (np.zeros((4, 4), np.int32), r"int32 \[4, 4\]"),
    ],
)
def test_weights_of_another_model(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], words: str) -> None:
    """A stored tensor of another shape or type than the graph's variable is refused, as TensorFlow would."""
    g = Draft()
    y = g.dense("layer", g.placeholder("x"))
    g.weights["layer/kernel"] = array
    with pytest.raises(CorruptError, match=rf"tensor layer/kernel: .*{words}"):
        g.infer(y.node)


def test_a_variable_of_unknown_shape() -> None:
    """What the graph leaves open, the checkpoint decides."""
    g = Draft()
    y = g.dense("layer", g.placeholder("x"))
    for shape in (None, (None, 4)):
        node = g.nodes["layer/kernel"]
        g.nodes["layer/kernel"] = replace(node, attributes={**node.attributes, "shape": shape})
        assert g.infer(y.node).model.variables["layer/kernel"].shape == (4, 4)


def test_a_wrong_scope_among_right_ones() -> None:
    """`keeps` is true for a scope and what is in it, and not for names that only begin alike."""
    options = Options(keep_batch_statistics=("a/bn",))
    assert options.keeps("a/bn")
    assert options.keeps("a/bn/Fused")
    assert not options.keeps("a/bn2/Fused")
    assert not options.keeps("a")
    assert Options(keep_batch_statistics=("",)).keeps("anything")
    assert not Options().keeps("anything")


def test_redirections_chain() -> None:
    """a -> b, then b -> c: a means c, also for who asked before; nothing of the file is changed."""
    g = Draft()
    a, b, c = (g.placeholder(name) for name in "abc")
    y = g.add("y", "Relu", a)
    rewriter = g.rewriter()
    rewriter.redirect(a, b)
    assert rewriter.inputs(rewriter.node("y")) == (b,)
    rewriter.redirect(b, c)
    assert rewriter.resolve(a) == c
    assert rewriter.inputs(rewriter.node("y")) == (c,)
    assert g.nodes["y"].inputs == (a,)
    rewriter.redirect(c, a)
    assert rewriter.resolve(a) == c
    assert [node.name for node in rewriter.order([y])] == ["c", "y"]


def test_added_names_are_unique() -> None:
    """A new node gets a number where its name is taken."""
    g = Draft()
    g.placeholder("x")
    rewriter = g.rewriter()
    assert [rewriter.add("x", "NoOp").node for _ in range(3)] == ["x_1", "x_2", "x_3"]


def test_the_value_of_constants() -> None:
    """What constants alone determine is known; data, divisions by zero and endless chains are not."""
    g = Draft()
    two, three = g.const("two", 2.0), g.const("three", 3.0)
    cases = {
        "mul": ("Mul", 6.0),
        "sub": ("Sub", -1.0),
        "div": ("RealDiv", 2 / 3),
        "less": ("Less", True),
        "equal": ("Equal", False),
    }
    for name, (op, _) in cases.items():
        g.add(name, op, two, three)
    g.add("by_zero", "RealDiv", two, g.const("zero", 0.0))
    g.add("data", "Mul", two, g.placeholder("x"))
    end = two
    for i in range(100):
        end = g.add(f"identity_{i}", "Identity", end)
    rewriter = g.rewriter()
    for name, (_, value) in cases.items():
        assert rewriter.value(Ref(name)) == pytest.approx(value)
    assert rewriter.value(Ref("by_zero")) is None
    assert rewriter.value(Ref("data")) is None
    assert rewriter.value(end) is None


def test_order_survives_cycles() -> None:
    """A loop in the graph doesn't hang the walk."""
    nodes = {"a": Node("a", "Merge", (Ref("b"),)), "b": Node("b", "NextIteration", (Ref("a"),))}
    assert {node.name for node in Rewriter(Graph(nodes)).order([Ref("a")])} == {"a", "b"}


def test_a_value_of_the_wrong_kind() -> None:
    """--set on an integer takes integers, and says what it wanted."""
    g = Draft()
    y = g.add("y", "AddV2", g.dense("layer", g.placeholder("x")), g.placeholder("n", (), INT32))
    assert g.infer(y.node, values={"n": "3"}).decided("value") == {"n": "3"}
    with pytest.raises(UsageError, match=r"--set n=x.*int32"):
        g.infer(y.node, values={"n": "x"})
