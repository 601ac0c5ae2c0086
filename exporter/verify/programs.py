"""Standalone programs as engines: each is run as a user would run it, in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from exporter.verify.compare import Array
from exporter.verify.engines import Engine, EngineError, Feeds
from runtime.npy import unescape

__all__ = ["c_engine", "python_engine"]


def python_engine(path: Path, outputs: Sequence[str]) -> Engine:
    """A NumPy program or a zip application; `outputs` are the names of what it gives."""

    def run(feeds: Feeds) -> dict[str, Array]:
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(given, allow_pickle=False, **dict(feeds))
            _call([sys.executable, "-I", str(path.absolute()), str(given), "-o", str(made)], path.name)
            with _reading(path.name), np.load(made) as found:
                arrays = {name: found[name] for name in outputs}
            if other := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
                raise EngineError(f"{path.name} gives {other[0]} as something that is no array")
            return arrays

    return Engine(f"{path.name}, by Python", tuple(outputs), run)


def c_engine(folder: Path, inputs: Sequence[str], outputs: Sequence[str], *, flags: str, name: str) -> Engine:
    """A C program, built elsewhere by make with these CFLAGS; of a batch it computes one example after the other.

    With the flag `-DTRACE` it also gives what each layer makes, by its name.

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
    trace = f"{header.stem.upper()}_TRACE"
    room = tempfile.mkdtemp()
    own, tool = Path(room) / "program", f"{header.stem}_run"
    try:
        shutil.copytree(folder, own)
        _call(
            ["make", "-s", "-C", str(own), "clean", tool, f"CFLAGS={flags.replace('-DTRACE', f'-D{trace}')}"],
            folder.name,
        )
    except BaseException:
        shutil.rmtree(room)
        raise
    told = re.findall(r"^ \*   in\d+: .* \[([0-9, ]*)\](?:, (\w+))?$", header.read_text("utf-8"), re.MULTILINE)
    batches = [int(shape.split(",")[0]) if shape else 1 for shape, _ in told]
    types = [np.dtype(kind or "float32") for _, kind in told]

    def run(feeds: Feeds) -> dict[str, Array]:
        with tempfile.TemporaryDirectory(dir=room) as place:
            arrays = [np.asarray(feeds[key], kind, order="C") for key, kind in zip(inputs, types, strict=True)]
            count = max((len(x) if x.ndim else 1) for x in arrays)
            once = partial(_once, own / tool, outputs=outputs, folder=Path(place), trace=trace)
            if set(batches) == {1} and count > 1 and all(x.ndim and len(x) == count for x in arrays):
                rows = [once([x[i : i + 1] for x in arrays]) for i in range(count)]
                joined = [key for key, one in rows[0].items() if key in outputs or one.shape[:1] == (1,)]
                return {key: np.concatenate([row[key] for row in rows]) for key in joined}
            return once(arrays)

    weakref.finalize(run, shutil.rmtree, room, ignore_errors=True)
    return Engine(name, tuple(outputs), run, channels_last=True, traces="-DTRACE" in flags)


def _once(tool: Path, arrays: Sequence[Array], *, outputs: Sequence[str], folder: Path, trace: str) -> dict[str, Array]:
    given = [folder / f"in{i}.npy" for i in range(len(arrays))]
    made, traced = [folder / f"out{i}.npy" for i in range(len(outputs))], folder / "layers"
    traced.unlink(missing_ok=True)
    for path, array in zip(given, arrays, strict=True):
        np.save(path, array)
    _call([str(tool), *map(str, given), "-o", *map(str, made)], tool.name, {trace: str(traced)})
    with _reading(tool.name):
        inside = _traced(traced.read_bytes()) if traced.exists() else {}
        return {**inside, **{name: np.load(path) for name, path in zip(outputs, made, strict=True)}}


@contextmanager
def _reading(program: str) -> Iterator[None]:
    """EngineError for results that a program has left out, or that aren't arrays."""
    try:
        yield
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        text = " ".join(str(error).split())[:200]
        raise EngineError(f"{program} ends well, and its results can't be read: {text}") from error


def _traced(content: bytes) -> dict[str, Array]:
    """What a program has written of its layers: a line with the name, one with the sizes, and the numbers."""
    found, at = dict[str, Array](), 0
    while at < len(content):
        name, sizes, _ = content[at : at + _LONGEST].split(b"\n", 2)
        at += len(name) + len(sizes) + 2
        shape = tuple(map(int, sizes.split()))
        found[unescape(name.decode("ascii"))] = np.frombuffer(content, "<f4", prod(shape), at).reshape(shape)
        at += 4 * prod(shape)
    return found


_LONGEST = 1 << 16


def _call(command: Sequence[str], name: str, settings: Mapping[str, str] | None = None) -> None:
    told = None if settings is None else {**os.environ, **settings}
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=told)
    except OSError as error:  # a tool that this machine can't run
        raise EngineError(f"{name} can't be run: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise EngineError(f"{name} fails with status {done.returncode}: {(lines or ['no message'])[-1][:300]}")
