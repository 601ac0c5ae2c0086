"""Outputs are found by what uses them: the ends of the forward computation, whatever training hangs on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from exporter.errors import UsageError
from exporter.sources.graph import Ref
from exporter.sources.model import Signature
from tests.unit.inference.graphs import FLOAT, INT32, STRING, Draft


def _classifier(g: Draft, *, softmax: bool = True) -> Ref:
    """Two layers and, perhaps, a softmax; the last result."""
    hidden = g.add("relu", "Relu", g.dense("hidden", g.placeholder("x")))
    logits = g.dense("logits", hidden, 3)
    return g.add("softmax", "Softmax", logits) if softmax else logits


def _cross_entropy(g: Draft, logits: Ref) -> Ref:
    """`reduce_mean(softmax_cross_entropy_with_logits(labels, logits))`."""
    labels = g.placeholder("labels", (None, 3))
    return g.mean("loss", g.add("xent", "SoftmaxCrossEntropyWithLogits", logits, labels))


def _found(g: Draft) -> list[str]:
    return [output.name for output in g.infer().model.outputs]


def test_a_bare_network() -> None:
    """The one tensor that nothing uses."""
    g = Draft()
    _classifier(g)
    assert _found(g) == ["softmax"]


def test_a_frozen_network() -> None:
    """Weights that are constants make no difference."""
    g = Draft()
    kernel = g.const("kernel", np.ones((4, 3), np.float32))
    g.add("relu", "Relu", g.add("dense", "MatMul", g.placeholder("x"), kernel))
    assert _found(g) == ["relu"]


def test_a_placeholder_for_cached_activations() -> None:
    """One whose default layers compute is part of the network; named as an input, it is one."""
    g = Draft()
    hidden = g.add("relu", "Relu", g.dense("hidden", g.placeholder("x")))
    cached = g.add("cached", "PlaceholderWithDefault", hidden, dtype=FLOAT, shape=(None, 4))
    g.add("softmax", "Softmax", g.dense("logits", cached, 3))
    found = g.infer()
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert [output.name for output in found.model.outputs] == ["softmax"]
    assert found.decided("value") == {"cached": "its default"}
    named = g.infer(inputs={"cached": None})
    assert [entry.name for entry in named.model.inputs] == ["cached"]


def test_logits_behind_a_loss() -> None:
    """Where only the loss uses the logits, they are the output; labels are no input."""
    g = Draft()
    _cross_entropy(g, _classifier(g, softmax=False))
    found = g.infer()
    assert [output.name for output in found.model.outputs] == ["logits/MatMul"]
    assert [entry.name for entry in found.model.inputs] == ["x"]


def test_probabilities_win_over_logits() -> None:
    """A softmax beside the loss is what people want of the two."""
    g = Draft()
    _classifier(g)
    _cross_entropy(g, Ref("logits/MatMul"))
    assert _found(g) == ["softmax"]


def test_logits_reshaped_for_the_loss() -> None:
    """Cross-entropies flatten to two axes for themselves: the output is what was there before."""
    g = Draft()
    logits = _classifier(g, softmax=False)
    shape = g.add("shape", "Shape", logits)
    rows = g.add("last", "StridedSlice", shape, *(g.const(name, np.array([i])) for i, name in enumerate("abc")))
    flat = g.add("flat", "Reshape", logits, g.add("pack", "Pack", g.const("rest", -1), rows))
    _cross_entropy(g, flat)
    assert _found(g) == ["logits/MatMul"]


def test_metrics_are_set_aside() -> None:
    """Accuracy: argmax of the prediction, compared with labels, averaged."""
    g = Draft()
    probabilities = _classifier(g)
    _cross_entropy(g, Ref("logits/MatMul"))
    predicted = g.add("argmax", "ArgMax", probabilities, g.const("axis", 1))
    expected = g.add("expected", "ArgMax", Ref("labels"), g.const("axis_2", 1))
    right = g.add("cast", "Cast", g.add("equal", "Equal", predicted, expected), SrcT=10, DstT=FLOAT)
    g.mean("accuracy", right)
    found = g.infer()
    assert "softmax" in [output.name for output in found.model.outputs]
    assert "accuracy" not in [output.name for output in found.model.outputs]
    assert [entry.name for entry in found.model.inputs] == ["x"]


def test_gradients_and_optimisers_are_set_aside() -> None:
    """Backpropagation, its updates, and gradients clipped on the way are training."""
    g = Draft()
    logits = _classifier(g, softmax=False)
    loss = _cross_entropy(g, logits)
    start = g.add("gradients/Fill", "Fill", g.add("gradients/Shape", "Shape", loss), g.const("gradients/one", 1.0))
    back = g.add("gradients/mul", "Mul", start, Ref("xent", 1))
    kernel = g.add("gradients/MatMul_grad/MatMul", "MatMul", Ref("relu"), back, transpose_a=True)
    clipped = g.add("clip", "ClipByValue", kernel, g.const("low", -1.0), g.const("high", 1.0))
    g.add("norm", "L2Loss", clipped)
    g.add("Adam/update", "ApplyGradientDescent", Ref("logits/kernel"), g.const("rate", 0.1), clipped)
    assert _found(g) == ["logits/MatMul"]


def _tag(g: Draft, name: str) -> Ref:
    return g.add(name, "Const", value=np.array(name.encode(), object), dtype=STRING)


def test_savers_are_set_aside() -> None:
    """What is written to files is no output."""
    g = Draft()
    _classifier(g)
    g.add("save", "SaveV2", _tag(g, "path"), _tag(g, "names"), _tag(g, "parts"), Ref("hidden/kernel/read"))
    assert _found(g) == ["softmax"]


@pytest.mark.parametrize("training", [False, True])
def test_summaries_of_every_layer(training: bool) -> None:
    """Histograms and shares of zeros that people look at hide no output and are none, the last layer's included."""
    g = Draft()
    probabilities = _classifier(g)
    if training:
        _cross_entropy(g, Ref("logits/MatMul"))
    for ref in (Ref("relu"), probabilities):
        g.add(f"{ref.node}/histogram", "HistogramSummary", _tag(g, f"{ref.node}/tag"), ref)
        zeros = g.add(f"{ref.node}/zeros", "Equal", ref, g.const(f"{ref.node}/zero", 0.0))
        share = g.mean(f"{ref.node}/share", g.add(f"{ref.node}/cast", "Cast", zeros, SrcT=10, DstT=FLOAT), (0, 1))
        g.add(f"{ref.node}/scalar", "ScalarSummary", _tag(g, f"{ref.node}/tag_2"), share)
    assert _found(g) == ["softmax"]


