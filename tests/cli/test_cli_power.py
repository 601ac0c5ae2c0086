"""A verdict that knows what it would have noticed, and says so where it can't tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from exporter.ir.builder import Builder
from exporter.passes.pipeline import run as run_passes
from exporter.targets.npz_bundle import write_bundle
from exporter.targets.onnx_file import onnx_model, onnx_writers
from exporter.verify.layerwise import verify_layers
from exporter.verify.model_files import verify_model
from exporter.verify.probes import probes
from exporter.verify.references.truth import UnfoldedModel
from exporter.verify.verdict import Verdict
from tests.bench.planted_faults import FAULTS, try_faults
from tests.cli.terminal import Terminal

FLOAT = ir.DataType.FLOAT
_ROOT = Path(__file__).parents[2]
_SAMPLE = _ROOT / "sample_ckpts" / "inception"


def _weights(*shape: int, scale: float = 1.0) -> Any:
    return (scale * np.random.RandomState(sum(shape)).standard_normal(shape)).astype(np.float32)


def _network(
    *, shift: float = 0.0, factor: float | Any = 1.0, bias: float | Any = None, probabilities: bool = False
) -> ir.Model:
    """A convolution with a batch norm, and logits; pixels of 0 to 255, going by the statistics."""
    b = Builder("m")
    y = b.op("Conv", b.input("x", FLOAT, ("N", 12, 12, 3)), b.constant(_weights(3, 3, 3, 16), "first"), None)
    parts = [np.ones(16), np.zeros(16), np.full(16, 127.5) * _weights(3, 3, 3, 16).sum((0, 1, 2)), np.full(16, 4e5)]
    y = b.op("BatchNormalization", y, *(b.constant(np.float32(part)) for part in parts))
    y = b.op("Relu", b.op("Add", y, b.constant(np.full(16, shift, np.float32))))
    y = b.op("ReduceMean", y, b.constant(np.array([1, 2])), keepdims=0)
    y = b.op("Dense", y, b.constant(_weights(16, 5, scale=factor), "last"))
    if bias is not None:
        y = b.op("Add", y, b.constant(np.float32(bias)))
    if probabilities:
        p = b.op("Softmax", y, axis=-1)
        return b.finish({"y": b.op("Reshape", p, b.constant(np.array([-1, 5]))), "p": p})
    return b.finish({"y": y})


def _verified(
    build: Callable[[], ir.Model], folder: Path, change: Callable[[onnx.ModelProto], None], *, bundle: bool = True
) -> Verdict:
    """What is said of an export of a model, after its ONNX file was changed."""
    model, path = build(), folder / "m.onnx"
    recorded = probes(model)
    run_passes(model)
    for file, write in onnx_writers(onnx_model(model), path).items():
        write(file)
    write_bundle(model, folder / "m.npz", probes=recorded)
    with _changing(path) as proto:
        change(proto)
    return verify_layers(path, folder / "m.npz" if bundle else None, UnfoldedModel(build()), None, fold=True)


@contextmanager
def _changing(path: Path) -> Iterator[onnx.ModelProto]:
    proto = onnx.load(path)
    yield proto
    onnx.save(proto, path)


def _zero(name: str, channels: list[int]) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        weight = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
        array = onnx.numpy_helper.to_array(weight).copy()
        array[channels] = 0
        weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))

    return change


def _nothing(proto: onnx.ModelProto) -> None:
    pass


def test_a_right_export_is_good_with_all_of_its_power(tmp_path: Path) -> None:
    """All layers are compared in all engines; every channel would be noticed; pixels were fed."""
    verdict = _verified(_network, tmp_path, _nothing)
    assert verdict
    assert verdict.state == "good"
    assert verdict.share == 1
    assert {check.engine for check in verdict.layers} == {
        "onnxruntime, as written",
        "onnxruntime, optimised",
        "NumPy runtime",
    }
    assert verdict.inputs["inputs"][0]["offset"][0] > 60
    assert repr(verdict).startswith("<Verdict: good;")


@pytest.mark.parametrize("wrong", [False, True])
def test_a_file_with_other_names_is_judged(wrong: bool, tmp_path: Path) -> None:
    """As another exporter writes it: `x:0`, an output of another name; no layer has a counterpart."""

    def rename(proto: onnx.ModelProto) -> None:
        names = {"x": "x:0", "y": "result", **{name: f"t{i}" for i, name in enumerate(_inner(proto))}}
        for node in proto.graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        for end in (*proto.graph.input, *proto.graph.output):
            end.name = names[end.name]
        del proto.graph.value_info[:]
        if wrong:
            _zero("first", [3])(proto)

    verdict = _verified(_network, tmp_path, rename, bundle=False)
    assert verdict.state == ("off" if wrong else "good")
    assert set(verdict.remarks) == {"x:0 is taken for x", "result is taken for y"}
    assert {check.layer for check in verdict.layers} <= {"y"}
    assert verdict.share == 1


def _inner(proto: onnx.ModelProto) -> list[str]:
    return [name for node in proto.graph.node for name in node.output if name != "y"]


def test_filters_of_the_first_layer_set_to_zero_are_noticed(tmp_path: Path) -> None:
    """Of a network of raw pixels; the layer is named, with what stands in front of it."""
    verdict = _verified(_network, tmp_path, _zero("first", [2, 5, 11]))
    assert not verdict
    assert verdict.state == "off"
    off = verdict.first_off
    assert off is not None
    assert off.channel in (2, 5, 11)
    assert off.behind == ("x",)
    assert "the first one off is" in "\n".join(verdict.lines())


def test_an_output_that_does_not_depend_on_the_input_is_no_evidence(tmp_path: Path) -> None:
    """A network that is dead behind its first layer: no verdict, and it is said why."""
    verdict = _verified(lambda: _network(shift=-1e6), tmp_path, _nothing)
    assert (verdict.state, bool(verdict)) == ("none", False)
    assert "doesn't depend on input x" in "\n".join(verdict.lines())


def test_probabilities_that_never_change_are_no_doubt_where_logits_do(tmp_path: Path) -> None:
    """One class wins whatever comes, and the logits tell what is behind it; a network that is dead has none that do."""
    certain = np.array([1000, 0, 0, 0, 0], np.float32)
    verdict = _verified(lambda: _network(bias=certain, probabilities=True), tmp_path, _nothing)
    assert (verdict.state, verdict.doubts) == ("good", ())
    verdict = _verified(lambda: _network(bias=certain, probabilities=True), tmp_path, _zero("first", [3]))
    assert verdict.state == "off"
    verdict = _verified(lambda: _network(bias=certain, probabilities=True, shift=-1e6), tmp_path, _nothing)
    assert verdict.state == "none"


def test_what_is_not_finite_is_no_evidence(tmp_path: Path) -> None:
    """A model whose outputs are all NaN has no parity with itself."""
    verdict = _verified(lambda: _network(factor=float("nan")), tmp_path, _nothing)
    assert (verdict.state, bool(verdict)) == ("none", False)
    assert "isn't finite" in "\n".join(verdict.lines())


def _scale(name: str, channel: int) -> Callable[[onnx.ModelProto], None]:
    """A channel a fiftieth too large; kernels of products have their channels last in an ONNX file."""

    def change(proto: onnx.ModelProto) -> None:
        weight = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
        array = onnx.numpy_helper.to_array(weight).copy()
        np.moveaxis(array, 0 if array.ndim == 4 else 1, 0)[channel] *= np.float32(1.02)
        weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))

    return change


def test_stored_examples_tell_what_they_would_have_noticed(tmp_path: Path) -> None:
    """Channel by channel, as it turns out: a logit hears nothing of four filters, that see everything."""
    quiet = np.where(np.arange(16) % 4 == 1, 1e-9, 1.0)[:, None]
    _verified(lambda: _network(factor=quiet), tmp_path, _nothing)
    stated = verify_model(tmp_path / "m.onnx")
    assert stated.state == "weak"
    assert stated.share == pytest.approx(17 / 21)
    assert "That is weak. A comparison with the source" in "\n".join(stated.lines())
    assert {one.weight: one.missed for one in stated.power} == {"first": (1, 5, 9, 13), "last": ()}
    for one in stated.power:
        for channel in range(one.channels):
            _verified(lambda: _network(factor=quiet), tmp_path, _scale(one.weight, channel))
            noticed = verify_model(tmp_path / "m.onnx").state == "off"
            assert noticed == (channel not in one.missed), (one.weight, channel)


def test_stored_examples_that_see_little_are_no_evidence(tmp_path: Path) -> None:
    """Where less than half of the channels reach an output there is no verdict, and it is said what to do."""
    quiet = np.where(np.arange(16) < 14, 1e-9, 1.0)[:, None]
    _verified(lambda: _network(factor=quiet), tmp_path, _nothing)
    stated = verify_model(tmp_path / "m.onnx")
    assert stated.state == "none"
    assert stated.share == pytest.approx(7 / 21)
    assert "Give the source with --against" in "\n".join(stated.lines())


def test_stored_examples_that_move_nothing_are_no_evidence(tmp_path: Path) -> None:
    """Plain `verify` says it of a network that is dead behind its first layer, and of one that is alive it doesn't."""
    _verified(lambda: _network(shift=-1e6), tmp_path, _nothing)
    verdict = verify_model(tmp_path / "m.onnx")
    assert (verdict.state, bool(verdict)) == ("none", False)
    assert "doesn't depend on input x" in "\n".join(verdict.lines())
    _verified(_network, tmp_path, _nothing)
    assert verify_model(tmp_path / "m.onnx").state == "good"


