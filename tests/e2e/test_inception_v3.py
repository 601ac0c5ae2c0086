"""slim's full Inception V3 training checkpoint: everything folded, one Transpose, the numbers of TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

import exporter
from exporter.report.records import Report
from tests.bench.inception_v3 import BATCH_NORMS, INPUT, OUTPUT
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Recorded, distance

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


@dataclass(frozen=True)
class Exported:
    """The network's export to its predictions."""

    recorded: Recorded
    onnx: Path
    report: Report


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the checkpoint; made once, kept in `CKPT2ONNX_CORPUS` if that is set."""
    kept = os.environ.get("CKPT2ONNX_CORPUS")
    folder = (Path(kept) if kept else tmp_path_factory.mktemp("inception")) / "inception_v3"
    subprocess.run([sys.executable, "-m", "tests.bench.inception_v3", str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The export that names the predictions, as any tool has to be told."""
    out = tmp_path_factory.mktemp("out") / "model.onnx"
    report = exporter.export(checkpoint / "model.ckpt", out, outputs=[OUTPUT])
    return Exported(Recorded.read(checkpoint), out, report)


def test_every_batch_norm_is_folded(exported: Exported) -> None:
    """94 of 94 batch norms are in the kernels and biases of their convolutions, none has a gamma."""
    assert len(exported.report.batch_norms) == BATCH_NORMS
    for norm in exported.report.batch_norms:
        fold = exported.report.fold_of(norm.name)
        assert fold is not None and fold.reason is None, norm.name
        assert norm.gamma.startswith("1"), norm.gamma


def test_the_graph_is_as_small_as_it_can_be(exported: Exported) -> None:
    """One Transpose, at the images; one convolution per layer; no control input, no arithmetic of statistics."""
    graph = onnx.load(exported.onnx).graph
    assert [value.name for value in graph.input] == [INPUT]
    ops = [node.op_type for node in graph.node]
    assert ops.count("Transpose") == 1
    assert ops.count("Conv") == BATCH_NORMS + 1
    assert not set(ops) & {"BatchNormalization", "Add", "Sub", "Mul", "Div", "ReduceMean", "If", "Dropout"}


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_are_those_of_tensorflow(exported: Exported, engine: str) -> None:
    """Within float32 noise of TensorFlow in inference mode, which a misplaced epsilon isn't."""
    recorded = exported.recorded
    assert recorded.worst(ENGINES[engine](exported.onnx, recorded.inputs, [OUTPUT])) is None
    assert distance(recorded.planted[OUTPUT], recorded.outputs[OUTPUT]) > 5 * recorded.tolerance(OUTPUT)


def test_the_predictions_are_found_without_names(checkpoint: Path, tmp_path: Path) -> None:
    """Told nothing, the export gives the predictions; the auxiliary head, which only a loss uses, is set aside."""
    report = exporter.export(checkpoint / "model.ckpt", tmp_path / "model.onnx")
    assert [value.name for value in report.inputs] == [INPUT]
    assert [value.name for value in report.outputs] == [OUTPUT]
    assert any("AuxLogits" in decision.subject for decision in report.decisions)
