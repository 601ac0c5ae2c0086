"""Files of a V2 checkpoint that are short, gone, no files at all, or too much."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import CorruptError, ExportError, FormatError, MissingError, TruncatedError, UnsafeError
from exporter.formats.tensor_bundle import open_bundle
from tests.hostile.bundle_writer import Bundle
from tests.hostile.edits import good, read_all


@pytest.mark.parametrize(("size", "error"), [(0, TruncatedError), (10, TruncatedError), (None, MissingError)])
def test_data_file_short_or_gone(size: int | None, error: type[ExportError], tmp_path: Path) -> None:
    """What is missing is named, and that both sorts of file are needed."""
    prefix = good().write(tmp_path / "m")
    file = tmp_path / "m.data-00000-of-00001"
    if size is None:
        file.unlink()
    else:
        os.truncate(file, size)
    with pytest.raises(error, match=r"m\.data-00000-of-00001.*(copy|with all)"):
        open_bundle(prefix)


def test_index_gone(tmp_path: Path) -> None:
    """A prefix without an index says which file is missing."""
    with pytest.raises(MissingError, match=r"m\.index: no such file"):
        open_bundle(tmp_path / "m")


def test_no_regular_file(tmp_path: Path) -> None:
    """Directories, pipes and devices are refused without being read."""
    prefix = good().write(tmp_path / "m")
    file = tmp_path / "m.data-00000-of-00001"
    file.unlink()
    file.mkdir()
    with pytest.raises(FormatError, match="directory"):
        open_bundle(prefix)
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(UnsafeError, match="pipe"):
        open_bundle(prefix)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(UnsafeError, match="device"):
        open_bundle(prefix)


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    """Download caches are made of links."""
    (tmp_path / "blobs").mkdir()
    good().write(tmp_path / "blobs" / "m")
    for suffix in ("index", "data-00000-of-00001"):
        (tmp_path / f"m.{suffix}").symlink_to(tmp_path / "blobs" / f"m.{suffix}")
    assert len(read_all(tmp_path / "m")) == 3


def test_file_changed_between_opening_and_reading(tmp_path: Path) -> None:
    """Two states of a file are never mixed, and a shorter file is no crash."""
    prefix = good().write(tmp_path / "m")
    bundle = open_bundle(prefix)
    os.truncate(tmp_path / "m.data-00000-of-00001", 5)
    with pytest.raises(CorruptError, match=r"tensor kernel.* changed"):
        bundle.read("kernel")


def test_many_slices_in_bounded_time(tmp_path: Path) -> None:
    """Fifty thousand slices take no more than a few seconds; the check isn't quadratic."""
    bundle = Bundle()
    count = 50_000
    bundle.add_slices("t", np.arange(count, dtype=np.uint8), [((start, 1),) for start in range(count)])
    read = read_all(bundle.write(tmp_path / "m"))
    np.testing.assert_array_equal(read.read("t"), np.arange(count, dtype=np.uint8))


def test_grid_of_cuts_is_bounded(tmp_path: Path) -> None:
    """Slices that cut all axes everywhere don't take memory for every cell."""
    bundle = Bundle()
    count = 3000
    bundle.add_slices("t", np.zeros((count, count), np.uint8), [((start, 1), (start, 1)) for start in range(count)])
    with pytest.raises(CorruptError, match="cover 3000 of 9000000"):
        open_bundle(bundle.write(tmp_path / "m"))
