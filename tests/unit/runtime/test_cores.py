"""How many threads suit a machine, by what it and the container say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.engine import blas, cores

CPU = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
V2 = "sys/fs/cgroup/cpu.max"
V1 = ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "sys/fs/cgroup/cpu/cpu.cfs_period_us")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six processors, two on each core, all of which the process may use, and so may its BLAS."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(blas.ONE_THREAD, "others", lambda: 6)
    for cpu in range(6):
        path = tmp_path / CPU.format(cpu)
        path.parent.mkdir(parents=True)
        path.write_text(f"{cpu % 3},{cpu % 3 + 3}\n")
    return tmp_path


def stored(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_processors_of_one_core_count_once(machine: Path) -> None:
    """Three cores of two processors are three; where the system tells nothing, each is one, and four are the most."""
    assert cores.suitable(machine) == 3
    assert cores.suitable(machine / "nothing") == 4


@pytest.mark.parametrize(("allowed", "expected"), [({1}, 1), ({0, 3}, 1), ({0, 1}, 2)])
def test_only_what_the_process_may_use(
    machine: Path, monkeypatch: pytest.MonkeyPatch, allowed: set[int], expected: int
) -> None:
    """Its affinity, as `taskset` and containers set it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    assert cores.suitable(machine) == expected


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (64, 3), (None, 3)])
def test_no_more_than_the_blas_would_take(
    machine: Path, monkeypatch: pytest.MonkeyPatch, threads: int | None, expected: int
) -> None:
    """OMP_NUM_THREADS and the like are heeded by it; one that can't be asked limits nothing."""
    monkeypatch.setattr(blas.ONE_THREAD, "others", lambda: threads)
    assert cores.suitable(machine) == expected


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 3), ("250000 100000", 2), ("50000 100000", 1), ("", 3), ("0 0", 3)]
)
def test_a_container_s_quota(machine: Path, quota: str, expected: int) -> None:
    """Whole processors of it, and one at least; of control groups version 2."""
    stored(machine, V2, quota + "\n")
    assert cores.suitable(machine) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 3), ("200000", 2)])
def test_a_container_s_quota_of_version_1(machine: Path, quota: str, expected: int) -> None:
    """The same in two files."""
    stored(machine, V1[0], quota)
    stored(machine, V1[1], "100000")
    assert cores.suitable(machine) == expected


def test_this_machine() -> None:
    """Has a core, and no more than it has processors; a BLAS that was told to take one hides none."""
    before = cores.suitable()
    assert 1 <= before <= min(4, os.cpu_count() or 1)
    with blas.ONE_THREAD:
        assert cores.suitable() == before
