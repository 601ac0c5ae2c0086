"""The committed samples are what their recipes make."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sample_ckpts
from exporter.formats.records import Array
from tests.e2e.recorded import Recorded

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_ROOT = Path(sample_ckpts.__file__).parent
_NAMES = [path.parent.name for path in sorted(_ROOT.glob("*/sample.json"))]


@pytest.mark.parametrize("name", _NAMES)
def test_a_recipe_makes_its_sample_again(name: str, tmp_path: Path) -> None:
    """Same files, same facts, and outputs that differ by what another machine's rounding does to training."""
    subprocess.run([sys.executable, "-m", "sample_ckpts.make", name, "--into", str(tmp_path)], check=True)
    made, committed = tmp_path / name, _ROOT / name
    assert {path.name for path in made.iterdir()} == {path.name for path in committed.iterdir()}
    facts, old = json.loads((made / "sample.json").read_text()), json.loads((committed / "sample.json").read_text())
    assert {key: facts[key] for key in facts.keys() - _DATED} == {key: old[key] for key in old.keys() - _DATED}
    if facts["refused"] is None:
        expected = Recorded.read(committed).outputs
        for output, value in Recorded.read(made).outputs.items():
            assert _distance(value, expected[output]) < _TRAINED
            assert _distance(-value, expected[output]) > _TRAINED


_DATED = {"date", "producer"}

_TRAINED = 0.25
"""Of the root mean square of an output, how far another machine may come from it.

A bias before a batch norm has no gradient but rounding errors, of which Adam makes full steps.
"""


def _distance(found: Array, expected: Array) -> float:
    return float(np.abs(found - expected).max() / np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
