"""Bad files take neither time nor memory: all of them again, in a process that has little of both."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from exporter.formats.tensor_bundle import open_bundle
from tests.hostile.bundle_writer import Bundle
from tests.hostile.limited import run_limited

RUN = """
import resource, sys, tempfile
from pathlib import Path
from exporter.errors import ExportError
from exporter.formats.checkpoint_v1 import open_v1
from tests.hostile import test_bundle_bad, test_table_bad, test_v1_bad
from tests.hostile.edits import good, read_all

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
seen = 0
with tempfile.TemporaryDirectory() as folder:
    def attempt(read):
        global seen
        try:
            read()
        except ExportError:
            seen += 1
    for edit, _, _ in test_bundle_bad.BAD.values():
        bundle = good()
        edit(bundle)
        prefix = bundle.write(Path(folder) / "m")
        attempt(lambda: read_all(prefix))
    for edit, _, _ in test_v1_bad.BAD.values():
        file = test_v1_bad.good()
        edit(file)
        path = file.write(Path(folder) / "v1")
        attempt(lambda: test_v1_bad.read_all(path))
    for data, _ in test_table_bad.BAD.values():
        attempt(lambda: test_table_bad.read(Path(folder) / "t", data))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seen, (after - before) // 1024)
"""


def test_little_memory_and_time(tmp_path: Path) -> None:
    """One GiB of addresses, ten seconds of computing, and no more than 64 MiB over what importing takes."""
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin"}
    command = [sys.executable, "-c", RUN]
    ended = run_limited(command, tmp_path, cwd=root, addresses=4 << 30, seconds=60, environment=environment)
    assert ended.status == 0, ended.err
    seen, grown = map(int, ended.out.split())
    assert seen > 130
    assert grown < 64


@pytest.mark.slow
def test_a_million_entries(tmp_path: Path) -> None:
    """They are read in bounded time."""
    bundle = Bundle(per_block=100_000)
    bundle.raw = {b"t%07d" % number: b"\x08\x01\x12\x04\x12\x02\x08\x00" for number in range(1_000_000)}
    prefix = bundle.write(tmp_path / "m")
    start = time.process_time()
    assert len(open_bundle(prefix)) == 1_000_000
    assert time.process_time() - start < 60
