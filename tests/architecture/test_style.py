"""The shape of the code, file by file, and the names that the packages promise."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import exporter
import runtime
from tests.architecture.style import LONGEST_FILE, LONGEST_FUNCTION, complaints, exported_names, leaks

_ROOT = Path(__file__).parents[2]
_PYTHON = sorted(
    path.relative_to(_ROOT).as_posix()
    for folder in ("exporter", "runtime", "sample_ckpts", "tests")
    for path in (_ROOT / folder).rglob("*.py")
)
_TEXTS = sorted(
    path
    for path in [
        *_ROOT.glob("*"),
        *_ROOT.glob(".ci/*"),
        *(_ROOT / "sample_ckpts").rglob("*"),
        *map(_ROOT.joinpath, _PYTHON),
    ]
    if path.is_file() and path.suffix != ".pyc" and path.name != ".git"
)


@pytest.mark.parametrize("name", _PYTHON)
def test_a_file_keeps_the_rules(name: str) -> None:
    """Short files and functions, nothing unfinished; what is public is documented and listed in `__all__`."""
    public = name.startswith(("exporter/", "runtime/")) and not name.endswith("__main__.py")
    assert complaints((_ROOT / name).read_text(encoding="utf-8"), public=public) == []


def test_no_file_tells_where_it_was_written() -> None:
    """No path, address or host of a workplace is in any file, the sample checkpoints included."""
    found = {path.name: leaks(path.read_bytes().decode("latin-1")) for path in _TEXTS}
    assert {name: places for name, places in found.items() if places} == {}


def _function(lines: int) -> str:
    return '__all__ = ["f"]\ndef f():\n    """Does."""\n' + "    f()\n" * (lines - 1)


_GOOD = '"""Module."""\n'


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (_GOOD + "x = 1\n" * LONGEST_FILE, f"{LONGEST_FILE + 1} lines"),
        (_GOOD + _function(LONGEST_FUNCTION + 1), f"f has {LONGEST_FUNCTION + 1} lines"),
        (_GOOD + "x = 1  # TO" + "DO: y\n", "line 2 is unfinished"),
        ("x = 1\n", "the module has no docstring"),
        (_GOOD + '__all__ = ["f"]\ndef f(): ...\n', "f has no docstring"),
        (_GOOD + '__all__ = ["C"]\nclass C: ...\n', "C has no docstring"),
        (_GOOD + '__all__ = ["C"]\nclass C:\n    """Is."""\n    def f(self): ...\n', "C.f has no docstring"),
        (_GOOD + 'def f():\n    """Does."""\n', "there is no __all__"),
        (_GOOD + '__all__ = ["g"]\n', "__all__ lists g, which isn't there"),
    ],
)
def test_a_planted_fault_is_found(source: str, complaint: str) -> None:
    """One fault is one complaint."""
    assert complaints(source, public=True) == [complaint]


def test_rules_allow_what_they_should() -> None:
    """The longest function that is allowed, private helpers and tests without docstrings pass."""
    assert complaints(_GOOD + _function(LONGEST_FUNCTION), public=True) == []
    assert complaints(_GOOD + "def _f(): ...\n", public=True).count("there is no __all__") == 1
    assert complaints("def f(): ...\n", public=False) == []


@pytest.mark.parametrize(
    "text",
    [
        "/wo" + "rk/main/model.ckpt",
        "file:///ho" + "me/someone/run",
        "C:\\Us" + "ers\\someone",
        "pip install --index-url http" + "://registry/simple",
        "10.1" + ".2.3",
        "mirror.inter" + "nal",
    ],
)
def test_a_planted_place_is_found(text: str) -> None:
    """Each kind of place is told from ordinary text."""
    assert leaks(f"before {text} after")


def test_ordinary_text_tells_no_place() -> None:
    """Relative paths, versions, shapes and public addresses of formats are not places."""
    assert leaks("run/model.ckpt-1000, models/x, numpy 1.23.5, 0.10.20, /gone/model.ckpt, conv1/weights") == []


def test_the_packages_promise_these_names() -> None:
    """The public names of both packages; a change here is a change of the API."""
    assert exporter.__all__ == [
        "ExportError",
        "Report",
        "__version__",
        "export",
        "inspect",
        "run",
        "verify_model",
        "write_report",
    ]
    assert runtime.__all__ == [
        "BundleError",
        "Deviation",
        "InputError",
        "Net",
        "NetError",
        "Probe",
        "RunError",
        "UnknownOpError",
        "Value",
        "load",
    ]


@pytest.mark.parametrize("package", [exporter, runtime])
def test_promised_names_are_there(package: object) -> None:
    """Each can be had from the package, and `dir` knows what `__all__` says."""
    tree = ast.parse(Path(str(getattr(package, "__file__", ""))).read_text(encoding="utf-8"))
    names = exported_names(tree)
    assert names
    assert all(getattr(package, name) is not None for name in names)
