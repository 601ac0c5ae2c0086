"""Writes a model with the runtime as one file that any Python with NumPy runs: `python NAME.pyz IN.npz -o OUT.npz`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import onnx_ir as ir

from exporter.targets.npz_bundle import write_bundle
from runtime import Probe

__all__ = ["write_pyz"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODEL = "model.npz"

_MAIN = '''\
"""Runs the model in this file: INPUTS.npz -o OUTPUTS.npz, arrays by name; or --check, its stored examples."""

import os
import sys
import tempfile
import zipfile


def main(arguments):
    from runtime.__main__ import main as run

    archive = os.path.dirname(os.path.abspath(__file__))
    name = os.path.basename(archive)
    if set(arguments) & {"-h", "--help"} or not arguments:
        print(f"usage: python {name} INPUTS.npz -o OUTPUTS.npz\\n       python {name} --check | --profile | --bench")
        return 0 if arguments else 2
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as file:
            model = file.extract("model.npz", folder)
        return run([model, *arguments], prog=f"python {name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def write_pyz(
    model: ir.Model,
    path: str | Path,
    *,
    probes: Sequence[Probe] = (),
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes the bundle of a model and the runtime as a zip application; the same model gives the same bytes.

    Args:
        model, probes, metadata: As for `write_bundle`.
        path: The file, overwritten if it is there.

    Raises:
        UnsupportedError: As for `write_bundle`.
        OSError: The file can't be written.
    """
    with Path(path).open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "a") as archive:
            _add(archive, "__main__.py", _MAIN.encode())
            for name, source in sorted(_sources(resources.files("runtime"), "runtime")):
                _add(archive, name, source)
            bundle = io.BytesIO()
            write_bundle(model, bundle, probes=probes, metadata=metadata)
            _add(archive, _MODEL, bundle.getbuffer())


def _sources(folder: Traversable, name: str) -> list[tuple[str, bytes]]:
    """The Python files of a package, by their path in the archive."""
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        inner = f"{name}/{entry.name}"
        if entry.is_dir():
            found += _sources(entry, inner)
        elif entry.name.endswith(".py"):
            found.append((inner, entry.read_bytes()))
    return found


def _add(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    """A stored member without a date."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    info.file_size = len(content)
    with archive.open(info, "w") as member:
        member.write(content)
