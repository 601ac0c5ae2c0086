"""Every bad checkpoint through the command line, one after the other in a process with little memory and time."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.limited import run_limited

_ROOT = Path(__file__).parents[2]

GRAPH = """
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: -1 } dim { size: 2 } } } } }
node { name: "kernel" op: "VariableV2" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: 2 } dim { size: 3 } } } } }
node { name: "table" op: "VariableV2" attr { key: "dtype" value { type: DT_INT32 } }
  attr { key: "shape" value { shape { dim { size: 4 } dim { size: 3 } } } } }
node { name: "cast" op: "Cast" input: "table" attr { key: "SrcT" value { type: DT_INT32 } }
  attr { key: "DstT" value { type: DT_FLOAT } } }
node { name: "h" op: "MatMul" input: "x" input: "kernel" attr { key: "T" value { type: DT_FLOAT } } }
node { name: "y" op: "MatMul" input: "h" input: "cast" attr { key: "T" value { type: DT_FLOAT } }
  attr { key: "transpose_b" value { b: true } } }
"""
"""y = x kernel table': every number of the checkpoint's tensors is needed."""

RUN = """
import contextlib, io, json, resource, sys
from pathlib import Path

from exporter.command_line.cli import main
from tests.hostile import test_bundle_bad, test_v1_bad
from tests.hostile.edits import good
from tests.hostile.test_bundle_commands import GRAPH

def export(path):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["export", str(path), "--graph", "graph.pbtxt", "-o", "out/y.onnx"], prog_name="ckpt2onnx")
        except SystemExit as ended:
            made = [path.name for path in Path("out").iterdir()]
            for name in made:
                (Path("out") / name).unlink()
            return [ended.code or 0, out.getvalue(), err.getvalue(), made]

Path("graph.pbtxt").write_text(GRAPH)
Path("out").mkdir()
found = {"good": export(good().write(Path("v2")))}
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for kind, cases, make in (("V2", test_bundle_bad.BAD, good), ("V1", test_v1_bad.BAD, test_v1_bad.good)):
    for number, (name, (edit, _, _)) in enumerate(cases.items()):
        file = make()
        edit(file)
        found[f"{kind} {name}"] = export(file.write(Path(f"{kind}-{number}")))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"found": found, "grown": grown >> 10}))
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each export ended with: status, output, error, files; and how many MiB the process grew by."""
    folder = tmp_path_factory.mktemp("bad")
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN]
    said = tmp_path_factory.mktemp("said")
    done = run_limited(command, said, cwd=folder, addresses=8 << 30, seconds=300, environment=environment)
    assert done.status == 0, done.err
    return json.loads(done.out)


def test_the_good_one_is_exported(ended: Any) -> None:
    """So that what fails in the others is what was made wrong."""
    status, _, err, files = ended["found"]["good"]
    assert status == 0, err
    assert sorted(files) == ["y.npz", "y.onnx"]


def test_the_bad_ones_fail_closed(ended: Any) -> None:
    """Status 3 or 4, one paragraph, no file; only what isn't needed, a list of texts, may be wrong unseen."""
    wrong = {}
    for name, (status, out, err, files) in ended["found"].items():
        refused = status in (3, 4) and out == "" and err.startswith("ckpt2onnx: ") and err.count("\n") == 1
        if name != "good" and " string " not in name and not (refused and not files):
            wrong[name] = (status, out, err, files)
    assert not wrong
    assert len(ended["found"]) > 90
    assert ended["grown"] < 64
