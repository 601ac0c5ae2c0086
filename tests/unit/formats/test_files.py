"""Reading files: all of what is asked for, or an error."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import CorruptError, FormatError, LimitError, MissingError, TruncatedError, UnsafeError
from exporter.formats.files import RegularFile, empty


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of ten bytes."""
    path = tmp_path / "ten"
    path.write_bytes(b"0123456789")
    return path


def test_reading(path: Path) -> None:
    """Any part, into new or given memory."""
    file = RegularFile.at(path)
    assert file.size == 10
    assert file.read(2, 3).tobytes() == b"234"
    assert file.read(7).tobytes() == b"789"
    assert file.read(10).tobytes() == b""
    assert file.read_all(10) == b"0123456789"
    out = np.zeros((2, 2), np.uint8)
    file.read_into(4, out)
    assert out.tolist() == [[52, 53], [54, 55]]


@pytest.mark.parametrize(("offset", "size"), [(8, 3), (11, 0), (-1, 2), (0, 11), (2**62, 1)])
def test_outside(offset: int, size: int, path: Path) -> None:
    """No bytes that aren't there, and no memory for them."""
    with pytest.raises(TruncatedError, match="file has 10"):
        RegularFile.at(path).read(offset, size)


def test_too_large(path: Path) -> None:
    """Reading all of a file has a limit; so has memory."""
    with pytest.raises(LimitError, match="10 bytes, more than the 9"):
        RegularFile.at(path).read_all(9)
    with pytest.raises(LimitError, match="no memory"):
        empty((2**60,), np.dtype(np.float64), "tensor w")


@pytest.mark.parametrize("change", ["shorter", "longer", "replaced", "rewritten"])
def test_changed(change: str, path: Path, tmp_path: Path) -> None:
    """A file that isn't what it was when first looked at."""
    file = RegularFile.at(path)
    if change == "shorter":
        os.truncate(path, 5)
    elif change == "longer":
        path.write_bytes(b"0123456789a")
    elif change == "replaced":
        (tmp_path / "new").write_bytes(b"9876543210")
        (tmp_path / "new").replace(path)
    else:
        path.write_bytes(b"9876543210")
        os.utime(path, ns=(0, 12345))
    with pytest.raises(CorruptError, match="changed"):
        file.read(0, 2)


def test_no_regular_file(tmp_path: Path) -> None:
    """Missing, a directory, a pipe, a device, a name that no file can have, one that may not be read."""
    with pytest.raises(MissingError, match="no such file"):
        RegularFile.at(tmp_path / "missing")
    with pytest.raises(FormatError, match="directory"):
        RegularFile.at(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafeError, match="pipe"):
        RegularFile.at(tmp_path / "pipe")
    with pytest.raises(UnsafeError, match="device"):
        RegularFile.at(Path("/dev/zero"))
    with pytest.raises(MissingError, match="null"):
        RegularFile.at(tmp_path / "a\0b")
    with pytest.raises(MissingError, match="too long"):
        RegularFile.at(tmp_path / ("x" * 300))
