"""Export of a whole training checkpoint, as whole processes: ckpt2onnx and tf2onnx side by side, taking turns.

    python -m tests.bench.export [--rounds N] [--folder FOLDER]

FOLDER keeps slim's Inception V3 (about 280 MB) between runs. Peak memory is the process's highest resident set;
processor seconds are those of all its threads, which depend less on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import onnx

from tests.bench.inception_v3 import INPUT, OUTPUT

__all__ = ["Run", "commands", "main", "run"]

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """Wall-clock and processor seconds, and peak resident megabytes of one process."""

    seconds: float
    processor: float
    megabytes: float


def run(command: Sequence[str]) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed; the end of what it printed is in the message.
    """
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=_ROOT, env=_environment())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            tail = output.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}\n{tail}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _environment() -> dict[str, str]:
    """Ours too runs from compiled files, as it does once it is installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3"}


def commands(checkpoint: Path, out: Path) -> dict[str, list[str]]:
    """How each tool is called for the same checkpoint; each writes its own file below `out`."""
    ours = [sys.executable, "-m", "exporter", "export", str(checkpoint), "--input", INPUT, "--output", OUTPUT]
    theirs = [sys.executable, "-m", "tf2onnx.convert", "--checkpoint", f"{checkpoint}.meta"]
    theirs += ["--inputs", f"{INPUT}:0", "--outputs", f"{OUTPUT}:0", "--output", str(out / "tf2onnx.onnx")]
    return {
        "ckpt2onnx": [*ours, "-o", str(out / "ckpt2onnx.onnx"), "--force"],
        "--no-check": [*ours, "-o", str(out / "--no-check.onnx"), "--force", "--no-check"],
        "tf2onnx": theirs,
    }


def _nodes(path: Path) -> str:
    nodes = onnx.load(path, load_external_data=False).graph.node
    transposes = sum(node.op_type == "Transpose" for node in nodes)
    return f"{len(nodes)} nodes, {transposes} Transpose"


def _table(runs: Mapping[str, list[Run]], out: Path) -> str:
    middle = {
        name: Run(
            *(median(values) for values in zip(*((r.seconds, r.processor, r.megabytes) for r in found), strict=True))
        )
        for name, found in runs.items()
    }
    lines = [f"{'':12}{'seconds':>10}{'processor':>11}{'peak MB':>10}  model"]
    lines += [
        f"{name:12}{one.seconds:10.2f}{one.processor:11.2f}{one.megabytes:10.0f}  {_nodes(out / f'{name}.onnx')}"
        for name, one in middle.items()
    ]
    ours, unchecked, theirs = (middle[name] for name in ("ckpt2onnx", "--no-check", "tf2onnx"))
    lines.append(_ratios("tf2onnx / ours", theirs, ours))
    lines.append(_ratios("check", ours, unchecked))
    return "\n".join(lines)


def _ratios(what: str, a: Run, b: Run) -> str:
    return f"{what:14}{a.seconds / b.seconds:7.2f}x{a.processor / b.processor:10.2f}x{a.megabytes / b.megabytes:9.2f}x"


def main() -> int:
    """Make the checkpoint if need be, run both in turn, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.export", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "ckpt2onnx-bench")
    arguments = parser.parse_args()
    folder = arguments.folder / "inception_v3"
    subprocess.run([sys.executable, "-m", "tests.bench.inception_v3", str(folder)], check=True, cwd=_ROOT)
    checkpoint = folder / "model.ckpt"
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        runs: dict[str, list[Run]] = {name: [] for name in commands(checkpoint, out)}
        for _ in range(arguments.rounds):
            for name, command in commands(checkpoint, out).items():
                runs[name].append(run(command))
        print(f"slim Inception V3, training checkpoint; median of {arguments.rounds} rounds")
        print(_table(runs, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
