"""What losses, metrics and choices leave of results: the results themselves are the outputs."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.sources.graph import Ref
from tests.unit.inference.graphs import BOOL, FLOAT, INT32, STRING, Draft


def _found(g: Draft) -> list[str]:
    return [output.name for output in g.infer().model.outputs]


def test_two_views_of_one_tensor() -> None:
    """A loss reads the logits, an accuracy reads them in another shape: the shape that comes last is the output."""
    g = Draft()
    logits = g.dense("logits", g.placeholder("x"), 4)
    rows = g.add("rows", "Reshape", logits, g.const("shape", np.array([-1, 2, 2])))
    labels = g.placeholder("labels")
    chosen = g.add("chosen", "ArgMax", rows, g.const("axis", 2))
    g.mean("accuracy", g.add("right", "Cast", g.add("equal", "Equal", chosen, labels), SrcT=BOOL, DstT=FLOAT))
    g.mean("loss", g.add("square", "SquaredDifference", logits, labels))
    assert _found(g) == ["rows"]


def test_what_a_loss_reads_on_the_way() -> None:
    """A result that nothing uses comes from what the loss reads: the result alone is an output."""
    g = Draft()
    boxes = g.dense("boxes", g.placeholder("x"))
    g.mean("loss", g.add("square", "Square", boxes), (0, 1))
    picked = g.add("picked", "GatherV2", boxes, g.const("index", np.array([1])), g.const("axis", 0))
    found = g.infer()
    assert [output.name for output in found.model.outputs] == [picked.node]


def test_a_stopped_gradient_is_no_result() -> None:
    """An advantage reads the value behind a stopped gradient: the value is the output."""
    g = Draft()
    value = g.dense("value", g.placeholder("x"), 1)
    target = g.placeholder("target", (None, 1))
    g.mean("loss", g.add("gain", "Sub", target, g.add("stopped", "StopGradient", value)), (0, 1))
    assert _found(g) == ["value/MatMul"]


@pytest.mark.parametrize("judged", [True, False])
def test_a_greedy_action(judged: bool) -> None:
    """The choice that nothing uses is an output; so are the scores, where a loss reads them."""
    g = Draft()
    scores = g.dense("scores", g.placeholder("x"), 3)
    g.add("action", "ArgMax", scores, g.const("axis", 1))
    if judged:
        labels = g.placeholder("labels", (None, 3))
        g.mean("loss", g.add("xent", "SoftmaxCrossEntropyWithLogits", scores, labels))
    assert _found(g) == (["scores/MatMul", "action"] if judged else ["action"])


@pytest.mark.parametrize("shape", [[-1], [-1, 1]])
def test_rows_that_are_put_into_one(shape: list[int]) -> None:
    """A loss picks by label from all rows in one: the rows are the output."""
    g = Draft()
    scores = g.add("scores", "Softmax", g.dense("logits", g.placeholder("x"), 3))
    flat = g.add("flat", "Reshape", scores, g.const("shape", np.array(shape)))
    label = g.placeholder("label", (None,), INT32)
    g.mean("loss", g.add("log", "Log", g.add("picked", "GatherV2", flat, label, g.const("axis", 0))), (0,))
    assert _found(g) == ["scores"]


def test_a_result_that_a_histogram_shows() -> None:
    """The affine at the end of a network is its result, though nothing but a histogram uses it."""
    g = Draft()
    logits = g.dense("logits", g.placeholder("x"), 4)
    g.mean("loss", g.add("xent", "SoftmaxCrossEntropyWithLogits", logits, g.placeholder("labels")))
    scaled = g.add("scaled", "Mul", g.add("sigmoid", "Sigmoid", logits), g.const("ten", 10.0))
    result = g.add("result", "AddV2", scaled, g.const("least", 0.01))
    g.add("histogram", "HistogramSummary", g.add("tag", "Const", value=np.array(b"tag", object), dtype=STRING), result)
    assert _found(g) == ["result"]


def test_what_a_confusion_matrix_counts() -> None:
    """A metric compares scores with a threshold and checks the classes behind it: the scores are the output."""
    g = Draft()
    scores = g.add("scores", "Sigmoid", g.dense("logits", g.placeholder("x"), 1))
    above = g.add("above", "Greater", scores, g.const("half", np.float32(0.5)))
    classes = g.add("classes", "Cast", above, SrcT=BOOL, DstT=INT32)
    flat = g.add("flat", "Reshape", classes, g.const("shape", np.array([-1])))
    counted = g.add("counted", "Identity", flat)
    labels = g.placeholder("labels")
    g.add("rows", "Pack", labels, counted, axis=0)
    g.mean("loss", g.add("square", "SquaredDifference", scores, labels))
    assert _found(g) == ["scores"]


def test_a_mean_that_a_loss_alone_reads() -> None:
    """Layers use one part of a tensor, a loss another: the whole is the output, not the part that is used alone."""
    g = Draft()
    both = g.add("both", "Split", g.const("axis", 1), g.dense("d", g.placeholder("x"), 2), num_split=2)
    deviation = g.add("deviation", "Exp", Ref(both.node, 1))
    labels = g.placeholder("labels")
    far = g.add("far", "Sub", labels, both)
    g.mean("loss", g.add("scaled", "RealDiv", far, deviation), (0, 1))
    found = _found(g)
    assert found == ["d/MatMul"] or {"both"} < set(found)


def test_what_an_error_rate_decodes() -> None:
    """An edit distance reads what a CTC decoder made of the scores: the scores are the output."""
    g = Draft()
    scores = g.dense("scores", g.placeholder("x"), 4)
    decoded = g.add("decoded", "CTCGreedyDecoder", scores, g.placeholder("lengths"), merge_repeated=True)
    letters = g.add("letters", "Cast", Ref(decoded.node, 1), SrcT=9, DstT=INT32)
    g.mean("rate", g.add("wrong", "NotEqual", letters, g.placeholder("labels")))
    assert _found(g) == ["scores/MatMul"]
