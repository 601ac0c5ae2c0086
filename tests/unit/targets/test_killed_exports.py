"""A kill at any line of the writer: what loads afterwards is wholly old or wholly new, or is refused."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import runtime
from exporter.errors import ChecksumError, CorruptError
from exporter.run_files import run
from exporter.verify.model_files import verify_model
from tests.unit.targets.kill_at_line import export, network, outputs
from tests.unit.targets.networks import Array

_INLINE, _BESIDE = 1 << 20, 100
_KNOWN = {units: outputs(network(units)) for units in (10, 11)}


def _made(found: Array) -> int:
    """The hidden units of the network that made these outputs; 0 for that of neither."""
    matching = [units for units, (_, known) in _KNOWN.items() if np.allclose(found, known["y"], atol=1e-4)]
    return matching[0] if len(matching) == 1 else 0


def _found(folder: Path) -> tuple[int, int]:
    """What the ONNX file computes in onnxruntime, and what the bundle computes, without a look at each other."""
    given = _KNOWN[10][0]
    session = ort.InferenceSession(folder / "m.onnx")
    alone = folder / "alone.npz"
    alone.write_bytes((folder / "m.npz").read_bytes())
    net = runtime.load(alone)
    assert all(found.good for found in net.check())
    return _made(session.run(None, given)[0]), _made(net.run(given)["y"])


def _kind(old: int, new: int, copy: Path) -> str:
    """Whether the files are `old` or `new`; `refused` if one is old and one new and all that load them refuse."""
    onnx, bundle = _found(copy)
    assert {onnx, bundle} <= {old, new}
    if onnx == bundle:
        return "old" if onnx == old else "new"
    for model in ("m.onnx", "m.npz"):
        with pytest.raises(CorruptError, match="different exports"):
            verify_model(copy / model)
        with pytest.raises(CorruptError, match="different exports"):
            run(copy / model, _KNOWN[10][0])
    with pytest.raises(runtime.BundleError, match="different exports"):
        runtime.load(copy / "m.npz")
    return "refused"


@pytest.mark.parametrize("largest_inline", [_INLINE, _BESIDE])
@pytest.mark.parametrize("count", [8, pytest.param(150, marks=pytest.mark.slow)])
def test_a_kill_at_a_random_instant_mixes_nothing(tmp_path: Path, largest_inline: int, count: int) -> None:
    """And the next export leaves none of the killed one's files."""
    folder = tmp_path / "target"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.unit.targets.kill_at_random", folder, largest_inline, count, 5]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == count
    for line in lines:
        old, new, files, copy = line.split(" ", 3)
        assert _kind(int(old), int(new), Path(copy))
        assert int(files) == (2 if largest_inline == _INLINE else 3)


@pytest.mark.slow
@pytest.mark.parametrize(("modules", "step"), [("atomic", 1), ("all", 43)])
@pytest.mark.parametrize("largest_inline", [_INLINE, _BESIDE])
def test_a_kill_at_any_line_mixes_nothing(tmp_path: Path, largest_inline: int, modules: str, step: int) -> None:
    """Each file is wholly old or wholly new; where one is old and one new, all that load them refuse."""
    folder = tmp_path / "target"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.unit.targets.kill_at_line", folder, largest_inline, modules, step]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    kinds: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        old, new, copy = line.split(" ", 2)
        kinds[_kind(int(old), int(new), Path(copy))] += 1
    assert kinds["old"] > 5
    if modules == "atomic":
        assert kinds["new"]
        assert kinds["refused"]
    left = sorted(path.name for path in folder.iterdir())
    assert [name for name in left if not name.endswith(".data")] == ["m.npz", "m.onnx"]
    assert len(left) == (2 if largest_inline == _INLINE else 3)


def test_weights_beside_of_a_model_that_became_small_go(tmp_path: Path) -> None:
    """The export after one with weights beside leaves none of them, and none of anybody else's."""
    target = tmp_path / "m.onnx"
    other = tmp_path / "m.onnx.data"
    other.write_text("somebody's")
    export(target, 10, _BESIDE)
    assert len(list(tmp_path.iterdir())) == 4
    export(target, 10, _INLINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.npz", "m.onnx", other.name]


def test_altered_weights_beside_are_found(tmp_path: Path) -> None:
    """Their name says what their contents have to be."""
    export(tmp_path / "m.onnx", 10, _BESIDE)
    assert verify_model(tmp_path / "m.onnx").ok
    (data,) = tmp_path.glob("*.data")
    content = bytearray(data.read_bytes())
    content[5] ^= 1
    data.write_bytes(content)
    with pytest.raises(ChecksumError, match="hash"):
        verify_model(tmp_path / "m.onnx")
