"""The commands as a user runs them: processes of their own, in which TensorFlow and Keras can't be imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sample_ckpts
from tests.e2e.recorded import Recorded

_SAMPLES = Path(sample_ckpts.__file__).parent
_PREFIX = "model.ckpt"
_BLOCKED = """
import sys
for name in ("tensorflow", "keras", "tf_keras", "tf_slim", "tensorboard"):
    sys.modules[name] = None
from exporter.command_line.cli import main
main()
"""


def _run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _BLOCKED, *map(str, arguments)]
    environment = {"PYTHONPATH": str(_SAMPLES.parent), "PATH": "", "COLUMNS": "100"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_export_run_and_verify_do_without_tensorflow(tmp_path: Path) -> None:
    """Export, run on recorded inputs, verify: all exit with 0 and give TensorFlow's numbers."""
    exported = _run("export", _SAMPLES / "handmade", "-o", "model.onnx", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert "layer_0/bn" in exported.stdout
    recorded = Recorded.read(_SAMPLES / "handmade")
    np.savez(tmp_path / "inputs.npz", **recorded.inputs)  # type: ignore[arg-type]  # its keyword allow_pickle
    for model in ("model.onnx", "model.npz"):
        ran = _run("run", model, "inputs.npz", "-o", "outputs.npz", cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        with np.load(tmp_path / "outputs.npz") as outputs:
            assert recorded.worst(dict(outputs)) is None
    verified = _run("verify", "model.onnx", "--against", _SAMPLES / "handmade", cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr


def _other_output(folder: Path) -> list[str]:
    return ["--output", "hidden1/relu"]


def _unknown_op(folder: Path) -> list[str]:
    meta = folder / f"{_PREFIX}.meta"
    meta.write_bytes(meta.read_bytes().replace(b"MatMul", b"MatMux"))
    return []


def _truncated_data(folder: Path) -> list[str]:
    data = folder / f"{_PREFIX}.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-9])
    return []


def _flipped_data(folder: Path) -> list[str]:
    data = folder / f"{_PREFIX}.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[20] ^= 1
    data.write_bytes(bytes(content))
    return []


def _missing_data(folder: Path) -> list[str]:
    (folder / f"{_PREFIX}.data-00000-of-00001").unlink()
    return []


def _missing_index(folder: Path) -> list[str]:
    (folder / f"{_PREFIX}.index").unlink()
    return []


def _truncated_index(folder: Path) -> list[str]:
    index = folder / f"{_PREFIX}.index"
    index.write_bytes(index.read_bytes()[:100])
    return []


def _truncated_meta(folder: Path) -> list[str]:
    meta = folder / f"{_PREFIX}.meta"
    meta.write_bytes(meta.read_bytes()[:5000])
    return []


def _other_checkpoint(folder: Path) -> list[str]:
    """The weights of another network under this one's graph."""
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(_SAMPLES / "inception" / f"{_PREFIX}.{part}", folder)
    return []


def _no_such_flag(folder: Path) -> list[str]:
    return ["--set", "trainning=false"]


@pytest.mark.parametrize(
    ("spoil", "status", "words"),
    [
        (_other_output, 2, ["hidden1/relu", "hidden1/Relu"]),
        (_no_such_flag, 2, ["trainning", "training"]),
        (_unknown_op, 4, ["MatMux"]),
        (_truncated_data, 3, ["model.ckpt.data-00000-of-00001"]),
        (_flipped_data, 3, ["model.ckpt.data-00000-of-00001"]),
        (_missing_data, 3, ["model.ckpt.data-00000-of-00001"]),
        (_missing_index, 3, ["model.ckpt.index"]),
        (_truncated_index, 3, ["model.ckpt.index"]),
        (_truncated_meta, 3, ["model.ckpt.meta"]),
        (_other_checkpoint, 3, ["hidden1/dense/kernel"]),
    ],
)
def test_an_error_is_a_paragraph(
    spoil: Callable[[Path], list[str]], status: int, words: list[str], tmp_path: Path
) -> None:
    """What is wrong and where, the right exit status, no traceback, nothing written."""
    folder, work = tmp_path / "run", tmp_path / "work"
    shutil.copytree(_SAMPLES / "one_neuron", folder)
    work.mkdir()
    options = spoil(folder)
    result = _run("export", folder / _PREFIX, "-o", "model.onnx", *options, cwd=work)
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    assert "\n\n" not in result.stderr.strip()
    for word in words:
        assert word in result.stderr
    assert not list(work.iterdir())


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    """A failed export doesn't touch the files of the last good one."""
    assert _run("export", _SAMPLES / "one_neuron", "-o", "model.onnx", cwd=tmp_path).returncode == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = _run("export", _SAMPLES / "autoencoder_trainable_only", "-o", "model.onnx", cwd=tmp_path)
    assert result.returncode == 3
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_checkpoint_is_never_overwritten(tmp_path: Path) -> None:
    """Output paths that are files of the source are refused."""
    folder = tmp_path / "run"
    shutil.copytree(_SAMPLES / "one_neuron", folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = _run("export", folder, "-o", folder / f"{_PREFIX}.meta", cwd=tmp_path)
    assert result.returncode in (2, 3)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
