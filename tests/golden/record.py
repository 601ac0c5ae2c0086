"""Records the results of TensorFlow and Keras that the tests of lowering are judged by.

    python -m tests.golden.record [MODULE...]

runs those tests (`tests/unit/lower` and `tests/unit/lower_keras`, or the given modules) and writes what each passing
one was judged by into `tests/golden/ops`, where `test_golden_ops.py` needs neither. To be run after tests of ops or
layers were added.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import ExportError
from tests.golden.recorded import FOLDER, Recording
from tests.golden.test_golden_ops import check
from tests.unit.lower import oracle as graphs
from tests.unit.lower_keras import oracle as networks

_LARGEST = 100_000
"""Cases with more bytes than this in one array are left out, as the repository is to stay small."""


class _Recorder:
    """Keeps what a test was judged by, once the test has passed."""

    def __init__(self, producer: str) -> None:
        self.producer = producer
        self.recordings: dict[str, Recording] = {}
        self.pending: list[Any] = []
        self.left_out = 0

    def watch(self, judge: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            self.pending.append(judge(*args))
            return self.pending[-1]

        return watched

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        pending, self.pending = self.pending, []
        if not report.passed:
            return
        module, _, test = report.nodeid.partition("::")
        recording = self.recordings.setdefault(
            Path(module).stem, Recording(self.producer, datetime.datetime.now(datetime.UTC).date().isoformat())
        )
        for number, judged in enumerate(pending):
            name = test if number == 0 else f"{test} ({number + 1})"
            try:
                check(judged)
                trial = Recording("", "")
                trial.add(name, judged)
            except (AssertionError, ExportError, TypeError):  # an expected error, strings, a wider limit
                self.left_out += 1
                continue
            if max((array.nbytes for array in trial.arrays.values()), default=0) > _LARGEST:
                self.left_out += 1
                continue
            recording.add(name, judged)


def main(modules: list[str]) -> None:
    """Run the tests and write the files."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as tests/conftest.py, which comes too late here
    tf = graphs.tensorflow()
    versions = (f"TensorFlow {tf.__version__}", *(f"Keras {networks.keras_of(major).__version__}" for major in (2, 3)))
    recorder = _Recorder(", ".join(versions))
    graphs.judge = recorder.watch(graphs.judge)
    networks.judge = recorder.watch(networks.judge)
    pytest.main(
        ["-q", "-p", "no:cacheprovider", *(modules or ["tests/unit/lower", "tests/unit/lower_keras"])], [recorder]
    )
    FOLDER.mkdir(exist_ok=True)
    for name, recording in recorder.recordings.items():
        if recording.cases:
            recording.write(FOLDER / f"{name}.npz")
            print(f"{name}: {len(recording.cases)} cases")
    print(f"{recorder.left_out} left out")


if __name__ == "__main__":
    main(sys.argv[1:])
