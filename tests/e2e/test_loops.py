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
import runtime
from tests.e2e.engines import ENGINES
from tests.e2e.loop_models import FUNCTIONS, KERAS
from tests.e2e.recorded import Array

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_TOLERANCE = 1e-5

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


def _distance(y: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest number: a few 1e-7 is what float32 makes of so few steps."""
    return float(np.max(np.abs(y - expected)) / np.max(np.abs(expected)))


@pytest.mark.parametrize("name", _NAMES)
def test_outputs_are_those_of_tensorflow(models: Path, tmp_path: Path, name: str) -> None:
    """In onnxruntime and in NumPy, for two batches of different lengths."""
    report = exporter.export(models / name / "model", tmp_path / "model.onnx")
    assert [spec.name for spec in report.inputs] == ["x"]
    for recording in ("data", "other"):
        with np.load(models / name / f"{recording}.npz") as arrays:
            x = {"x": arrays["input/x"]}
            expected = {key[len("output/") :]: arrays[key] for key in arrays.files if key.startswith("output/")}
        for engine in ENGINES.values():
            found = engine(tmp_path / "model.onnx", x, list(expected))
            assert all(_distance(found[key], y) < _TOLERANCE for key, y in expected.items())
            assert not any(_distance(found[key], 1.0001 * y) < _TOLERANCE for key, y in expected.items())
    assert all(deviation.good for deviation in runtime.load(tmp_path / "model.npz").check())


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lstm", ["LSTM"]),
        ("stacked", ["LSTM"] * 2),
        ("gru", ["GRU"] * 2),
        ("bidirectional", ["LSTM"] * 2 + ["GRU"] * 2),
    ],
)
def test_recurrent_layers_are_ops(models: Path, tmp_path: Path, name: str, expected: list[str], version: int) -> None:
    """Of Keras, whose loops hold one step each."""
    exporter.export(models / f"{name}_keras{version}" / "model", tmp_path / "model.onnx")
    ops = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert sorted(op for op in ops if op in ("GRU", "LSTM", "Loop", "RNN", "Scan")) == sorted(expected)


@pytest.mark.parametrize("name", ["stacked_keras3", "nested"])
def test_loops_agree_with_the_unfolded_model(models: Path, tmp_path: Path, name: str) -> None:
    """The reference in float64 runs loops too."""
    exporter.export(models / name / "model", tmp_path / "model.onnx")
    assert exporter.verify_model(tmp_path / "model.onnx", against=models / name / "model").ok


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_every_opset_has_loops(models: Path, tmp_path: Path, opset: int) -> None:
    """In the oldest opset as in newer ones."""
    exporter.export(models / "nested" / "model", tmp_path / "model.onnx", opset=opset)
    assert "Loop" in {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert exporter.verify_model(tmp_path / "model.onnx", data=models / "nested" / "data.npz").ok
