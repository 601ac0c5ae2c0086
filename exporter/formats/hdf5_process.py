"""Running `hdf5_child.py`: what it may take, and what its end means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from exporter import errors
from exporter.errors import CorruptError, LimitError, TruncatedError
from exporter.formats import limits
from exporter.formats.files import RegularFile

__all__ = ["list_hdf5"]

_CHILD = Path(__file__).with_name("hdf5_child.py")
_MIB = 1 << 20
_LIMITS: Final = {
    "most_objects": 200_000,
    "deepest": 100,
    "largest_attribute": 64 * _MIB,
    "free_bytes": 64 * _MIB,
    "free_bytes_in_all": limits.FREE_EXPANSION,
    "most_expansion_in_all": limits.MAX_EXPANSION,
    "most_expansion": 100,
    "memory_bytes": 4096 * _MIB,
}
_CPU_SECONDS = 10
_BYTES_PER_SECOND = 50 * _MIB


def list_hdf5(file: RegularFile, start: int, size: int, spool: Path, *, copy: bool) -> dict[str, Any]:
    """Everything in an HDF5 file, as `hdf5_child.py` answers.

    Data that aren't plain in the file are in the file `spool` then; with `copy`, all data are.
    What the child refuses, or dies of, is raised as one of our errors.
    """
    seconds = _CPU_SECONDS + file.size // _BYTES_PER_SECOND
    request = {"path": str(file.path), "start": start, "size": size, "spool": str(spool), "copy": copy}
    request |= {**_LIMITS, "cpu_seconds": seconds}
    command = [sys.executable, "-P", str(_CHILD), json.dumps(request)]
    try:
        child = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=4 * seconds,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LimitError(f"the HDF5 library doesn't come to an end: stopped after {4 * seconds} s") from error
    if child.returncode in (-24, -9):  # SIGXCPU, SIGKILL: out of time
        raise LimitError(f"the HDF5 library doesn't come to an end: stopped after {seconds} s of computing")
    if child.returncode:
        lines = child.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CorruptError(f"the HDF5 library crashed on it, status {child.returncode}: {lines[-1] if lines else ''}")
    try:
        answer: dict[str, Any] = json.loads(child.stdout)
    except ValueError as error:
        raise CorruptError("the HDF5 library broke off without an answer") from error
    if "refused" in answer:
        name, path, found = answer["refused"]
        raise getattr(errors, name)(found, where=(f"object {path}",) if path else ())
    if "broken" in answer:
        kind = TruncatedError if "truncated file" in answer["broken"] else CorruptError
        raise kind(f"the HDF5 library can't read it: {answer['broken'][:200]}")
    return answer


def _environment() -> dict[str, str]:
    """One thread, no plug-ins that HDF5 would load for unknown filters, no locks, and the h5py and NumPy of here.

    Not all of this process's `sys.path`: what lies beside a script would come before the standard library.
    """
    folders = []
    for package in ("h5py", "numpy"):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no package {package}", name=package)
        folders.append(str(Path(spec.origin).parents[1]))
    settings = {"HDF5_PLUGIN_PRELOAD": "::", "HDF5_USE_FILE_LOCKING": "FALSE", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)), "PYTHONWARNINGS": "ignore"}
