"""A seeded run of the hunt: models of these seeds are right in every engine, with and without names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_ROOT = Path(__file__).parents[2]


def _hunt(kind: str, seed: int, most: int) -> None:
    command = [sys.executable, "-m", "tests.wild", "--kind", kind, "--seed", str(seed), "--most", str(most)]
    ended = subprocess.run([*command, "--seconds", "900"], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr[-2000:]}"
    assert f"{most} models, {most} right" in ended.stdout


def test_random_training_scripts_are_exported_rightly() -> None:
    """Twelve TF1 scripts, exported with and without names, in three engines, in a process of their own."""
    _hunt("tf1", 40, 12)


def test_random_keras_models_are_exported_rightly() -> None:
    """Eight models of both versions of Keras, in all kinds of files."""
    _hunt("keras", 300, 8)


def test_random_models_with_masks_are_exported_rightly() -> None:
    """Six models of layers that make, carry and read masks, of both versions of Keras."""
    _hunt("masks", 0, 6)
