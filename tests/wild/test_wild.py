"""A seeded run of the hunt: models of these seeds are right in every engine, with and without names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_ROOT = Path(__file__).parents[2]


def test_random_training_scripts_are_exported_rightly() -> None:
    """Twelve TF1 scripts, exported with and without names, in three engines, in a process of their own."""
    command = [sys.executable, "-m", "tests.wild", "--kind", "tf1", "--seed", "40", "--most", "12", "--seconds", "900"]
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr[-2000:]}"
    assert "12" in ended.stdout
