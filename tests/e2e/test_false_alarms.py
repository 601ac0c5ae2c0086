"""Right exports, with and without folds, are never called off; `tests.bench.false_alarms` judges all that there are.

This is a part that takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.false_alarms import judge
from tests.bench.right_exports import corpus_source, sample_sources
from tests.corpus.build import cases

_SAMPLES = {source.name: source for source in sample_sources()}
_EVERY = {"batch_norm_slim": 5, "loops": 6, "inputs": 5}
_ONCE_OFF = ("loop_both_ways", "loop_both_ways_while")


def _chosen() -> list[tuple[str, str]]:
    """Cases spread over some modules of the corpus, and those that were taken for wrong once."""
    found = []
    for module, step in _EVERY.items():
        names = [case.name for case in cases(module) if case.refused is None]
        found += [(module, name) for i, name in enumerate(names) if i % step == 1 or name in _ONCE_OFF]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", _SAMPLES)
def test_samples_are_good(name: str, tmp_path: Path) -> None:
    """By their source; by the stored example at least weakly, since an example of few numbers may see little."""
    for one in judge(_SAMPLES[name], tmp_path):
        assert one.state in (("good",) if one.against else ("good", "weak")), one


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(("module", "name"), _chosen())
def test_cases_of_the_corpus_are_good(module: str, name: str, corpus: Callable[[str], Path], tmp_path: Path) -> None:
    """The same; where no example is stored, that is the report's to say."""
    for one in judge(corpus_source(corpus(module), name), tmp_path):
        assert one.state in (("good",) if one.against else ("good", "weak", "no example")), one
