"""A short run of the fuzzer on seeds that don't change, and that it finds what it is there for."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from exporter.errors import CorruptError
from tests.fuzz import child, differential, formats
from tests.hostile.table_writer import table
from tests.hostile.v1_writer import V1File


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_mutants_end_in_a_result_or_an_error_for_people(name: str, tmp_path: Path) -> None:
    """Nothing else, in time."""
    for seed in range(4 if name in {"hdf5", "meta_graph", "saved_model", "keras_config"} else 25):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found = child.judge(name, seed, folder)
        assert found is None or found["kind"] == "memory", (
            seed,
            found,
        )  # that of this process, which does other things


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(differential.DIFFERENTIAL))
def test_tensorflow_reads_the_same(name: str, tmp_path: Path) -> None:
    """What both accept has the same tensors, and the same outputs."""
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert child.judge(name, seed, folder) is None, seed


def test_other_tensors_are_found(tmp_path: Path) -> None:
    """A reader of ours that adds one to a tensor, where TensorFlow doesn't."""

    class Read(dict[str, np.ndarray[Any, Any]]):
        read = dict.__getitem__

    path = tmp_path / "m.ckpt"
    file = V1File()
    file.add("w", np.arange(6, dtype=np.float32))
    path.write_bytes(table(sorted(file.values().items())))
    differential.compare_tensors(path, Read(w=np.arange(6, dtype=np.float32)))
    with pytest.raises(differential.OtherNumbersError, match="'w'"):
        differential.compare_tensors(path, Read(w=np.arange(1, 7, dtype=np.float32)))


@pytest.fixture(autouse=True)
def what_ran_before_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of the tests may have taken more memory than a child of the fuzzer may."""
    monkeypatch.setattr(child, "_RESIDENT", 1 << 50)


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError(), AssertionError()])
def test_a_planted_bug_is_found(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that isn't one of ours is a finding; one of ours isn't."""

    def case(rng: Random, folder: Path) -> None:
        raise error

    def refused(rng: Random, folder: Path) -> None:
        raise CorruptError("it can't be")

    monkeypatch.setitem(formats.FORMATS, "v2", case)
    found = child.judge("v2", 0, tmp_path)
    assert found is not None
    assert found["kind"] == type(error).__name__
    monkeypatch.setitem(formats.FORMATS, "v2", refused)
    assert child.judge("v2", 0, tmp_path) is None


def test_a_hang_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What doesn't come to its end is stopped and told."""

    def case(rng: Random, folder: Path) -> None:
        while True:
            rng.random()

    monkeypatch.setattr(child, "SECONDS_EACH", 1)
    monkeypatch.setitem(formats.FORMATS, "v2", case)
    found = child.judge("v2", 0, tmp_path)
    assert found is not None
    assert found["kind"] == "TooLate"
