"""Samples as standalone programs: what other processes compute from the files is what TensorFlow recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter
import sample_ckpts
from exporter.errors import UsageError
from tests.e2e.recorded import Recorded
from tests.unit.targets.c_builds import built, needs

_ROOT = Path(sample_ckpts.__file__).parent
_FACTS: dict[str, dict[str, Any]] = {
    path.parent.name: json.loads(path.read_text()) for path in sorted(_ROOT.glob("*/sample.json"))
}
_WHOLE = [name for name, facts in _FACTS.items() if facts["meta"] and facts["refused"] is None]


def _export(name: str, out: Path, **options: Any) -> None:
    facts = _FACTS[name]
    chosen = {"outputs": facts["outputs"]} if facts["several"] else {}
    exporter.export(_ROOT / name / facts["checkpoint"], out, **chosen, **options)


@pytest.mark.parametrize("suffix", [".py", ".pyz"])
@pytest.mark.parametrize("name", _WHOLE)
def test_outputs_are_those_of_tensorflow(name: str, suffix: str, tmp_path: Path) -> None:
    """Within float32 noise of TensorFlow's recorded outputs, run from the command line in a place of their own."""
    _export(name, tmp_path / "net.onnx", to=["numpy", "pyz"])
    recorded = Recorded.read(_ROOT / name)
    np.savez(tmp_path / "in.npz", allow_pickle=False, **{key: recorded.inputs[key] for key in _FACTS[name]["inputs"]})
    program, out = tmp_path / f"net{suffix}", tmp_path / "out.npz"
    command = [sys.executable, "-I", str(program), str(tmp_path / "in.npz"), "-o", str(out)]
    subprocess.run(command, check=True, cwd=tmp_path)
    with np.load(out) as found:
        assert recorded.worst(dict(found)) is None
    subprocess.run([sys.executable, "-I", str(program), "--check"], check=True, cwd=tmp_path)


@needs("cc", "make")
@pytest.mark.parametrize("name", _WHOLE)
def test_c_gives_what_tensorflow_gives(name: str, tmp_path: Path) -> None:
    """For one row: the tool's outputs are within float32 noise of the recorded ones, and the stored test passes."""
    _export(name, tmp_path / "net.onnx", to=["c"])
    row = Recorded.read(_ROOT / name).first_row()
    inputs, folder = _FACTS[name]["inputs"], tmp_path / "net_c"
    for target in ("net_run", "test"):
        done = built(folder, "CFLAGS=-O1 -Werror", target=target)
        assert done.returncode == 0, done.stdout + done.stderr
    for number, key in enumerate(inputs):
        np.save(tmp_path / f"in{number}.npy", row.inputs[key])
    given = [str(tmp_path / f"in{number}.npy") for number in range(len(inputs))]
    made = [str(tmp_path / f"out{number}.npy") for number in range(len(_FACTS[name]["outputs"]))]
    built(folder, "CFLAGS=-O1", target="net_run")
    subprocess.run([str(folder / "net_run"), *given, "-o", *made], check=True)
    outputs = dict(zip(_FACTS[name]["outputs"], map(np.load, made), strict=True))
    assert row.worst(outputs) is None


@needs("cc", "make")
def test_programs_are_verified(tmp_path: Path) -> None:
    """Each is run against the source and is good; one with a planted error is not, and one that can't run says why."""
    _export("one_neuron", tmp_path / "net.onnx", to=["numpy", "pyz", "c"])
    source = _ROOT / "one_neuron" / _FACTS["one_neuron"]["checkpoint"]
    for name, engines in (("net.py", 1), ("net.pyz", 1), ("net_c", 2)):
        verdict = exporter.verify_model(tmp_path / name, against=source)
        assert verdict.ok, verdict.lines()
        assert len({check.engine for check in verdict.checks}) == engines
    for path, planted in ((tmp_path / "net.py", "1.01 * "), (tmp_path / "net_c" / "net.c", "1.01f * ")):
        text = path.read_text()
        path.write_text(
            text.replace("return np.asarray(", f"return np.asarray({planted}").replace("a = x", f"a = {planted}x")
        )
    assert not exporter.verify_model(tmp_path / "net.py").ok
    assert not exporter.verify_model(tmp_path / "net_c").ok
    (tmp_path / "net_c" / "net.c").write_text("int")
    verdict = exporter.verify_model(tmp_path / "net_c")
    assert not verdict.ok
    assert verdict.problems


def test_only_what_is_asked_for_is_written(tmp_path: Path) -> None:
    """ONNX and the bundle by default, with what `to` adds; of the two only the one that is named."""
    for to, expected in (
        ([], {".onnx", ".npz"}),
        (["pyz"], {".onnx", ".npz", ".pyz"}),
        (["onnx"], {".onnx"}),
        (["npz"], {".npz"}),
        (["onnx", "numpy"], {".onnx", ".npz", ".py"}),
    ):
        folder = tmp_path / "-".join(["to", *to])
        folder.mkdir()
        _export("one_neuron", folder / "net.onnx", to=to)
        assert {path.suffix for path in folder.iterdir()} == expected
    with pytest.raises(UsageError):
        _export("one_neuron", tmp_path / "net.onnx", to=["java"])
    with pytest.raises(UsageError):
        _export("one_neuron", tmp_path / "net.onnx", embed=True)


def test_weights_of_another_export_are_refused(tmp_path: Path) -> None:
    """A program beside a bundle that was written by another export says so, in one line, and computes nothing."""
    _export("one_neuron", tmp_path / "net.onnx", to=["numpy"])
    _export("autoencoder", tmp_path / "other.onnx")
    (tmp_path / "other.npz").replace(tmp_path / "net.npz")
    command = [sys.executable, str(tmp_path / "net.py"), "--check"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 3
    assert "another export" in refused.stdout
    assert "Traceback" not in refused.stderr


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    """Twice exported, every file is the same."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        _export("inception", tmp_path / folder / "net.onnx", to=["numpy", "pyz", "c"])
    files = sorted(path for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 14
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    _export("inception", tmp_path / "a" / "net.onnx", to=["numpy", "pyz", "c"])


def test_a_folder_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    """A file in the folder that no export has written is an error, and nothing is written."""
    (tmp_path / "net_c").mkdir()
    (tmp_path / "net_c" / "Makefile").write_text("all:\n")
    with pytest.raises(UsageError, match="Makefile"):
        _export("one_neuron", tmp_path / "net.onnx", to=["c"])
    assert [path.name for path in tmp_path.iterdir()] == ["net_c"]
