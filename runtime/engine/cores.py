"""How many threads suit the machine, if nobody says."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.engine import blas

__all__ = ["suitable"]

_MOST = 4
"""More than these were not measured, and each has to wait for the slowest at every layer."""

_SIBLINGS = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_QUOTA = "sys/fs/cgroup/cpu.max"
_QUOTA_V1, _PERIOD_V1 = "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "sys/fs/cgroup/cpu/cpu.cfs_period_us"


def suitable(root: Path = Path("/")) -> int:
    """The cores that this process may use, of two threads on one core only one; 4 at most.

    No more than NumPy's BLAS would take, which OMP_NUM_THREADS and the like limit, and than the processor time that a
    container is allowed.
    """
    limit = min(_MOST, blas.ONE_THREAD.others() or _MOST, _allowance(root))
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores: set[str] = set()
    for cpu in cpus:
        cores.add(_text(root / _SIBLINGS.format(cpu)) or str(cpu))
        if len(cores) >= limit:
            break
    return max(1, len(cores))


def _allowance(root: Path) -> int:
    """Whole processors in the quota of the control group, of either version; `_MOST` if there is none."""
    found = _text(root / _QUOTA).split() or [_text(root / _QUOTA_V1), _text(root / _PERIOD_V1)]
    try:
        quota, period = map(int, found)
    except ValueError:  # "max", or no such files
        return _MOST
    return max(1, quota // period) if quota > 0 and period > 0 else _MOST


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
