"""The runtime without its engine: a folder that a person can read and copy."""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
import tokenize
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


_CORE = (
    "npy",
    "errors",
    "bundle",
    "document",
    "attributes",
    "plan",
    "executor",
    "budget",
    "cost",
    "net",
    "feeds",
    "__init__",
)
"""The modules of the core, in the order in which a run goes through them; the kernels are the rest of it."""

_MOST = {"kernels": (1300, 1960), "the rest": (1130, 1790)}
"""Lines with code, and lines in all: of the operators, and of what loads, checks and runs them."""


def _core_files() -> list[Path]:
    return [*(_PACKAGE / f"{name}.py" for name in _CORE), *sorted((_PACKAGE / "kernels").glob("*.py"))]


def _code(text: str) -> int:
    """How many lines have code in them: neither empty ones, nor comments, nor texts that nothing reads."""
    texts = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    other = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in other]
    return len({number for token in tokens for number in range(token.start[0], token.end[0] + 1)} - texts)


def test_the_core_stays_small() -> None:
    """All that loads, checks and runs any bundle, counted."""
    parts: dict[str, list[str]] = {"kernels": [], "the rest": []}
    for path in _core_files():
        parts["kernels" if path.parent.name == "kernels" else "the rest"].append(path.read_text(encoding="utf-8"))
    for what, (code, lines) in _MOST.items():
        assert sum(map(_code, parts[what])) <= code, what
        assert sum(len(text.splitlines()) for text in parts[what]) <= lines, what


def test_the_core_by_itself_runs_a_bundle(tmp_path: Path) -> None:
    """A folder with those files and no other gives the numbers of the whole package, but for rounding."""
    for path in _core_files():
        target = tmp_path / "runtime" / path.relative_to(_PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (tmp_path / "model.npz").write_bytes(pack(members(PLAN, **ARRAYS)))
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    code = (
        'import sys; sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in repr(f).lower()]; '
        "import numpy as np, runtime; net = runtime.load('model.npz'); net.check(); "
        "np.save('y.npy', net(np.load('x.npy'))); "
        "print(*sorted({n.split('.')[1] for n in sys.modules if n.startswith('runtime.')}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert not set(ended.stdout.split()) - {*_CORE, "kernels"}
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), runtime.load(tmp_path / "model.npz")(x), rtol=1e-5)
