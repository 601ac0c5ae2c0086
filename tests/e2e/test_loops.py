"""SavedModels with loops, from the file to three engines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import exporter
from tests.e2e.loop_models import FUNCTIONS, KERAS

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_NAMES = [*(f"{name}_keras{version}" for name in KERAS for version in (2, 3)), *FUNCTIONS]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them."""
    folder = tmp_path_factory.mktemp("loops")
    for legacy in ("1", "0"):
        environment = {**os.environ, "TF_USE_LEGACY_KERAS": legacy, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "tests.e2e.loop_models", str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.parametrize("name", _NAMES)
def test_outputs_are_those_of_tensorflow(models: Path, tmp_path: Path, name: str) -> None:
    """In onnxruntime and in NumPy, for two batches of different lengths; slightly other numbers fail."""
    report = exporter.export(models / name / "model", tmp_path / "model.onnx")
    assert [spec.name for spec in report.inputs] == ["x"]
    for recording in ("data", "other"):
        verdict = exporter.verify_model(tmp_path / "model.onnx", data=models / name / f"{recording}.npz")
        assert verdict.ok, "\n".join(verdict.lines())
    with np.load(models / name / "data.npz") as arrays:
        moved = {key: array * np.float32(1 + 1e-3 * key.startswith("output/")) for key, array in arrays.items()}
    np.savez(tmp_path / "wrong.npz", allow_pickle=False, **moved)
    assert not exporter.verify_model(tmp_path / "model.onnx", data=tmp_path / "wrong.npz").ok


@pytest.mark.parametrize("name", ["stacked_keras3", "nested"])
def test_loops_agree_with_the_unfolded_model(models: Path, tmp_path: Path, name: str) -> None:
    """The reference in float64 runs loops too."""
    exporter.export(models / name / "model", tmp_path / "model.onnx")
    assert exporter.verify_model(tmp_path / "model.onnx", against=models / name / "model").ok


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_every_opset_has_loops(models: Path, tmp_path: Path, opset: int) -> None:
    """In the oldest opset as in newer ones."""
    exporter.export(models / "ranged" / "model", tmp_path / "model.onnx", opset=opset)
    assert "Loop" in {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert exporter.verify_model(tmp_path / "model.onnx", data=models / "ranged" / "data.npz").ok