def test_channels_stand_for_others_where_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is about the same; fewer than two dozen stand for nothing."""
    _verified(_network, tmp_path, _nothing)
    whole = verify_model(tmp_path / "m.onnx")
    assert (sum(one.channels for one in whole.power), whole.share) == (21, 1)
    monkeypatch.setattr("exporter.verify.example_power._FEWEST", 4)
    monkeypatch.setattr("exporter.verify.example_power._MOST_OPERATIONS", 4_000_000)
    some = verify_model(tmp_path / "m.onnx")
    assert 4 <= sum(one.channels for one in some.power) < 21
    assert {one.weight: one.of for one in some.power} == {"first": 16, "last": 5}
    assert "which stand for 21" in "\n".join(some.lines())
    monkeypatch.setattr("exporter.verify.example_power._MOST_OPERATIONS", 1000)
    assert verify_model(tmp_path / "m.onnx").power == ()


def test_the_command_says_it(terminal: Terminal) -> None:
    """Status 0, with the share of channels that would have been noticed, and the JSON's words for it."""
    assert terminal("export", _SAMPLE, "-o", "m.onnx").status == 0
    ended = terminal("verify", "m.onnx", "--against", _SAMPLE)
    assert (ended.status, ended.err) == (0, "")
    assert "layers are within their limits" in ended.out
    assert "would be noticed in 100 %" in ended.out
    verdict = terminal("verify", "m.onnx", "--against", _SAMPLE, "--json").json
    assert (verdict["state"], verdict["share"]) == ("good", 1)