def _check_numerics(g: Draft, output: Ref) -> None:
    g.add("check", "CheckNumerics", output)


def _assertion(g: Draft, output: Ref) -> None:
    g.add("assert", "Assert", g.add("all", "All", g.add("finite", "IsFinite", output), g.const("axes", 0)), output)


def _printed(g: Draft, output: Ref) -> None:
    g.add("print", "PrintV2", g.add("string", "StringFormat", output))


@pytest.mark.parametrize("check", [_check_numerics, _assertion, _printed])
def test_checks_hide_no_output(check: Callable[[Draft, Ref], None]) -> None:
    """What only looks at the last tensor is no output itself, and the tensor still is one."""
    g = Draft()
    check(g, _classifier(g))
    assert _found(g) == ["softmax"]


def test_an_autoencoder() -> None:
    """The loss needs no labels: the output is what it starts from, not the loss."""
    g = Draft()
    x = g.placeholder("x")
    decoded = g.add("sigmoid", "Sigmoid", g.dense("decoder", g.add("relu", "Relu", g.dense("encoder", x))))
    g.mean("loss", g.add("square", "SquaredDifference", decoded, x), (0, 1))
    assert _found(g) == ["sigmoid"]


def test_weight_decay_is_no_output() -> None:
    """L2 losses of the weights, added to the loss, lead nowhere."""
    g = Draft()
    loss = _cross_entropy(g, _classifier(g, softmax=False))
    decay = g.add("decay", "Mul", g.add("l2", "L2Loss", Ref("hidden/kernel/read")), g.const("factor", 1e-4))
    g.add("total", "AddV2", loss, decay)
    assert _found(g) == ["logits/MatMul"]


def test_two_heads() -> None:
    """A network with two results has two outputs, in the graph's order."""
    g = Draft()
    x = g.placeholder("x")
    trunk = g.add("relu", "Relu", g.dense("trunk", x))
    g.add("policy", "Softmax", g.dense("policy_layer", trunk))
    g.add("value", "Tanh", g.dense("value_layer", trunk, 1))
    assert _found(g) == ["policy", "value"]


