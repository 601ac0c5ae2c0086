"""Exports in a process in which neither TensorFlow nor Keras can be imported."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.cli.test_cli_processes import run_blocked

__all__ = ["exported_alike"]


def exported_alike(model: Path, source: Path, *options: str, graph: Path | None = None) -> bool:
    """Whether such an export of a source gives the bytes of a model that was exported here."""
    words = [] if graph is None else ["--graph", str(graph.absolute())]
    with tempfile.TemporaryDirectory() as folder:
        command = ["export", str(source.absolute()), "-o", model.name, *words, *options]
        statuses, modules = run_blocked(command, cwd=Path(folder))
        files = [(Path(folder) / name, model.parent / name) for name in (model.name, model.with_suffix(".npz").name)]
        blocked = {"tensorflow", "keras", "tf_keras"} & set(modules)
        return statuses == [0] and not blocked and all(a.read_bytes() == b.read_bytes() for a, b in files)
