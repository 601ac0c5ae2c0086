"""Builds generated C programs and runs their tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = ["SANITIZED", "built", "needs", "written"]

SANITIZED = "-O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all -Werror"


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skips a test where a tool isn't installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def written(files: Mapping[str, bytes], folder: Path) -> Path:
    """The files in a folder."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def built(folder: Path, *settings: str, target: str = "test") -> subprocess.CompletedProcess[str]:
    """`make`, from the start."""
    subprocess.run(["make", "-s", "-C", str(folder), "clean"], check=True)
    command = ["make", "-s", "-C", str(folder), target, *settings]
    return subprocess.run(command, capture_output=True, text=True, check=False)