def _deep(g: Draft) -> tuple[Ref, Ref]:
    """A trunk of twelve layers with a head of one layer after the second, each with a loss; main, auxiliary."""
    x = g.placeholder("x")
    for i in range(12):
        x = g.add(f"relu_{i}", "Relu", g.dense(f"layer_{i}", x))
        if i == 1:
            branch = x
    labels = g.placeholder("labels", (None, 4))
    auxiliary, main = g.dense("aux", branch), g.dense("main", x)
    g.mean("aux_loss", g.add("aux_xent", "SoftmaxCrossEntropyWithLogits", auxiliary, labels))
    g.mean("main_loss", g.add("main_xent", "SoftmaxCrossEntropyWithLogits", main, labels))
    return main, auxiliary


def test_an_auxiliary_head_is_set_aside() -> None:
    """A head that only a loss uses and that leaves far before the end is training's; the report tells how to get it."""
    g = Draft()
    main, auxiliary = _deep(g)
    found = g.infer()
    assert [output.name for output in found.model.outputs] == [main.node]
    assert found.decided("output")[auxiliary.node] == "set aside"
    reason = next(d.reason for d in found.findings.decisions if d.subject == auxiliary.node)
    assert f"--output {auxiliary.node}" in reason


def test_an_early_head_that_is_a_result_stays() -> None:
    """The same branch with a softmax that no loss uses is an output too."""
    g = Draft()
    main, auxiliary = _deep(g)
    g.add("early", "Softmax", auxiliary)
    assert _found(g) == [main.node, "early"]


def _gan(g: Draft) -> None:
    """A generator, and a discriminator that is applied to images and to what the generator makes."""
    fake = g.add("fake", "Tanh", g.dense("generator", g.placeholder("z")))
    kernel = g.variable("discriminator/kernel", (4, 1))
    for name, data in (("real", g.placeholder("images")), ("made", fake)):
        g.add(f"{name}/Sigmoid", "Sigmoid", g.add(f"{name}/MatMul", "MatMul", data, kernel))


def test_two_networks_are_a_choice() -> None:
    """The error lists each candidate, its shape where it is known, and what it is computed from."""
    g = Draft()
    _gan(g)
    with pytest.raises(UsageError) as caught:
        g.infer()
    text = str(caught.value)
    for word in ("fake (from z)", "made/Sigmoid (from z)", "real/Sigmoid (from images)", "--output NAME"):
        assert word in text
    assert "made/Sigmoid (from z), 20 parameters" in text and "real/Sigmoid (from images), 4 parameters" in text
    assert text.index("made/Sigmoid") < text.index("real/Sigmoid")


def test_a_choice_can_be_made() -> None:
    """One output named, one network exported, with its own input."""
    g = Draft()
    _gan(g)
    found = g.infer("fake")
    assert [entry.name for entry in found.model.inputs] == ["z"]
    assert found.decided("output") == {"fake": "output"}


def test_named_inputs_narrow_the_choice() -> None:
    """With the images as input, only what depends on them is a candidate."""
    g = Draft()
    _gan(g)
    assert [output.name for output in g.infer(inputs={"images": None}).model.outputs] == ["real/Sigmoid"]


def test_a_triplet_of_one_network() -> None:
    """Anchors, positives and negatives are rows of one batch: the embedding is the output, not a distance of it."""
    g = Draft()
    rows = g.add("rows", "Reshape", g.dense("embedding", g.placeholder("x")), g.const("shape", np.array([-1, 3, 4])))
    g.add("parts", "Unpack", rows, num=3, axis=1)
    pairs = {"near": (Ref("parts"), Ref("parts", 1)), "far": (Ref("parts"), Ref("parts", 2))}
    for name, (a, b) in pairs.items():
        square = g.add(f"{name}/square", "Square", g.add(f"{name}/sub", "Sub", a, b))
        g.add(name, "Sum", square, g.const(f"{name}/axes", np.array([1])))
    margin = g.add("margin", "AddV2", g.add("diff", "Sub", Ref("near"), Ref("far")), g.const("alpha", 0.2))
    g.mean("loss", g.add("hinge", "Maximum", margin, g.const("zero", 0.0)))
    assert _found(g) == ["embedding/MatMul"]


