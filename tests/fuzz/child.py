"""The child process: reads mutants one after the other, and writes what went wrong as lines of JSON.

`python -m tests.fuzz.child FORMAT FIRST SECONDS`: mutants FIRST, FIRST + 1, ... until the time is up. Each line before
one says which is next, so that the parent knows which one ended the process.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from exporter.errors import ExportError
from runtime import NetError
from tests.fuzz.differential import DIFFERENTIAL
from tests.fuzz.formats import FORMATS
from tests.hostile.in_time import TooLate, in_time

__all__ = ["SECONDS_EACH", "main"]

ADDRESSES = 3_000_000 << 10
SECONDS_EACH = 20
_RESIDENT = 1 << 30


def finding(error: BaseException) -> dict[str, str]:
    """What an exception is told apart by: its type and the places in this project that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/fuzz/" not in frame.filename]
    places = [
        f"{'/'.join(Path(f.filename).parts[-3:])}:{f.lineno}" for f in frames if "site-packages" not in f.filename
    ]
    return {"kind": type(error).__name__, "where": " > ".join(places[-3:]), "text": str(error)[:300]}


def judge(format_name: str, seed: int, folder: Path) -> dict[str, str] | None:
    """Makes and reads one mutant; what is wrong with how that ended, None if nothing is."""
    try:
        with in_time(SECONDS_EACH):
            {**FORMATS, **DIFFERENTIAL}[format_name](random.Random(f"{format_name} {seed}"), folder)
    except (ExportError, NetError) as error:
        if type(error).exit_code == 70 or not str(error).strip() or len(str(error)) > 20_000:
            return finding(error)
    except (Exception, TooLate) as error:  # noqa: BLE001 - what it is, is what is looked for
        return finding(error)
    if format_name not in DIFFERENTIAL and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10 > _RESIDENT:
        return {"kind": "memory", "where": format_name, "text": "more than 1 GiB resident"}
    return None


def main(format_name: str, first: int, seconds: float) -> None:
    """Reads mutants until the time is up."""
    if format_name not in DIFFERENTIAL:  # TensorFlow takes more by itself
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end, seed = time.monotonic() + seconds, first
    while time.monotonic() < end:
        print(json.dumps({"next": seed}), flush=True)
        folder = Path(tempfile.mkdtemp(prefix="fuzz"))
        try:
            found = judge(format_name, seed, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if found is not None:
            print(json.dumps({"seed": seed, **found}), flush=True)
            if found["kind"] == "memory":
                return
        seed += 1
    print(json.dumps({"next": seed}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
