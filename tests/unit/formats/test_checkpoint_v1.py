"""V1 checkpoints, in one file and in several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.errors import MissingError
from exporter.formats.checkpoint_v1 import open_v1, shard_paths
from exporter.formats.snappy import decompress
from tests.hostile.table_writer import table, varint
from tests.hostile.v1_writer import V1File

TABLE = np.arange(20, dtype=np.int32).reshape(4, 5)
KERNEL = np.linspace(-1, 1, 6, dtype=np.float32)


def write_set(folder: Path) -> Path:
    """A partitioned variable over two files, another in the second; their pattern."""
    first, second = V1File(), V1File()
    first.add("table", TABLE, [((0, 2), (0, -1))])
    second.add("table", TABLE, [((2, 2), (0, -1))])
    second.add("kernel", KERNEL)
    first.write(folder / "m-7-00000-of-00002")
    second.write(folder / "m-7-00001-of-00002")
    return folder / "m-7-?????-of-00002"


def test_set_of_files(tmp_path: Path) -> None:
    """By their pattern or by any of them; slices come together over files."""
    pattern = write_set(tmp_path)
    for path in (pattern, *shard_paths(pattern)):
        checkpoint = open_v1(path)
        assert list(checkpoint) == ["kernel", "table"]
        assert len(checkpoint) == 2
        assert "kernel" in checkpoint
        np.testing.assert_array_equal(checkpoint.read("table"), TABLE)
        assert checkpoint.read("kernel").tobytes() == KERNEL.tobytes()
        assert checkpoint.info("table").shape == (4, 5)
        assert checkpoint.info("table").nbytes == 80
    assert open_v1(pattern).description == f"TensorFlow V1 checkpoint {pattern} (2 files)"


def test_single_file(tmp_path: Path) -> None:
    """Without a suffix of any kind; arrays are in memory of their own."""
    file = V1File()
    file.add("kernel", KERNEL)
    checkpoint = open_v1(file.write(tmp_path / "m-7"))
    assert checkpoint.description.endswith("m-7 (1 file)")
    assert checkpoint.read("kernel").flags.writeable
    assert checkpoint.notes == ()
    with pytest.raises(MissingError, match="no tensor 'other'"):
        checkpoint.read("other")


def test_newer_producer_is_noted(tmp_path: Path) -> None:
    """As long as it doesn't ask for newer readers."""
    file = V1File()
    file.meta.meta.versions.producer = 9
    file.add("kernel", KERNEL)
    assert open_v1(file.write(tmp_path / "m")).notes == ("written by format version 9",)


def test_compressed_blocks(tmp_path: Path) -> None:
    """As the checkpoints of 2016 have them."""

    def compress(contents: bytes) -> bytes:
        made = varint(len(contents)) + b"\xf4" + (len(contents) - 1).to_bytes(2, "little") + contents
        assert decompress(memoryview(made)) == contents
        return made

    file = V1File()
    file.add("kernel", KERNEL)
    file.add("table", TABLE)
    (tmp_path / "m").write_bytes(table(sorted(file.values().items()), per_block=2, compress=compress))
    checkpoint = open_v1(tmp_path / "m")
    np.testing.assert_array_equal(checkpoint.read("table"), TABLE)
    np.testing.assert_array_equal(checkpoint.read("kernel"), KERNEL)