def test_two_results_of_one_op() -> None:
    """Both parts of a split are outputs, whether losses use them or nothing does; neither is made of the other."""
    g = Draft()
    g.add("parts", "Split", g.const("axis", 1), g.dense("layer", g.placeholder("x")), num_split=2)
    labels = g.placeholder("labels", (None, 2))
    for port in (0, 1):
        g.mean(f"loss_{port}", g.add(f"xent_{port}", "SoftmaxCrossEntropyWithLogits", Ref("parts", port), labels))
    assert _found(g) == ["parts", "parts:1"]
    g.add("mean", "Tanh", Ref("parts", 0))
    g.add("spread", "Exp", Ref("parts", 1))
    assert _found(g) == ["mean", "spread"]
    bare = Draft()
    bare.add("parts", "Split", bare.const("axis", 1), bare.dense("layer", bare.placeholder("x")), num_split=2)
    assert _found(bare) == ["parts", "parts:1"]


@pytest.mark.parametrize("distance", ["Square", "SquaredDifference", "Abs"])
def test_a_triplet_of_three_towers(distance: str) -> None:
    """Three inputs through the same weights: the embeddings are listed to choose from, not their distances."""
    g = Draft()
    kernel = g.variable("kernel", (4, 2))
    a, *others = (g.add(f"{s}/MatMul", "MatMul", g.placeholder(f"{s}/x"), kernel) for s in ("anchor", "pos", "neg"))
    for name, other in zip(("near", "far"), others, strict=True):
        pair = (a, other) if distance == "SquaredDifference" else (g.add(f"{name}/sub", "Sub", a, other),)
        g.add(name, "Sum", g.add(f"{name}/each", distance, *pair), g.const(f"{name}/axes", np.array([1])))
    margin = g.add("margin", "AddV2", g.add("diff", "Sub", Ref("near"), Ref("far")), g.const("alpha", 0.2))
    g.mean("loss", g.add("hinge", "Maximum", margin, g.const("zero", 0.0)))
    with pytest.raises(UsageError) as caught:
        g.infer()
    candidates = str(caught.value).partition("candidates")[2]
    for name in ("anchor", "pos", "neg"):
        assert f"{name}/MatMul (from {name}/x)" in candidates
    assert "near" not in candidates


def test_dropout_of_an_inner_result_is_no_output() -> None:
    """Every step of a recurrent network may be dropped out, though only the last one is used."""
    g = Draft()
    x = g.placeholder("x")
    first = g.add("tanh", "Tanh", g.dense("step", x))
    drawn = g.add("uniform", "RandomUniform", g.add("shape", "Shape", first), dtype=FLOAT)
    mask = g.add("floor", "Floor", g.add("add", "Add", g.const("keep", 0.5), drawn))
    g.add("dropped", "Mul", g.add("div", "RealDiv", first, g.const("keep_2", 0.5)), mask)
    g.add("last", "Softmax", g.dense("out", first))
    assert _found(g) == ["last"]


def test_nothing_to_export() -> None:
    """A graph in which no layer computes anything says so."""
    g = Draft()
    g.placeholder("x")
    with pytest.raises(UsageError, match="no output could be found"):
        g.infer()


def test_labels_as_numbers_are_no_input() -> None:
    """Sparse labels go through a one-hot; they are told by never feeding a layer."""
    g = Draft()
    logits = _classifier(g, softmax=False)
    labels = g.placeholder("labels", (None,), INT32)
    one_hot = g.add("one_hot", "OneHot", labels, g.const("depth", 3), g.const("on", 1.0), g.const("off", 0.0))
    g.mean("loss", g.add("xent", "SoftmaxCrossEntropyWithLogits", logits, one_hot))
    found = g.infer()
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert [output.name for output in found.model.outputs] == ["logits/MatMul"]


def test_cross_entropy_written_by_hand() -> None:
    """`-sum(labels * log(softmax))`: the output is the softmax, not its logarithm."""
    g = Draft()
    probabilities = _classifier(g)
    product = g.add("mul", "Mul", g.placeholder("labels", (None, 3)), g.add("log", "Log", probabilities))
    g.mean("loss", g.add("neg", "Neg", g.add("sum", "Sum", product, g.const("axes", np.array([1])))))
    assert _found(g) == ["softmax"]


