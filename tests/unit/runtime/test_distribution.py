"""The runtime as a distribution of its own, `ckpt2onnx-runtime`, from runtime/pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import runtime

_FOLDER = Path(runtime.__file__).parent
_PROJECT = tomllib.loads((_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))


def test_it_has_the_version_of_the_exporter() -> None:
    """One repository, one version; NumPy is all that it needs."""
    written = (_FOLDER.parent / "exporter" / "_version.py").read_text(encoding="utf-8")
    assert f'"{_PROJECT["project"]["version"]}"' in written
    assert [need.partition(">")[0] for need in _PROJECT["project"]["dependencies"]] == ["numpy"]


def test_it_holds_every_package() -> None:
    """Each folder with modules is listed."""
    found = [path.parent.relative_to(_FOLDER.parent) for path in _FOLDER.rglob("__init__.py")]
    folders = {folder for folder in found if "build" not in folder.parts}
    assert {Path(*name.split(".")) for name in _PROJECT["tool"]["setuptools"]["packages"]} == folders
