"""However a checkpoint is pointed at, and in whatever file its graph comes, the same function is exported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

import exporter
import sample_ckpts
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Recorded

_SAMPLE = Path(sample_ckpts.__file__).parent / "one_neuron"
_OUTPUT = "output/batch_normalization/batchnorm/add_1"
_RECORDED = Recorded.read(_SAMPLE)


def _written(source: Path, out: Path, **options: Any) -> tuple[bytes, bytes]:
    """Both files; but for the graph's name, which is the source's."""
    out.parent.mkdir()
    exporter.export(source, out, **options)
    model = onnx.load(out)
    model.graph.name = "graph"
    return model.SerializeToString(deterministic=True), out.with_suffix(".npz").read_bytes()


def _right(model: Path) -> None:
    for engine in ENGINES.values():
        assert _RECORDED.worst(engine(model, _RECORDED.inputs, [_OUTPUT])) is None


@pytest.mark.parametrize(
    "name",
    [
        "model.ckpt.index",
        "model.ckpt.meta",
        "model.ckpt.data-00000-of-00001",
        "checkpoint",
        ".",
    ],
)
def test_any_of_its_files_means_the_checkpoint(name: str, tmp_path: Path) -> None:
    """The prefix, the folder and each file in it lead to the same files."""
    expected = _written(_SAMPLE / "model.ckpt", tmp_path / "a" / "model.onnx")
    assert _written(_SAMPLE / name, tmp_path / "b" / "model.onnx") == expected


def test_a_moved_folder_is_found(tmp_path: Path) -> None:
    """A state file that names an absolute path which is no more: the file beside it is meant."""
    folder = tmp_path / "moved"
    shutil.copytree(_SAMPLE, folder)
    (folder / "checkpoint").write_text('model_checkpoint_path: "/gone/model.ckpt"\n')
    expected = _written(_SAMPLE, tmp_path / "a" / "model.onnx")
    assert _written(folder, tmp_path / "b" / "model.onnx") == expected


def test_nothing_but_the_input_decides_the_bytes(tmp_path: Path) -> None:
    """Two exports, in processes with different hash seeds, are the same files."""
    results = []
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.onnx"
        command = [sys.executable, "-m", "exporter", "export", str(_SAMPLE), "-o", str(out)]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(_SAMPLE.parents[1])})
        results.append((out.read_bytes(), out.with_suffix(".npz").read_bytes()))
    assert results[0] == results[1]


@pytest.fixture(scope="module")
def graph_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's graph in TensorFlow's other files."""
    folder = tmp_path_factory.mktemp("graphs") / "made"
    command = [sys.executable, "-m", "tests.corpus.graph_files", str(_SAMPLE / "model.ckpt"), str(folder), _OUTPUT]
    subprocess.run(command, check=True, cwd=_SAMPLE.parents[1])
    return folder


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["frozen.pb", "frozen.pbtxt", "text/model.ckpt"])
def test_graphs_in_other_files(graph_files: Path, name: str, tmp_path: Path) -> None:
    """A frozen graph, binary or text, and a checkpoint with a text .meta export without names."""
    exporter.export(graph_files / name, tmp_path / "model.onnx")
    _right(tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["graph.pb", "graph.pbtxt"])
def test_a_graph_beside_bare_weights(graph_files: Path, name: str, tmp_path: Path) -> None:
    """Weights from the checkpoint, the graph from a file of its own: `--graph`."""
    weights = tmp_path / "weights"
    shutil.copytree(_SAMPLE, weights, ignore=shutil.ignore_patterns("*.meta"))
    exporter.export(weights / "model.ckpt", tmp_path / "model.onnx", graph=graph_files / name)
    _right(tmp_path / "model.onnx")
