"""Every op and layer gives what TensorFlow and Keras gave when the goldens were recorded."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden.recorded import FOLDER, Recording, read
from tests.unit.lower.oracle import Judged as JudgedGraph
from tests.unit.lower.oracle import assert_close, evaluated
from tests.unit.lower_keras.oracle import Judged as JudgedNetwork

__all__ = ["check"]

_FILES = sorted(FOLDER.glob("*.npz"))
_NETWORK_UNITS = 64
"""How many float32 epsilons the results of a network may differ by, as in the tests that were recorded."""


@cache
def _read(path: Path) -> Recording:
    return read(path)


def check(judged: JudgedGraph | JudgedNetwork) -> None:
    """Fail where our results are further from those recorded than the test allows."""
    if isinstance(judged, JudgedNetwork):
        assert judged.error() <= _NETWORK_UNITS * float(np.finfo(np.float32).eps)
        return
    actual = evaluated(judged.lower("golden"), judged.feeds)
    for name, array in judged.expected.items():
        assert_close(actual[name], np.asarray(array), judged.units, name)


@pytest.mark.parametrize(
    ("path", "test"),
    [pytest.param(path, test, id=f"{path.stem}-{test}") for path in _FILES for test in _read(path).cases],
)
def test_results_are_those_recorded(path: Path, test: str) -> None:
    """A recorded case is lowered and evaluated without TensorFlow, and its results are within the limits."""
    check(_read(path).judged(test))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_wrong_result_is_noticed(path: Path) -> None:
    """With one element of an output changed, the case fails."""
    recording = _read(path)
    judged = recording.judged(next(iter(recording.cases)))
    with pytest.raises(AssertionError):
        check(_with_a_fault(judged))


def _with_a_fault(judged: Any) -> Any:
    expected = judged.expected
    key = next(iter(expected)) if isinstance(judged, JudgedGraph) else 0
    wrong = expected[key].copy()
    first = wrong.reshape(-1)[:1]
    first[...] = ~first if wrong.dtype == bool else first * 2 + 1
    changed = {**expected, key: wrong} if isinstance(judged, JudgedGraph) else [wrong, *expected[1:]]
    return replace(judged, expected=changed)


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_tensorflow_still_says_so(path: Path) -> None:
    """The installed TensorFlow gives the recorded results for the recorded graphs, within the same limits."""
    tf = pytest.importorskip("tensorflow")
    recording = _read(path)
    for test in list(recording.cases)[::5]:
        judged = recording.judged(test)
        if isinstance(judged, JudgedNetwork):
            continue
        graph = tf.compat.v1.GraphDef.FromString(judged.graph)
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.import_graph_def(graph, name="")
            feeds = {f"{name}:0": array for name, array in judged.feeds.items()}
            found = session.run(list(judged.outputs), feeds)
        for array, expected in zip(found, judged.expected.values(), strict=True):
            assert_close(np.asarray(array), expected, judged.units, test)
