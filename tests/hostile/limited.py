"""Commands under limits of memory and time, by way of a small process.

A process starts with the peak memory of the one that it was forked from, so the peak of a command that a large test
process starts says nothing. The one between them is small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "run_limited"]

_BETWEEN = """
import json, os, resource, subprocess, sys
addresses, seconds, command = json.loads(sys.argv[1])
def limit():
    resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
process = subprocess.Popen(command, preexec_fn=limit)
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[2], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss << 10], file)
"""


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit status, what it said, the most memory that it held, in bytes."""

    status: int
    out: str
    err: str
    memory: int


def run_limited(
    command: Sequence[str | Path],
    folder: Path,
    *,
    cwd: Path,
    addresses: int,
    seconds: int,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command to its end.

    Args:
        command: The program and its arguments.
        folder: Where what it says is kept.
        cwd: Where it runs.
        addresses: The most bytes of address space.
        seconds: The most seconds of processor time.
        environment: Its variables; by default this process's.
    """
    out, err, usage = (folder / name for name in ("out.txt", "err.txt", "usage.json"))
    between = json.dumps([addresses, seconds, [str(word) for word in command]])
    with out.open("w") as stdout, err.open("w") as stderr:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BETWEEN, between, str(usage)],
            cwd=cwd,
            env=dict(os.environ if environment is None else environment),
            stdout=stdout,
            stderr=stderr,
            check=True,
        )
    status, memory = json.loads(usage.read_text())
    return Ended(status, out.read_text(), err.read_text(), memory)
