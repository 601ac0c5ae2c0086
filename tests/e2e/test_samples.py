"""The committed samples, exported as their owners would: the checkpoint's path and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import exporter
import runtime
import sample_ckpts
from exporter.errors import ExportError, MissingError, UsageError
from exporter.report.records import Report
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Recorded, distance

_ROOT = Path(sample_ckpts.__file__).parent
_FACTS: dict[str, dict[str, Any]] = {
    path.parent.name: json.loads(path.read_text()) for path in sorted(_ROOT.glob("*/sample.json"))
}
_WHOLE = [name for name, facts in _FACTS.items() if facts["meta"] and facts["refused"] is None]


@dataclass(frozen=True)
class Exported:
    """A sample, what was recorded of it, and what its export gave."""

    facts: dict[str, Any]
    recorded: Recorded
    onnx: Path
    report: Report


def _export(name: str, out: Path, **options: Any) -> Exported:
    facts = _FACTS[name]
    report = exporter.export(_ROOT / name / facts["checkpoint"], out, **options)
    return Exported(facts, Recorded.read(_ROOT / name), out, report)


@pytest.fixture(scope="module", params=_WHOLE)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """One sample, exported without names, or to the output that its owner would choose."""
    facts = _FACTS[request.param]
    chosen = {"outputs": facts["outputs"]} if facts["several"] else {}
    return _export(request.param, tmp_path_factory.mktemp(request.param) / "model.onnx", **chosen)


def test_names_need_not_be_given(exported: Exported) -> None:
    """The inputs and outputs found are the model's own; no flag and no keep probability is among them."""
    graph = onnx.load(exported.onnx).graph
    assert [value.name for value in graph.input] == exported.facts["inputs"]
    assert [value.name for value in graph.output] == exported.facts["outputs"]


@pytest.mark.parametrize("name", [name for name in _WHOLE if _FACTS[name]["several"]])
def test_several_networks_are_listed(name: str, tmp_path: Path) -> None:
    """A generator and a discriminator in one graph: the error lists every end, and nothing is written."""
    with pytest.raises(UsageError) as caught:
        _export(name, tmp_path / "model.onnx")
    for output in _FACTS[name]["outputs"] + _FACTS[name]["inside"]:
        assert output in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_are_those_of_tensorflow(exported: Exported, engine: str) -> None:
    """Within float32 noise of TensorFlow's recorded inference outputs, for the whole batch and for one row."""
    for recorded in (exported.recorded, exported.recorded.first_row()):
        inputs = {name: recorded.inputs[name] for name in exported.facts["inputs"]}
        found = ENGINES[engine](exported.onnx, inputs, exported.facts["outputs"])
        assert recorded.worst(found) is None


def test_no_batch_norm_is_left(exported: Exported) -> None:
    """Every batch norm is folded into a linear layer, and the file holds no trace of one."""
    assert exported.report.batch_norms
    for norm in exported.report.batch_norms:
        fold = exported.report.fold_of(norm.name)
        assert fold is not None and fold.reason is None, norm.name
    ops = {node.op_type for node in onnx.load(exported.onnx).graph.node}
    assert not ops & {"BatchNormalization", "If", "RandomUniformLike", "RandomNormalLike", "ReduceMean"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [name for name in _WHOLE if _FACTS[name]["inside"]])
def test_tensors_inside_can_be_asked_for(name: str, engine: str, tmp_path: Path) -> None:
    """A hidden layer, a generator's image, a value before its activation: named, they are outputs like any other."""
    wanted = _FACTS[name]["inside"]
    exported = _export(name, tmp_path / "model.onnx", outputs=wanted)
    needed = {value.name for value in onnx.load(exported.onnx).graph.input}
    inputs = {key: value for key, value in exported.recorded.inputs.items() if key in needed}
    assert exported.recorded.worst(ENGINES[engine](exported.onnx, inputs, wanted)) is None


@pytest.mark.parametrize("name", _WHOLE)
def test_the_tolerance_tells_a_planted_error(name: str) -> None:
    """The same network with epsilon in the wrong place lies well outside the tolerance."""
    recorded = Recorded.read(_ROOT / name)
    for output in _FACTS[name]["outputs"]:
        assert distance(recorded.planted[output], recorded.outputs[output]) > 5 * recorded.tolerance(output)


@pytest.mark.parametrize("name", ["handmade", "handmade_v2"])
def test_the_posted_numbers_of_the_handmade_batch_norm(name: str, tmp_path: Path) -> None:
    """Neuron 1 of layer 0: -0.077417567 becomes 0.3066464, not 0.543057 as with epsilon outside the root."""
    before, after = _FACTS[name]["inside"]
    exported = _export(name, tmp_path / "model.onnx", outputs=[before, after])
    for engine in ENGINES.values():
        found = engine(exported.onnx, exported.recorded.inputs, [before, after])
        assert found[before][0, 1] == pytest.approx(-0.077417567, abs=1e-8)
        # The root multiplies by 26.5 and the shift is 2.36: one rounding of that is 2.4e-7.
        assert found[after][0, 1] == pytest.approx(0.30664611, abs=5e-7)


def test_the_posted_numbers_of_one_neuron(tmp_path: Path) -> None:
    """x = 0 and 1 give -0.40697935 and 1.215785, as the post printed them, from a weight of 1.404974."""
    (after, _) = _FACTS["one_neuron"]["inside"]
    exported = _export("one_neuron", tmp_path / "model.onnx", outputs=[after])
    for engine in ENGINES.values():
        found = engine(exported.onnx, exported.recorded.inputs, [after])[after]
        np.testing.assert_allclose(found[:, 0], [-0.40697935, 1.215785], rtol=0, atol=1.2e-7)


def test_statistics_that_were_never_updated_are_named(tmp_path: Path) -> None:
    """Moving means of exactly 0 and variances of exactly 1: a warning names each layer."""
    exported = _export("autoencoder_not_updated", tmp_path / "model.onnx")
    names = ", ".join(norm.name for norm in exported.report.batch_norms)
    assert names.count(",") == 4
    (warning,) = (text for text in exported.report.warnings if "exactly 0 and 1" in text)
    assert f"({names})" in warning
    assert warning.endswith("--set keras_learning_phase=true --keep-batch-statistics")


def test_missing_statistics_are_named(tmp_path: Path) -> None:
    """Only what is trainable was saved: each missing tensor is in the error, and nothing is written."""
    with pytest.raises(MissingError) as caught:
        _export("autoencoder_trainable_only", tmp_path / "model.onnx")
    for index in range(5):
        scope = f"batch_normalization_{index}" if index else "batch_normalization"
        assert f"{scope}/moving_mean" in str(caught.value)
        assert f"{scope}/moving_variance" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_bare_weights_ask_for_the_architecture(tmp_path: Path) -> None:
    """Without a graph there is nothing to export from, and the error says what is missing."""
    with pytest.raises(ExportError, match=r"graph|arch"):
        _export("inception_weights", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", _WHOLE)
def test_the_bundle_opens_with_plain_numpy(name: str, tmp_path: Path) -> None:
    """`np.load` without pickle reads every array of the bundle, and `runtime.load` needs nothing else."""
    exported = _export(name, tmp_path / "model.onnx", outputs=_FACTS[name]["outputs"])
    with np.load(exported.onnx.with_suffix(".npz"), allow_pickle=False) as arrays:
        assert all(arrays[key].size >= 0 for key in arrays.files)
    net = runtime.load(exported.onnx.with_suffix(".npz"))
    assert [value.name for value in net.outputs] == exported.facts["outputs"]
