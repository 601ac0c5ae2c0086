"""`python -m tests.fuzz --seconds N [--format F]... [--first SEED]`; exit status 1 if anything was found."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.fuzz.differential import DIFFERENTIAL
from tests.fuzz.formats import FORMATS

__all__ = ["fuzz"]


def fuzz(format_name: str, seconds: float, first: int = 0) -> tuple[int, dict[tuple[str, str], dict[str, object]]]:
    """How many mutants were read, and the first of each kind of finding, by type and place."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    seed, end = first, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for line in _lines(format_name, seed, left):
            if "next" in line:
                seed = int(str(line["next"]))
            else:
                found.setdefault((str(line["kind"]), str(line["where"])), line)
                seed = int(str(line["seed"])) + 1
    return seed - first, found


def _lines(format_name: str, first: int, seconds: float) -> Iterator[dict[str, object]]:
    """What a child says, and how it ended if that wasn't by itself."""
    command = [sys.executable, "-m", "tests.fuzz.child", format_name, str(first), str(seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    last: dict[str, object] = {"next": first}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
        assert child.stdout is not None
        for text in child.stdout:
            last = json.loads(text)
            yield last
    if child.returncode:
        seed = last.get("next", first)
        yield {"seed": seed, "kind": f"the process ended with {child.returncode}", "where": format_name, "text": ""}


def main() -> int:
    """Fuzzes the formats in turn and prints each kind of finding once."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each format")
    parser.add_argument("--format", action="append", choices=sorted({**FORMATS, **DIFFERENTIAL}), dest="formats")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    options = parser.parse_args()
    total = 0
    for name in options.formats or sorted(FORMATS):
        count, found = fuzz(name, options.seconds, options.first)
        total += len(found)
        print(f"{name}: {count} mutants, {len(found)} findings", flush=True)
        for line in found.values():
            print(f"  seed {line['seed']}: {line['kind']} at {line['where']}: {line['text']}", flush=True)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
