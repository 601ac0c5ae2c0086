"""TensorFlow itself as the truth: `verify --reference tensorflow`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

import exporter
import sample_ckpts
from exporter.errors import UnsupportedError
from exporter.verify.verdict import Verdict

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
    with pytest.raises(UnsupportedError, match=r"a checkpoint with its \.meta, or a SavedModel"):
        exporter.verify_model(tmp_path / "model.onnx", against=tmp_path / "model.ckpt", reference="tensorflow")
