"""What is no model is called by its name, what is misspelt is guessed, and following a hint gets further."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.checkpoints import PREFIX, copied
from tests.cli.terminal import SAMPLES, Terminal

_ONE = SAMPLES / "one_neuron"


def _torch(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps({}))


def _safetensors(path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


def _cut_keras(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", bytes(5000))
    path.write_bytes(path.read_bytes()[:2000])


def _tfjs(path: Path) -> None:
    path.write_text(json.dumps({"format": "layers-model", "modelTopology": {}, "weightsManifest": []}))


_FOREIGN: list[tuple[str, Callable[[Path], object], list[str]]] = [
    ("net.pt", _torch, ["PyTorch", "torch.onnx.export"]),
    ("net.pth", lambda path: path.write_bytes(pickle.dumps({}, 2)), ["pickle", "PyTorch"]),
    ("net.safetensors", _safetensors, ["safetensors"]),
    ("net.tflite", lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64)), ["TensorFlow Lite", "checkpoint"]),
    ("model.json", _tfjs, ["TensorFlow.js", "tensorflowjs_converter"]),
    ("model.keras", _cut_keras, ["Keras v3 archive that is cut short", "get it again"]),
    ("data.npz", lambda path: np.savez(path, x=np.zeros(2)), ["NumPy arrays"]),
    ("data.npy", lambda path: np.save(path, np.zeros(2)), ["NumPy arrays"]),
    ("a.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)), ["an image"]),
]


@pytest.mark.parametrize(("name", "write", "words"), _FOREIGN, ids=[name for name, _, _ in _FOREIGN])
def test_what_others_wrote_is_called_by_its_name(
    terminal: Terminal, name: str, write: Callable[[Path], object], words: list[str]
) -> None:
    """Status 3, with what to do instead."""
    write(Path(name))
    error = terminal.fails("export", name, "-o", "m.onnx", status=3)
    assert all(word in error for word in words), error


def test_what_is_exported_already(terminal: Terminal) -> None:
    """Both files are known, and the hint, `verify`, checks them."""
    assert terminal("export", _ONE, "-o", "model.onnx").status == 0
    for name in ("model.onnx", "model.npz"):
        error = terminal.fails("export", name, "-o", "again.onnx", status=3)
        (command,) = re.findall(r"`ckpt2onnx (verify)`", error)
        assert terminal(command, name).status == 0


def test_data_without_their_index(terminal: Terminal) -> None:
    """The file, its prefix and the directory say which one is missing; with it the export works."""
    folder = copied("one_neuron", terminal.folder / "run").parent
    index = (folder / f"{PREFIX}.index").read_bytes()
    (folder / f"{PREFIX}.index").unlink()
    (folder / "checkpoint").unlink()
    for source in (folder, folder / PREFIX, folder / f"{PREFIX}.data-00000-of-00001"):
        error = terminal.fails("export", source, "-o", "model.onnx", status=3)
        assert f"{PREFIX}.index is missing" in error
    (folder / re.findall(r"Put (\S+) beside", error)[0]).write_bytes(index)
    assert terminal("export", folder, "-o", "model.onnx").status == 0


@pytest.mark.parametrize("wrong", ["rnu", f"run/{PREFIX.replace('model', 'modle')}"])
def test_paths_are_guessed(terminal: Terminal, wrong: str) -> None:
    """A directory or a prefix that is called almost so; the guess works."""
    copied("one_neuron", terminal.folder / "run")
    error = terminal.fails("export", wrong, "-o", "model.onnx", status=3)
    (guess,) = re.findall(r"Did you mean (\S+)\?", error)
    assert terminal("export", guess, "-o", "model.onnx").status == 0


def test_a_scope_is_what_it_computes(terminal: Terminal) -> None:
    """`--output logits` means the result of that scope, not its variables; the guess works."""
    error = terminal.fails("export", _ONE, "-o", "model.onnx", "--output", "output", status=2)
    (guess,) = re.findall(r"Did you mean (\S+?)(?:\?| or)", error)
    assert guess == "output/batch_normalization/batchnorm/add_1"
    assert terminal("export", _ONE, "-o", "model.onnx", "--output", guess).status == 0


def test_a_prefix_may_be_empty(terminal: Terminal) -> None:
    """`run/.index`, `.meta` and `.data-00000-of-00001`: by the directory and by each file."""
    folder = copied("one_neuron", terminal.folder / "run").parent
    (folder / "checkpoint").unlink()
    for path in list(folder.iterdir()):
        if path.name.startswith(PREFIX):
            shutil.move(path, folder / path.name.removeprefix(PREFIX))
    for source in ("run", "run/", "run/.index", "run/.meta", "run/.data-00000-of-00001"):
        ended = terminal("export", source, "-o", "model.onnx")
        assert ended.status == 0, ended.err
    assert "run/ " in terminal("inspect", "run").out or "checkpoint" in terminal("inspect", "run").out


def test_the_runtime_says_what_inputs_are(terminal: Terminal) -> None:
    """Text is no array: nothing about pickles."""
    assert terminal("export", _ONE, "-o", "model.onnx").status == 0
    Path("a.txt").write_text("1 2 3")
    command = [sys.executable, "-m", "runtime", "model.npz", "a.txt", "-o", "out.npz"]
    environment = {"PYTHONPATH": str(SAMPLES.parent)}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=terminal.folder, check=False)
    assert ended.returncode != 0
    assert "a.txt" in ended.stderr and "numpy.savez" in ended.stderr and "pickle" not in ended.stderr


def test_without_onnxruntime(tmp_path: Path) -> None:
    """An export doesn't need it; what does says so, and what to install."""
    code = "import sys; sys.modules['onnxruntime'] = None; from exporter.command_line.cli import main; main()"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    model = str(tmp_path / "model.onnx")
    assert run("export", str(SAMPLES / "one_neuron"), "-o", model).returncode == 0
    verified = run("verify", model)
    assert verified.returncode == 2
    assert "pip install onnxruntime" in verified.stderr
    assert "bug" not in verified.stderr