def test_signatures_win() -> None:
    """What the file says of its ends is taken, under the tensors' names."""
    g = Draft()
    _classifier(g)
    g.signatures["serving_default"] = Signature({"image": Ref("x")}, {"hidden": Ref("relu")})
    found = g.infer()
    assert [output.name for output in found.model.outputs] == ["relu"]
    assert found.findings.decisions[0].reason == "signature serving_default"


def test_one_of_several_signatures() -> None:
    """Without a default one has to be chosen; a wrong name lists them."""
    g = Draft()
    _classifier(g)
    g.signatures |= {name: Signature({"x": Ref("x")}, {"y": Ref(name)}) for name in ("relu", "softmax")}
    assert [output.name for output in g.infer(signature="relu").model.outputs] == ["relu"]
    with pytest.raises(UsageError, match=r"relu, softmax\. Choose one with --signature"):
        g.infer()
    with pytest.raises(UsageError, match=r"'sofmax'.*relu, softmax"):
        g.infer(signature="sofmax")


def test_an_accuracy_s_choice_is_no_output() -> None:
    """The classes that only an accuracy looks at aren't exported beside the scores; a prediction that is one is."""
    g = Draft()
    probabilities = _classifier(g)
    labels = g.placeholder("labels", (None,), INT32)
    g.mean("accuracy", g.add("equal", "Equal", g.add("argmax", "ArgMax", probabilities, g.const("axis", 1)), labels))
    assert _found(g) == ["softmax"]
    g.add("classes", "ArgMax", probabilities, g.const("axis_2", 1))
    assert "classes" in _found(g)


@pytest.mark.parametrize("op", ["Sub", "AssignSub"])
def test_statistics_are_no_output(op: str) -> None:
    """Moving averages that freezing has made plain arithmetic of, and moments that nothing uses."""
    g = Draft()
    hidden = g.dense("hidden", g.placeholder("x"))
    mean = g.mean("moments/mean", hidden, keep=True)
    variance = g.mean("moments/variance", g.add("squares", "SquaredDifference", hidden, mean), keep=True)
    moving = g.const("moving_mean", np.ones((1, 4), np.float32)) if op == "Sub" else g.variable("moving_mean", (1, 4))
    step = g.add("step", "Mul", g.add("difference", "Sub", moving, mean), g.const("decay", 0.1))
    g.add("average", op, Ref("moving_mean"), step)
    g.add("spare", "Identity", variance)
    g.add("y", "Relu", hidden)
    found = g.infer()
    assert [output.name for output in found.model.outputs] == ["y"]
    assert found.decided("output")["spare"] == "set aside"


def test_statistics_alone_are_what_is_meant() -> None:
    """A network that ends in the mean over its first axis has that as its output."""
    g = Draft()
    g.mean("pooled", g.dense("hidden", g.placeholder("x")))
    assert _found(g) == ["pooled"]


def test_pieces_that_losses_read_give_way_to_the_whole() -> None:
    """Boxes and scores that a loss cuts from one tensor: that tensor is the output, before it is reshaped to be cut."""
    g = Draft()
    result = g.add("result", "BiasAdd", g.dense("head", g.placeholder("x"), 4), g.variable("bias"))
    cells = g.add("cells", "Reshape", result, g.const("shape", np.array([-1, 2, 2])))
    labels = g.placeholder("labels", (None, 2))
    for i, op in enumerate(("Sigmoid", "Exp")):
        piece = g.add(f"piece_{i}", "StridedSlice", cells, *[g.const(f"slice_{i}{j}", np.array([j])) for j in range(3)])
        g.mean(f"loss_{i}", g.add(f"square_{i}", "SquaredDifference", g.add(f"made_{i}", op, piece), labels), (0, 1))
    found = g.infer()
    assert [output.name for output in found.model.outputs] == ["result"]
    assert list(found.decided("output").values()).count("set aside") == 2


