"""Files are written or not, and the status says which, whoever listens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_EXPORT = [sys.executable, "-m", "exporter", "export", "sample_ckpts/one_neuron"]


@pytest.mark.parametrize("where", [">/dev/full", ">&-", "| true", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("more", ["", "--json"])
def test_files_are_written_though_nobody_listens(tmp_path: Path, where: str, more: str) -> None:
    """A full disk, a closed stream or pipe at standard output takes nothing from the export, which says 0."""
    command = " ".join([*_EXPORT, "-o", str(tmp_path / "m.onnx"), more, where])
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.npz", "m.onnx"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_text_degrades_where_a_terminal_has_not_its_characters(tmp_path: Path, encoding: str) -> None:
    """As escapes; JSON stays JSON with all of its text."""
    target = tmp_path / "m\N{GREEK SMALL LETTER OMEGA}.onnx"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    done = [
        subprocess.run([*_EXPORT, "-o", target, *more], cwd=_ROOT, capture_output=True, check=True, env=environment)
        for more in ([], ["--json"])
    ]
    assert b"\\u03c9.npz" in done[0].stdout or "\u03c9.npz".encode() in done[0].stdout
    assert str(target) in [file["path"] for file in json.loads(done[1].stdout)["files"]]
