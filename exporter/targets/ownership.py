"""Tells the files of an export from what others have made: only these are overwritten without being asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from exporter.errors import UsageError
from runtime.bundle import PLAN

__all__ = ["check_ownership", "is_bundle"]

_PRODUCER = b"ckpt2onnx"
_HEAD = 4096


def check_ownership(targets: Iterable[Path]) -> None:
    """Whether nothing is lost that isn't an export's own.

    Raises:
        UsageError: A target exists, isn't empty, and wasn't written by an export.
    """
    for path in targets:
        if path.is_file() and path.stat().st_size and not _is_own(path):
            raise UsageError(
                f"{path} is there already, and no export has written it",
                hint="Choose another name with -o, or overwrite it with --force",
            )


def is_bundle(path: Path) -> bool:
    """Whether a file is a bundle for the NumPy runtime."""
    return f"{PLAN}.npy" in _members(path)


def _is_own(path: Path) -> bool:
    """By what is in it: an ONNX file and a program say who made them, a bundle has a plan, an application a bundle."""
    if path.suffix in (".npz", ".pyz"):
        return bool({f"{PLAN}.npy", "model.npz"} & _members(path))
    if path.suffix == ".data":
        holder = path.with_suffix("")
        return holder.is_file() and _is_own(holder)
    with path.open("rb") as file:
        return _PRODUCER in file.read(_HEAD)


def _members(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return set()
