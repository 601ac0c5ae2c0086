"""Compiles a bundle into a library in the user's cache, and proves it before it is used.

The C code comes from the exporter (`ckpt2onnx`), the compiler is the `cc` of the machine, or what CC names. The result
is bound to the bundle's contents and to this processor, since it is compiled for that.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle import Bundle, read
from runtime.errors import InputError
from runtime.executor import Plain
from runtime.kernels.base import Array
from runtime.native.cache import first_unsafe, folder_for
from runtime.native.executor import Native
from runtime.native.library import CODE, FACTS, WEIGHTS, Library, open_library

__all__ = ["build"]

_GENERATOR = "exporter.targets.c_program.from_bundle"
_FLAGS = ("-march=native", "-mcpu=native", "")
_NOISE = 2048 * 2.0**-23
"""The largest difference from the runtime's results, as a share of the largest of them, that passes for noise."""


def build(model: str | os.PathLike[str]) -> Path:
    """Compile a bundle; `runtime.load` uses the library from then on.

    Args:
        model: The bundle's path.

    Returns:
        The folder of the library.

    Raises:
        InputError: There is no compiler, no generator, no safe place, or the library isn't right.
        BundleError: The bundle can't be used; UnknownOpError if it has an operator that has no C code.
    """
    bundle = read(model)
    compiler, target = _compiler(), folder_for(bundle.digest)
    if target is None:
        raise InputError("there is no cache of this user's own on this system, and a library is kept nowhere else")
    files: Mapping[str, bytes] = _generator()(model, "net")
    _make_private(target.parent)
    unsafe = first_unsafe(target.parent)
    if unsafe is not None:
        raise InputError(f"others may write to {unsafe}, so that no library would be loaded from {target.parent}")
    room = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        for name in ("net.h", "net.c", WEIGHTS):
            (room / name).write_bytes(files[name])
        _compile(compiler, room)
        _write_facts(bundle, files, room)
        _replace(room, target)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return target


def _generator() -> Any:
    try:
        return import_module(_GENERATOR).c_files_of_bundle
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "runtime":
            raise
        raise InputError(
            f"the C code of a bundle is written by ckpt2onnx, which isn't installed here (there is no {error.name}): "
            "install it to build, or go on without: bundles run by NumPy as well"
        ) from None


def _compiler() -> str:
    wanted = os.environ.get("CC") or "cc"
    found = shutil.which(wanted)
    if found is None:
        raise InputError(
            f"there is no C compiler {wanted}: install gcc or clang, or name one in CC; without, bundles run by NumPy"
        )
    return found


def _compile(compiler: str, folder: Path) -> None:
    """Make the library for this processor, however the compiler calls that."""
    for flag in _FLAGS:
        options = ["-std=c99", "-O3", *([flag] if flag else []), "-ffp-contract=fast", "-fPIC", "-shared"]
        done = subprocess.run(
            [compiler, *options, "-o", CODE, "net.c", "-lm"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    lines = done.stderr.strip().splitlines() or ["no message"]
    raise InputError(f"{compiler} can't compile it: {lines[-1][:300]}")


def _write_facts(bundle: Bundle, files: Mapping[str, bytes], folder: Path) -> None:
    """Write what the library takes and gives, once it is known to compute the right numbers."""
    header = files["net.h"].decode()
    told = {
        kind: re.findall(rf"^ \*   {kind}\d+: \S* \[([0-9, ]*)\](?:, (\w+))?$", header, re.MULTILINE)
        for kind in ("in", "out")
    }
    shapes = {kind: [_sizes(text) for text, _ in values] for kind, values in told.items()}
    types = {kind: [name or "float32" for _, name in values] for kind, values in told.items()}
    arena = re.search(r"^#define NET_ARENA_BYTES (\d+)u$", header, re.MULTILINE)
    assert arena is not None
    facts = {
        "inputs": shapes["in"],
        "outputs": shapes["out"],
        "input_types": types["in"],
        "output_types": types["out"],
        "arena": int(arena[1]),
        "batched": False,
    }
    ones = all(shape and shape[0] == 1 for shape in (*shapes["in"], *shapes["out"]))
    is_open = all(value.shape is not None and not isinstance((*value.shape, 0)[0], int) for value in bundle.inputs)
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    library = open_library(folder)
    if not _is_right(bundle, library, 1):
        raise InputError("the compiler has made a library that computes other numbers than NumPy; it isn't kept")
    if ones and is_open and _is_right(bundle, library._replace(batched=True), 2):
        (folder / FACTS).write_text(json.dumps({**facts, "batched": True}), encoding="utf-8")


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size.strip()]


def _is_right(bundle: Bundle, library: Library, count: int) -> bool:
    """Whether a library gives what the plain runtime gives for so many examples, and for their negatives.

    What is 0 behind a Relu for some inputs shows nothing, and is hardly ever 0 for the negatives, too.
    """
    plain = Plain(bundle)
    native = Native(bundle, library, lambda: plain)
    feeds = [_examples(bundle, i, library, count) for i in range(len(library.inputs))]
    negatives = [-x if x.dtype.kind == "f" else x for x in feeds]
    return all(_is_near(a, b) for each in (feeds, negatives) for a, b in zip(native.run(each), plain.run(each)))


def _examples(bundle: Bundle, number: int, library: Library, count: int) -> Array:
    """The first examples of the stored ones, and other numbers where they are too few."""
    shape = library.inputs[number]
    sizes = shape if count == 1 else (count, *shape[1:])
    if bundle.probes:
        stored = bundle.probes[0].inputs[bundle.inputs[number].name]
        if stored.shape == sizes:
            return stored
        if stored.shape[1:] == sizes[1:]:
            return np.ascontiguousarray(np.resize(stored[::-1], sizes) if len(stored) < count else stored[:count])
    drawn: Array = np.random.default_rng(number).uniform(-1, 1, sizes).astype(library.input_types[number])
    return drawn


def _is_near(found: Array, expected: Array) -> bool:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    size = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    return bool(np.allclose(found, expected, rtol=0, atol=_NOISE * size, equal_nan=True))


def _make_private(folder: Path) -> None:
    """Make a folder, and those above it that aren't there, for this user alone, whatever the umask says."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _replace(room: Path, target: Path) -> None:
    """Put a folder in the place of another, which is gone for a moment; its files are for this user to write alone."""
    for name in ("net.c", "net.h"):
        (room / name).unlink()
    for name in (CODE, WEIGHTS, FACTS):
        (room / name).chmod(0o600)
    if target.exists():
        old = Path(tempfile.mkdtemp(dir=target.parent)) / "old"
        target.rename(old)
        shutil.rmtree(old.parent, ignore_errors=True)
    room.rename(target)