def test_heads_with_layers_of_their_own_are_no_pieces() -> None:
    """Two layers on one trunk that two losses read are two outputs."""
    g = Draft()
    trunk = g.add("relu", "Relu", g.dense("trunk", g.placeholder("x")))
    labels = g.placeholder("labels", (None, 4))
    for name in ("a", "b"):
        g.mean(f"loss_{name}", g.add(f"square_{name}", "SquaredDifference", g.dense(name, trunk), labels), (0, 1))
    assert _found(g) == ["a/MatMul", "b/MatMul"]


@pytest.mark.parametrize("judged", [True, False])
def test_a_picture_of_what_a_second_network_uses(judged: bool) -> None:
    """Bytes to look at give way to the numbers that another network sees; where none does they are the output."""
    g = Draft()
    made = g.add("tanh", "Tanh", g.dense("generator", g.placeholder("z")))
    target = g.placeholder("target", (None, 4))
    g.mean("loss", g.add("square", "SquaredDifference", made, target), (0, 1))
    if judged:
        pair = g.add("pair", "ConcatV2", made, target, g.const("axis", 1))
        g.mean("judged", g.add("judge", "MatMul", pair, g.variable("judge/kernel", (8, 1)), T=FLOAT), (0, 1))
    scaled = g.add("scaled", "Mul", g.add("shifted", "Add", made, g.const("one", 1.0)), g.const("half", 127.5))
    g.add("picture", "Cast", scaled, SrcT=FLOAT, DstT=4)
    assert _found(g) == (["tanh"] if judged else ["picture"])


def test_labels_cut_from_the_input() -> None:
    """Where the next token is the label, the loss isn't the output: the logits are."""
    g = Draft()
    tokens = g.placeholder("tokens", (None,), INT32)
    embedded = g.add("embedded", "GatherV2", g.variable("embeddings", (5, 4)), tokens, g.const("axis", 0))
    logits = g.dense("logits", embedded, 5)
    following = g.add("following", "StridedSlice", tokens, *[g.const(f"slice_{i}", np.array([i])) for i in range(3)])
    g.mean("loss", g.add("xent", "SparseSoftmaxCrossEntropyWithLogits", logits, following))
    assert _found(g) == ["logits/MatMul"]


def test_layers_that_training_never_reaches() -> None:
    """A spare layer whose weights no optimiser touches is no output beside one that is trained."""
    g = Draft()
    hidden = g.add("relu", "Relu", g.dense("hidden", g.placeholder("x")))
    g.add("spare/Relu", "Relu", g.dense("spare", hidden))
    _cross_entropy(g, g.add("y", "Softmax", g.dense("logits", hidden, 3)))
    for name in ("hidden", "logits"):
        gradient = g.add(f"gradients/{name}", "Mul", Ref("loss"), Ref(f"{name}/kernel/read"))
        g.add(f"step/{name}", "ApplyGradientDescent", Ref(f"{name}/kernel"), g.const(f"rate/{name}", 0.1), gradient)
    found = g.infer()
    assert [output.name for output in found.model.outputs] == ["y"]
    assert found.decided("output")["spare/Relu"] == "set aside"


def test_a_picture_judged_by_a_second_network() -> None:
    """Style transfer: both the input and what is made of it go through a network, prepared alike, to be compared."""
    g = Draft()
    x = g.placeholder("x")
    made = g.add("made", "Tanh", g.dense("transform", x))
    kernel, features = g.const("vgg/kernel", np.ones((4, 4), np.float32)), []
    for name, picture in (("wanted", x), ("got", made)):
        centred = g.add(f"{name}/centred", "Sub", picture, g.const(f"{name}/mean", 0.5))
        features.append(g.add(f"{name}/relu", "Relu", g.add(f"{name}/MatMul", "MatMul", centred, kernel)))
    g.mean("loss", g.add("square", "SquaredDifference", *features), (0, 1))
    assert "made" in _found(g)


def test_a_check_by_a_condition_hides_no_output() -> None:
    """`tf.Assert` of control flow v2 gives the result to a condition that returns but a truth value."""
    g, side = Draft(), Draft()
    y = _classifier(g)
    side.add("value", "Identity", Ref("a"), T=10)
    call = g.function("check", ["a", "b"], [Ref("value")], side)
    fine = g.add("all", "All", g.add("finite", "IsFinite", y), g.const("axes", [0, 1]))
    g.add("Assert/AssertGuard/If", "If", fine, fine, y, then_branch=call, else_branch=call, Tout=(10,))
    assert _found(g) == ["softmax"]
