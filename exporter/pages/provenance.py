"""What a result is of, so that it can be told from any other: hashes of the files, versions of the programs."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from exporter._version import __version__
from exporter.report.records import FileUsed

__all__ = ["HashedFile", "Provenance", "provenance_of"]

_PACKAGES = ("numpy", "onnx", "onnx-ir", "onnxruntime", "protobuf", "h5py", "tensorflow", "keras", "tf-keras")
_PIECE = 1 << 22


@dataclass(frozen=True)
class HashedFile:
    """A file that was read or written.

    Attributes:
        role: `model`, `bundle`, `source`, ...
        path: Where it was.
        bytes: How large it is; None if it isn't there any more.
        sha256: Of its contents, in hexadecimal; None if it isn't there any more.
    """

    role: str
    path: str
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True)
class Provenance:
    """Files, versions and time.

    Attributes:
        made: When, in UTC; `SOURCE_DATE_EPOCH` says otherwise.
        files: With their hashes.
        versions: Of this program, Python, and the packages that are installed, by name.
        machine: The processor and the system.
    """

    made: str
    files: tuple[HashedFile, ...]
    versions: dict[str, str]
    machine: str

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def provenance_of(files: Iterable[FileUsed]) -> Provenance:
    """Hashes files as they are now."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = time.gmtime(int(seconds) if seconds.isdigit() else None)
    versions = {"ckpt2onnx": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return Provenance(
        time.strftime("%Y-%m-%d %H:%M:%S UTC", moment),
        tuple(_hashed(file) for file in dict.fromkeys(files)),
        versions,
        f"{platform.machine()}, {platform.system()} {platform.release()}",
    )


def _hashed(file: FileUsed) -> HashedFile:
    path, digest = Path(file.path), hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)
        return HashedFile(file.role, file.path, path.stat().st_size, digest.hexdigest())
    except OSError:
        return HashedFile(file.role, file.path, None, None)