@pytest.mark.slow
@pytest.mark.parametrize("sample", ["autoencoder", "handmade_v2", "inception", "one_neuron"])
def test_planted_faults_are_noticed(sample: str, tmp_path: Path) -> None:
    """Faults of eight kinds, by comparison with the source and by the stored examples; the stated power agrees."""
    outcomes = try_faults(_ROOT / "sample_ckpts" / sample, tmp_path, each=1)
    real = [one for one in outcomes if one.changes]
    assert len(real) >= 3
    assert {one.fault for one in outcomes} <= set(FAULTS)
    assert [one for one in real if not one.against] == []
    assert [one for one in real if not one.stored] == []
    assert all(one.stated == one.against for one in outcomes if one.stated is not None)
    assert all(one.stated_stored == one.stored for one in outcomes if one.stated_stored is not None)


def _words(*, unheard: bool = False, shut: bool = False) -> ir.Model:
    """An embedding, an LSTM and logits; neither they nor the other units may hear the first unit."""
    b = Builder("m")
    x = b.op("Gather", b.constant(_weights(9, 4), "table"), b.input("x", ir.DataType.INT32, ("N", 7)), axis=0)
    recurrent, head = _weights(1, 12, 3), _weights(3, 5)
    if unheard:
        recurrent[..., 0], head[0] = 0, 0
    matrices = [b.constant(_weights(1, 12, 4), "input_weights"), b.constant(recurrent, "recurrent_weights")]
    gates = np.zeros((1, 24), np.float32)
    gates[:, 0] = -1e4 * shut
    x = b.op("Transpose", x, perm=[1, 0, 2])
    last = b.op_n("LSTM", 3, x, *matrices, b.constant(gates), hidden_size=3, direction="forward")[1]
    y = b.op("Dense", b.op("Reshape", last, b.constant(np.array([-1, 3]))), b.constant(head, "last"))
    return b.finish({"y": y})


@pytest.mark.parametrize("stored", [False, True])
def test_recurrent_layers_and_embeddings_count(tmp_path: Path, stored: bool) -> None:
    """Each gate of each unit and each column of the table is among the channels; what is stated is what is noticed."""

    def scale_row(proto: onnx.ModelProto) -> None:
        weight = next(tensor for tensor in proto.graph.initializer if tensor.name == "recurrent_weights")
        array = onnx.numpy_helper.to_array(weight).copy()
        array[0, 4] *= np.float32(1.02)
        weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))

    verdict = _verified(_words, tmp_path, _nothing)
    stated = verify_model(tmp_path / "m.onnx") if stored else verdict
    assert stated.state == "good"
    assert {one.weight: one.channels for one in stated.power} == {
        "table": 4, "input_weights": 12, "recurrent_weights": 12, "last": 5
    }  # fmt: skip
    verdict = _verified(_words, tmp_path, scale_row)
    assert (verify_model(tmp_path / "m.onnx") if stored else verdict).state == "off"


def test_what_a_recurrent_layer_never_uses_is_asleep(tmp_path: Path) -> None:
    """A unit whose input gate is shut: none of its four gates changes anything, which isn't a fault that was missed."""
    verdict = _verified(lambda: _words(shut=True), tmp_path, _nothing)
    asleep = {one.weight: len(one.asleep) for one in verdict.power}
    assert (verdict.state, asleep["recurrent_weights"], asleep["last"]) == ("good", 4, 0)


def test_what_nothing_hears_of_a_recurrent_layer_is_said(tmp_path: Path) -> None:
    """The output gate of a unit that no logit takes is missed by stored examples."""
    _verified(lambda: _words(unheard=True), tmp_path, _nothing)
    missed = {one.weight: one.missed for one in verify_model(tmp_path / "m.onnx").power}
    assert 3 in missed["recurrent_weights"]
    assert 4 not in missed["recurrent_weights"]
