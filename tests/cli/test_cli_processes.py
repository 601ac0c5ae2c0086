"""Commands as processes of their own: without TensorFlow, and without what they don't need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import SAMPLES

_BLOCKED = ("tensorflow", "tensorboard", "tf_keras", "keras", "tf_slim")

_SCRIPT = f"""
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {_BLOCKED!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocked())
from exporter.command_line.cli import main

statuses = []
for command in json.loads(sys.argv[1]):
    try:
        main(command, prog_name="ckpt2onnx")
    except SystemExit as ended:
        statuses.append(ended.code or 0)
print(json.dumps({{"statuses": statuses, "modules": sorted(sys.modules)}}))
"""

_SOURCES: dict[str, tuple[Path, list[str]]] = {
    path.parent.name: (path.parent, facts["outputs"] if facts["several"] else [])
    for path in sorted(SAMPLES.glob("*/sample.json"))
    if (facts := json.loads(path.read_text()))["refused"] is None and facts["meta"]
}
"""Every sample that can be exported, and the outputs that have to be chosen: a new kind of source is a new sample."""


def run_blocked(*commands: list[str], cwd: Path) -> tuple[list[int], list[str]]:
    """Runs commands one after the other in one fresh process; their statuses, and all modules imported by then."""
    command = [sys.executable, "-c", _SCRIPT, json.dumps(commands)]
    environment = {"PYTHONPATH": str(SAMPLES.parent), "PATH": "", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])
    return found["statuses"], found["modules"]


@pytest.mark.parametrize("name", _SOURCES)
def test_no_command_needs_tensorflow(name: str, tmp_path: Path) -> None:
    """Export, both kinds of verify, run and inspect work where neither TensorFlow nor Keras can be imported."""
    folder, outputs = _SOURCES[name]
    source = str(folder)
    statuses, modules = run_blocked(
        ["export", source, "-o", "model.onnx", *(word for output in outputs for word in ("--output", output))],
        ["verify", "model.onnx"],
        ["verify", "model.npz", "--against", source],
        ["run", "model.npz", f"{source}/recorded.npz", "-o", "a.npz"],
        ["run", "model.onnx", f"{source}/recorded.npz", "-o", "b.npz"],
        ["inspect", source],
        cwd=tmp_path,
    )
    assert statuses == [0] * 6
    assert not {module.partition(".")[0] for module in modules} & set(_BLOCKED)


def test_the_block_blocks(tmp_path: Path) -> None:
    """Importing any of them under the block fails, so the test above means something."""
    script = _SCRIPT.partition("from exporter")[0]
    for name in _BLOCKED:
        lines = f"{script}\nimport {name}.anything\n"
        ended = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert f"{name} is blocked" in ended.stderr


@pytest.mark.parametrize(
    ("command", "needless"),
    [
        (["--help"], {"numpy", "onnx", "onnx_ir", "onnxruntime", "h5py", "google"}),
        (["export", "--help"], {"numpy", "onnx", "onnx_ir", "onnxruntime", "h5py", "google"}),
        (["run", "model.npz", "in.npz", "-o", "out.npz"], {"onnx", "onnx_ir", "onnxruntime", "h5py", "google"}),
        (["inspect", "model"], {"onnxruntime", "h5py"}),
    ],
)
def test_a_command_imports_no_more_than_it_needs(command: list[str], needless: set[str], tmp_path: Path) -> None:
    """Help needs nothing, the runtime NumPy alone: so both start fast."""
    source = str(SAMPLES / "one_neuron")
    run_blocked(["export", source, "-o", "model.onnx"], cwd=tmp_path)
    (tmp_path / "in.npz").write_bytes((SAMPLES / "one_neuron" / "recorded.npz").read_bytes())
    words = [source if word == "model" else word for word in command]
    statuses, modules = run_blocked(words, cwd=tmp_path)
    assert statuses == [0]
    assert not set(modules) & needless


@pytest.mark.parametrize("start", [["-m", "exporter"], ["-c", "from exporter.command_line.cli import main; main()"]])
def test_the_module_is_the_command(start: list[str], tmp_path: Path) -> None:
    """`python -m exporter` and the installed command say the same and end with the same status."""
    environment = {"PYTHONPATH": str(SAMPLES.parent), "PATH": ""}
    command = [sys.executable, *start, "export", "nothing"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert ended.stderr.startswith("ckpt2onnx: there is no nothing")
    assert ended.stdout == ""
