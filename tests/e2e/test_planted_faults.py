"""Faults planted in exports of two dozen models: nearly all are noticed, and the verdicts know how many.

This is a part that takes a minute; `python -m tests.bench.planted_faults SOURCE...` plants all kinds in any sources.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sample_ckpts.recording import PREFIX
from tests.bench.planted_faults import FAULTS, Outcome, options_of, try_faults
from tests.corpus.build import cases

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_MODULES = {"batch_norm_slim": 8, "layers": 8, "batch_norm_handmade": 8}
_EACH = 3
_AGAINST, _STORED, _AGREE = 0.995, 0.98, 0.02


def _sources(corpus: Callable[[str], Path]) -> list[Path]:
    """Cases spread over some modules of the corpus, of those that are exported without being told any names."""
    found = []
    for module, count in _MODULES.items():
        usable = [case for case in cases(module) if case.refused is None and not case.options and not case.names]
        folder = corpus(module)
        found += [folder / case.name / PREFIX for case in usable[:: max(len(usable) // count, 1)][:count]]
    return found


@pytest.fixture(scope="module")
def outcomes(corpus: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[Outcome]]:
    """What became of faults of a few kinds in each, another few in the next one."""
    found = {}
    for number, source in enumerate(_sources(corpus)):
        kinds = [FAULTS[(_EACH * number + i) % len(FAULTS)] for i in range(_EACH)]
        folder = tmp_path_factory.mktemp("planted")
        found[source] = try_faults(source, folder, each=1, seed=number, options=options_of(source), faults=kinds)
    return found


def _real(outcomes: dict[Path, list[Outcome]]) -> list[Outcome]:
    return [one for own in outcomes.values() for one in own if one.changes]


def test_faults_of_all_kinds_are_planted(outcomes: dict[Path, list[Outcome]]) -> None:
    """In at least twenty models, and each kind somewhere where it changes an output."""
    assert len(outcomes) >= 20
    assert {one.fault for one in _real(outcomes)} == set(FAULTS)
    assert len(_real(outcomes)) >= 40


def test_nearly_all_are_noticed(outcomes: dict[Path, list[Outcome]]) -> None:
    """By comparison with the source, and by the examples that are stored in the bundle."""
    real = _real(outcomes)
    assert sum(one.against for one in real) >= _AGAINST * len(real), [one for one in real if not one.against]
    assert sum(one.stored for one in real) >= _STORED * len(real), [one for one in real if not one.stored]


@pytest.mark.parametrize("how", ["against", "stored"])
def test_the_stated_power_is_the_share_that_is_noticed(outcomes: dict[Path, list[Outcome]], how: str) -> None:
    """Of faults in single channels, within two in a hundred."""
    everything = [one for own in outcomes.values() for one in own]
    pairs = [(o.against, o.stated) if how == "against" else (o.stored, o.stated_stored) for o in everything]
    told = [(noticed, stated) for noticed, stated in pairs if stated is not None]
    assert len(told) >= 8
    assert abs(sum(noticed for noticed, _ in told) - sum(bool(stated) for _, stated in told)) <= _AGREE * len(told)
