"""Standalone programs as engines: each is run as a user would run it, in a process of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exporter.verify.compare import Array
from exporter.verify.engines import Engine, EngineError, Feeds

__all__ = ["c_engine", "python_engine"]


def python_engine(path: Path, outputs: Sequence[str]) -> Engine:
    """A NumPy program or a zip application; `outputs` are the names of what it gives."""

    def run(feeds: Feeds) -> dict[str, Array]:
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(given, allow_pickle=False, **dict(feeds))
            _call([sys.executable, "-I", str(path.absolute()), str(given), "-o", str(made)], path.name)
            with np.load(made) as found:
                return {name: found[name] for name in outputs}

    return Engine(f"{path.name}, by Python", tuple(outputs), run)


def c_engine(folder: Path, inputs: Sequence[str], outputs: Sequence[str], *, flags: str, name: str) -> Engine:
    """A C program, built elsewhere by make with these CFLAGS; of a batch it computes one example after the other.

    Args:
        folder: Its files.
        inputs, outputs: The names of what it takes and gives, in order.
        flags: For the compiler.
        name: What to call the engine.

    Raises:
        EngineError: It can't be built.
    """
    if shutil.which("make") is None or shutil.which("cc") is None:
        raise EngineError(f"{folder.name} can't be built: there is no make and no C compiler cc")
    header = next(iter(sorted(folder.glob("*.h"))), None)
    if header is None:
        raise EngineError(f"{folder.name} is no C program of an export: it has no header")
    room = tempfile.mkdtemp()
    own, tool = Path(room) / "program", f"{header.stem}_run"
    try:
        shutil.copytree(folder, own)
        _call(["make", "-s", "-C", str(own), "clean", tool, f"CFLAGS={flags}"], folder.name)
    except BaseException:
        shutil.rmtree(room)
        raise
    shapes = re.findall(r"^ \*   in\d+: .* \[([0-9, ]*)\]$", header.read_text("utf-8"), re.MULTILINE)
    batches = [int(shape.split(",")[0]) if shape else 1 for shape in shapes]

    def run(feeds: Feeds) -> dict[str, Array]:
        with tempfile.TemporaryDirectory(dir=room) as place:
            arrays = [np.ascontiguousarray(feeds[key], np.float32) for key in inputs]
            count = max((len(x) if x.ndim else 1) for x in arrays)
            if set(batches) == {1} and count > 1 and all(x.ndim and len(x) == count for x in arrays):
                rows = [
                    _once(own / tool, [x[i : i + 1] for x in arrays], len(outputs), Path(place)) for i in range(count)
                ]
                found = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
            else:
                found = _once(own / tool, arrays, len(outputs), Path(place))
            return dict(zip(outputs, found, strict=True))

    weakref.finalize(run, shutil.rmtree, room, ignore_errors=True)
    return Engine(name, tuple(outputs), run)


def _once(tool: Path, arrays: Sequence[Array], count: int, folder: Path) -> list[Array]:
    given = [folder / f"in{i}.npy" for i in range(len(arrays))]
    made = [folder / f"out{i}.npy" for i in range(count)]
    for path, array in zip(given, arrays, strict=True):
        np.save(path, array)
    _call([str(tool), *map(str, given), "-o", *map(str, made)], tool.name)
    return [np.load(path) for path in made]


def _call(command: Sequence[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise EngineError(f"{name} fails with status {done.returncode}: {(lines or ['no message'])[-1][:300]}")
