"""The commands on checkpoints that hold only weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

import runtime
from exporter.command_line.cli import main
from tests.e2e.blocked import exported_alike
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Recorded

_SAMPLES = Path(__file__).parents[2] / "sample_ckpts"


@pytest.fixture
def autoencoder(tmp_path: Path) -> Path:
    """The sample's weights without its graph."""
    for file in (_SAMPLES / "autoencoder").glob("model.ckpt*"):
        if file.suffix != ".meta":
            shutil.copy(file, tmp_path)
    return tmp_path / "model.ckpt"


def _run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_export_by_name_computes_what_was_recorded(autoencoder: Path, tmp_path: Path) -> None:
    """The architecture alone gives what TensorFlow's graph gave for the sample."""
    model = tmp_path / "out.onnx"
    result = _run("export", autoencoder, "-o", model, "--arch", "dense_autoencoder", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert len(report["batch_norms"]) == 5
    decided = {(d["subject"], d["value"], d["code"]) for d in report["decisions"] if d["kind"] == "value"}
    assert ("activation", "relu", "option_published") in decided
    recorded = Recorded.read(_SAMPLES / "autoencoder")
    (wanted,) = recorded.outputs
    for run in ENGINES.values():
        (found,) = run(model, {"input": recorded.inputs["input"]}, ["restored"]).values()
        assert recorded.worst({wanted: found}) is None
    assert _run("verify", model, "--against", autoencoder).exit_code == 0
    assert exported_alike(model, autoencoder, "--arch", "dense_autoencoder")
    noted = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    assert noted["architecture"] == "dense_autoencoder"
    assert runtime.load(model.with_suffix(".npz")).metadata["architecture"] == "dense_autoencoder"


def test_recognition_of_generic_names_asks_for_the_architecture(autoencoder: Path) -> None:
    """`export` doesn't guess activations."""
    result = _run("export", autoencoder)
    assert result.exit_code == 2
    assert "--arch dense_autoencoder" in result.output


def test_inspect_names_the_architecture_and_the_command(autoencoder: Path) -> None:
    """Batch norms, options and the command to run."""
    found = json.loads(_run("inspect", autoencoder, "--arch", "dense_autoencoder", "--json").output)
    assert found["problem"] is None
    assert found["kind"].endswith("a dense autoencoder of Keras layers")
    assert len(found["batch_norms"]) == 5
    assert found["notes"][-1] == f"export it with: ckpt2onnx export {autoencoder} --arch dense_autoencoder"


def test_a_near_miss_is_an_error_with_the_nearest_architecture(tmp_path: Path) -> None:
    """The sample is Inception V3 cut short and made narrow: that is said, and nothing is written."""
    result = _run("export", _SAMPLES / "inception_weights", "-o", tmp_path / "out.onnx")
    assert result.exit_code == 3
    assert not list(tmp_path.iterdir())
    result = _run("inspect", _SAMPLES / "inception_weights", "--json")
    problem = json.loads(result.output)["problem"]
    assert "The nearest architecture is inception_v3" in problem
    assert "InceptionV3/Conv2d_1a_3x3/weights [3, 3, 3, 4], not [3, 3, 3, 32]" in problem


def test_the_wrong_architecture_ends_with_status_3(autoencoder: Path, tmp_path: Path) -> None:
    """And writes nothing."""
    result = _run("export", autoencoder, "-o", tmp_path / "out.onnx", "--arch", "vgg_16")
    assert result.exit_code == 3
    assert "none of its 27 tensors is called as those of vgg_16" in result.output
    assert not list(tmp_path.glob("out.*"))


def test_sources_with_a_graph_have_no_architecture(tmp_path: Path) -> None:
    """--arch beside a graph is a mistake in the command."""
    result = _run("export", _SAMPLES / "autoencoder", "-o", tmp_path / "out.onnx", "--arch", "vgg_16")
    assert result.exit_code == 2
    assert "this one has its graph" in result.output


@pytest.mark.parametrize("options", [[], ["--reference", "tensorflow"]], ids=["unfolded", "tensorflow"])
def test_verify_runs_no_code_that_a_model_names(autoencoder: Path, tmp_path: Path, options: list[str]) -> None:
    """A file of the user's own is run for --arch alone, never because an exported model says so."""
    own = tmp_path / "own.py"
    own.write_text("from exporter.zoo.architectures.autoencoder import DENSE_AUTOENCODER as net\n")
    model = tmp_path / "out.onnx"
    assert _run("export", autoencoder, "-o", model, "--arch", f"{own}:net").exit_code == 0
    own.write_text("raise SystemExit('this was run')\n")
    result = _run("verify", model, "--against", autoencoder, *options)
    assert result.exit_code == 2
    assert "not run because a model file names it" in result.output
    own.write_text("from exporter.zoo.architectures.autoencoder import DENSE_AUTOENCODER as net\n")
    assert _run("verify", model, "--against", autoencoder, "--arch", f"{own}:net").exit_code == 0
