"""The runtime without its engine: a folder that a person can read and copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import runtime
from tests.unit.runtime.make_bundle import members, pack
from tests.unit.runtime.test_describe import ARRAYS, PLAN

_PACKAGE = Path(runtime.__file__).parent
_ALONE = """
import runpy, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
runpy.run_module("runtime", run_name="__main__", alter_sys=True)
"""
"""`python -m runtime` where no editable installation of the project lends the copy its engine."""


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """A copy of the package without the engine, with a model beside it."""
    shutil.copytree(_PACKAGE, tmp_path / "runtime", ignore=shutil.ignore_patterns("engine", "__pycache__"))
    (tmp_path / "model.npz").write_bytes(pack(members(PLAN, **ARRAYS)))
    return tmp_path


def _ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _ALONE, *words], cwd=folder, capture_output=True, text=True, check=False
    )


def test_it_runs_without_the_engine(core: Path) -> None:
    """With the same numbers but for rounding; only NumPy and the standard library are imported."""
    np.savez(core / "in.npz", x=np.random.default_rng(0).standard_normal((2, 4, 4, 2)).astype(np.float32))
    ended = _ran(core, "model.npz", "in.npz", "-o", "out.npz")
    assert ended.returncode == 0, ended.stderr
    with np.load(core / "in.npz") as given, np.load(core / "out.npz") as found:
        np.testing.assert_allclose(found["y"], runtime.load(core / "model.npz")(given["x"]), rtol=1e-5)


@pytest.mark.parametrize("word", ["tune", "--profile", "--bench"])
def test_what_needs_the_engine_says_so(core: Path, word: str) -> None:
    """One sentence, no traceback."""
    np.save(core / "in.npy", np.zeros((1, 4, 4, 2), np.float32))
    words = ["tune", "model.npz"] if word == "tune" else ["model.npz", "in.npy", word]
    ended = _ran(core, *words)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "runtime/engine" in ended.stderr


def test_importing_it_loads_no_engine() -> None:
    """The seam is where a model is loaded."""
    code = "import runtime, sys; sys.exit(any(name.startswith('runtime.engine') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=_PACKAGE.parent, check=False).returncode == 0
