"""The corpus: made once per session, module by module as it is needed, or kept in `CKPT2ONNX_CORPUS`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus.build import make_all

__all__ = ["corpus"]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a module's cases, if need be, and returns the folder of all cases. Workers share it."""
    kept = os.environ.get("CKPT2ONNX_CORPUS")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = Path(kept) if kept else shared / "corpus"
    folder.mkdir(parents=True, exist_ok=True)

    def made(module: str) -> Path:
        with (folder / f"{module}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            make_all(folder, (module,))
        return folder

    return made
