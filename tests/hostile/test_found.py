"""Files that once took too much or ended in the wrong error, by the command line, under limits."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.hostile.limited import run_limited

_FOUND = sorted(Path(__file__).with_name("found").iterdir())
_ROOT = Path(__file__).parents[2]
_ADDRESSES, _SECONDS, _RESIDENT = 3_000_000 << 10, 30, 1 << 30


def _assert_harmless(folder: Path, *words: str | Path) -> int:
    """Run `python -m ...`; give its exit status."""
    command = [sys.executable, "-m", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = run_limited(command, folder, cwd=_ROOT, addresses=_ADDRESSES, seconds=_SECONDS, environment=environment)
    assert ended.status in (0, 2, 3, 4), ended.err
    assert "Traceback" not in ended.err
    assert len(ended.err) <= 2100
    assert ended.memory <= _RESIDENT
    return ended.status


@pytest.mark.parametrize("path", _FOUND, ids=lambda path: path.name)
def test_a_file_does_no_harm(path: Path, tmp_path: Path) -> None:
    """Done, or refused with a paragraph: no traceback, at most 1 GiB, at most 30 s of processor time."""
    if path.suffix != ".npz":
        _assert_harmless(tmp_path, "exporter", "export", path, "-o", tmp_path / "out.onnx")
        return
    if _assert_harmless(tmp_path, "runtime", path, "--check"):
        return
    np.savez(tmp_path / "in.npz", x=np.ones((2, 1), np.float32))
    _assert_harmless(tmp_path, "runtime", path, tmp_path / "in.npz", "-o", tmp_path / "out.npz")


def test_chunks_that_are_not_stored_fill_no_disk(tmp_path: Path) -> None:
    """Datasets of 64 MiB each whose chunks were never written: refused, whatever they are for."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4], "dtype": "float32"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "linear"}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "3.15.1"
        weights = file.create_group("model_weights/d")
        weights.parent.attrs["layer_names"], weights.attrs["weight_names"] = [b"d"], [b"d/kernel", b"d/bias"]
        weights["d/kernel"], weights["d/bias"] = np.ones((4, 3), "f4"), np.ones(3, "f4")
        for number in range(28):
            file.create_dataset(f"z{number}", shape=(1 << 24,), dtype="f4", chunks=(1 << 22,))
    assert _assert_harmless(tmp_path, "exporter", "export", path, "-o", tmp_path / "out.onnx") == 3
