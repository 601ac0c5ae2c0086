"""Every kind of file that TensorFlow saves a model in, from the file to three engines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import exporter
from exporter.report.records import Report
from tests.e2e.blocked import exported_alike
from tests.e2e.recorded import Array
from tests.e2e.tensorflow_kinds import KINDS, save_arrays

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def _make(folder: Path, kind: str) -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": KINDS[kind][1], "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tests.e2e.tensorflow_kinds", str(folder), kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def _source(folder: Path) -> Path:
    """The SavedModel or directory itself, or the one graph file in it."""
    files = [*(folder / "model").glob("frozen.pb*")]
    weights = folder / "model" / "weights"
    if weights.with_suffix(".index").exists():
        return weights
    return files[0] if files else folder / "model"


def _graph(folder: Path) -> Path | None:
    graph = folder / "graph"
    if not graph.exists():
        return None
    files = list(graph.glob("graph.pb"))
    return files[0] if files else graph


@pytest.fixture(scope="module", params=list(KINDS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """A folder with a model of one kind, and what its export gave."""
    folder = tmp_path_factory.mktemp("kind")
    _make(folder, request.param)
    return folder, exporter.export(_source(folder), folder / "model.onnx", graph=_graph(folder))


def test_outputs_are_those_of_tensorflow(exported: tuple[Path, Report]) -> None:
    """onnxruntime and the NumPy runtime agree with TensorFlow at inference, within float32 noise."""
    folder, _ = exported
    verdict = exporter.verify_model(folder / "model.onnx", data=folder / "data.npz")
    assert verdict.ok, "\n".join(verdict.lines())


def _moved(name: str, array: Array) -> Array:
    return array * np.float32(1.0001) if name.startswith("output/") and array.dtype.kind == "f" else array


def test_a_planted_error_is_found(exported: tuple[Path, Report], tmp_path: Path) -> None:
    """Outputs that are off by a ten-thousandth fail the same comparison."""
    folder, _ = exported
    with np.load(folder / "data.npz") as arrays:
        moved = {name: _moved(name, array) for name, array in arrays.items()}
    save_arrays(tmp_path / "wrong.npz", moved)
    assert not exporter.verify_model(folder / "model.onnx", data=tmp_path / "wrong.npz").ok


def test_batch_norms_are_folded(exported: tuple[Path, Report]) -> None:
    """No batch norm is left, and no flag is an input."""
    _, report = exported
    assert all((fold := report.fold_of(norm.name)) is not None and fold.reason is None for norm in report.batch_norms)
    assert not any(spec.dtype == "bool" for spec in report.inputs)


def test_same_source_same_bytes(exported: tuple[Path, Report]) -> None:
    """A second export of the same file gives the same bytes."""
    folder, _ = exported
    exporter.export(_source(folder), folder / "again.onnx", graph=_graph(folder))
    for suffix in (".onnx", ".npz"):
        assert (folder / f"again{suffix}").read_bytes() == (folder / f"model{suffix}").read_bytes()


def test_export_does_without_tensorflow(exported: tuple[Path, Report]) -> None:
    """Where neither TensorFlow nor Keras can be imported, the same bytes come out."""
    folder, _ = exported
    assert exported_alike(folder / "model.onnx", _source(folder), graph=_graph(folder))
