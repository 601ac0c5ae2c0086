"""TensorFlow itself as the truth: `verify --reference tensorflow`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import exporter
import sample_ckpts
from exporter.errors import UnsupportedError
from exporter.verify.verdict import Verdict
from tests.e2e.reference_kinds import KINDS

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_SAMPLES = Path(sample_ckpts.__file__).parent


def _verified(source: Path, folder: Path) -> Verdict:
    exporter.export(source, folder / "model.onnx")
    return exporter.verify_model(folder / "model.onnx", against=source, reference="tensorflow")


@pytest.mark.parametrize("sample", ["autoencoder", "one_neuron"])
def test_a_checkpoint_is_run_with_its_meta(sample: str, tmp_path: Path) -> None:
    """The flags that the export has set are fed, and all engines agree with TensorFlow."""
    verdict = _verified(_SAMPLES / sample, tmp_path)
    assert verdict.ok, "\n".join(verdict.lines())
    assert verdict.truth.startswith("TensorFlow ")


def test_a_changed_weight_is_found(tmp_path: Path) -> None:
    """A kernel that is off by a thousandth fails in onnxruntime, and in it alone."""
    assert _verified(_SAMPLES / "autoencoder", tmp_path).ok
    model = onnx.load(tmp_path / "model.onnx")
    kernel = next(weight for weight in model.graph.initializer if len(weight.dims) == 2)
    array = onnx.numpy_helper.to_array(kernel) * 1.001
    kernel.CopyFrom(onnx.numpy_helper.from_array(array.astype("float32"), kernel.name))
    onnx.save(model, tmp_path / "model.onnx")
    verdict = exporter.verify_model(tmp_path / "model.onnx", against=_SAMPLES / "autoencoder", reference="tensorflow")
    assert {check.engine.startswith("onnxruntime"): check.ok for check in verdict.checks} == {True: False, False: True}


@pytest.mark.parametrize(
    "kind",
    [
        "SavedModel (TF1): simple_save",
        "SavedModel (TF1): several meta graphs, text",
        "SavedModel (TF2): functional",
        "SavedModel (TF2): tf.Module",
    ],
)
def test_a_saved_model_is_run(kind: str, tmp_path: Path) -> None:
    """Of both versions: by its signature's names, or by the tensors' where the export goes by these."""
    command = [sys.executable, "-m", "tests.e2e.tensorflow_kinds", str(tmp_path), kind]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, env=environment, capture_output=True, check=True)
    verdict = _verified(tmp_path / "model", tmp_path)
    assert verdict.ok, "\n".join(verdict.lines())


@pytest.mark.parametrize(
    "case",
    [
        "dropout_keras_alpha_baked",
        "dropout_keras_gaussian_noise_baked",
        "dropout_rate_constant",
        "dropout_where_rate",
    ],
)
def test_what_only_trains_is_no_truth(corpus: Callable[[str], Path], case: str, tmp_path: Path) -> None:
    """Dropout and noise that no flag switches off, or one that isn't fed, are refused instead of judged by."""
    with pytest.raises(UnsupportedError, match="can't run this graph in inference mode"):
        _verified(corpus("dropout") / case, tmp_path)


@pytest.mark.parametrize("case", ["dropout_keras_alpha", "dropout_keep_default", "dropout_two_probabilities"])
def test_dropout_that_a_flag_switches_off_is_no_hindrance(
    corpus: Callable[[str], Path], case: str, tmp_path: Path
) -> None:
    """Once the flags are as in the report, TensorFlow drops nothing either."""
    verdict = _verified(corpus("dropout") / case, tmp_path)
    assert verdict.ok, "\n".join(verdict.lines())


def test_bare_weights_cant_be_run(tmp_path: Path) -> None:
    """Where the graph comes from the architecture alone, TensorFlow has none to run."""
    for file in (_SAMPLES / "autoencoder").glob("model.ckpt.[!m]*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    exporter.export(tmp_path / "model.ckpt", tmp_path / "model.onnx", arch="dense_autoencoder")
    with pytest.raises(UnsupportedError, match=r"there is no \.meta with its graph"):
        exporter.verify_model(tmp_path / "model.onnx", against=tmp_path / "model.ckpt", reference="tensorflow")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What is said of a model that was saved in all kinds of files, by kind."""
    folder = tmp_path_factory.mktemp("kinds")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    for step in ("reference_kinds", "reference_verdicts"):
        command = [sys.executable, "-m", f"tests.e2e.{step}", str(folder)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr[-2000:]
    found = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    return {entry["kind"]: entry for entry in found}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file_has_its_reference(kind: str, verdicts: dict[str, dict[str, Any]]) -> None:
    """Keras 2 and 3 run what they wrote, TensorFlow its graphs; layers and batch norms are compared all the same."""
    found = verdicts[kind]
    assert found["state"] == "good"
    assert found["share"] == 1
    writer = "Keras 3." if kind in ("v3.keras", "v3.h5", "v3.weights.h5") else "Keras 2."
    assert found["truth"].startswith("TensorFlow " if "frozen" in kind or kind in _SAVED else writer)
    assert all(found["sites"])
    assert ("frozen" in kind) == (found["sites"] == [])
    assert found["wrong"] == "off"


_SAVED = ("v2_saved", "v3_exported")


def test_what_nobody_can_load_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    """A checkpoint of weights without a graph: an error of one paragraph, and no TensorFlow in the process."""
    for file in (_SAMPLES / "one_neuron").iterdir():
        if file.suffix not in (".meta", ".npz"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    exporter.export(_SAMPLES / "one_neuron", tmp_path / "m.onnx")
    script = (
        "import sys, exporter\n"
        f"try: exporter.verify_model({str(tmp_path / 'm.onnx')!r}, against={str(tmp_path)!r}, reference='tensorflow')\n"
        "except exporter.ExportError as error: print(error)\n"
        "print(*(name for name in ('tensorflow', 'keras', 'tf_keras') if name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    error, imported = ended.stdout.split("\n")[:2]
    assert "can't load" in error
    assert imported == ""
