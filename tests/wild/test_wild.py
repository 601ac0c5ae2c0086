"""A seeded run of the hunt: models of these seeds are right in every engine, with and without names."""

from __future__ import annotations

import random

import pytest

from tests.wild.family import IllegalSpecError
from tests.wild.hunt import outcome_of
from tests.wild.judge import RIGHT
from tests.wild.tf1 import FAMILY as TF1

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_random_training_scripts_are_exported_rightly() -> None:
    """Sixteen TF1 scripts, exported with and without names, in three engines."""
    outcomes = []
    for seed in range(40, 56):
        try:
            outcomes.append((seed, outcome_of(TF1, TF1.draw(random.Random(seed)))))
        except IllegalSpecError:
            continue
    assert len(outcomes) >= 8
    assert [(seed, found.cause) for seed, found in outcomes if found.kind != RIGHT] == []
