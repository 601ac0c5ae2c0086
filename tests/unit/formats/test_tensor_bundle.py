"""V2 checkpoints."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from exporter.errors import MissingError
from exporter.formats.records import Array
from exporter.formats.tensor_bundle import open_bundle
from tests.hostile.bundle_writer import Bundle

WORKED_EXAMPLE = """
    00 00 06 08 01 1a 02 08 01
    00 01 0f 66 08 01 12 04 12 02 08 01 28 04 35 81 a5 da 2b
    00 00 00 00 01 00 00 00 00 87 53 7c a5
    00 00 00 00 01 00 00 00 00 c0 f2 a1 b0
    00 01 02 67 00 24 00 00 00 00 01 00 00 00 00 c7 32 8c 3d
    29 08 36 0e 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 57 fb 80 8b 24 75 47 db
"""
"""An index that TensorFlow wrote, of one float tensor `f` of shape [1]."""

ARRAYS: dict[str, Array] = {
    "conv/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 0.5,
    "scalar": np.array(-7, np.int64),
    "empty": np.zeros((0, 3), np.float64),
    "flags": np.array([True, False, True]),
    "half": np.array([1, -0.0, np.inf, np.nan], np.float16),
    "bf": np.array([1, -2.5, 3e38], ml_dtypes.bfloat16),
    "complex": np.array([1 + 2j, -3j], np.complex128),
    "fp8": np.array([1, 2], ml_dtypes.float8_e4m3fn),
    "names": np.array([[b"a", b""], [b"\xff" * 300, b"b\0"]], object),
    "é/ü": np.array([2**63], np.uint64),
}


def make(**options: bool) -> Bundle:
    """All of the above, over two data files."""
    bundle = Bundle(shards=2, **options)  # type: ignore[arg-type]
    for number, (name, array) in enumerate(ARRAYS.items()):
        bundle.add(name, array, shard=number % 2)
    bundle.add_slices("part", np.arange(60).reshape(6, 10), [((0, 6), (0, 4)), ((0, -1), (4, 6))])
    return bundle


def test_worked_example(tmp_path: Path) -> None:
    """Byte for byte what TensorFlow wrote."""
    (tmp_path / "m.index").write_bytes(bytes.fromhex(WORKED_EXAMPLE))
    data = next(value for value in (b"\0\0\0\0", b"\0\0\x80\x3f", b"\0\0\0\x40", b"\0\0\xc0\x3f") if _crc(value))
    (tmp_path / "m.data-00000-of-00001").write_bytes(data)
    bundle = open_bundle(tmp_path / "m")
    assert list(bundle) == ["f"]
    assert bundle.info("f").shape == (1,)
    assert bundle.info("f").kind == "float"
    assert bundle.read("f").tobytes() == data


def _crc(data: bytes) -> bool:
    from exporter.formats.crc32c import crc32c, mask

    return mask(crc32c(data)) == 0x2BDAA581


@pytest.mark.parametrize("big_endian", [False, True])
def test_tensors_come_back(big_endian: bool, tmp_path: Path) -> None:
    """Bit by bit, in the byte order of this machine, in memory of their own."""
    bundle = open_bundle(make(big_endian=big_endian).write(tmp_path / "m"))
    assert list(bundle) == sorted([*ARRAYS, "part"])
    assert len(bundle) == len(ARRAYS) + 1
    assert "scalar" in bundle
    assert "other" not in bundle
    for name, array in ARRAYS.items():
        info, read = bundle.info(name), bundle.read(name)
        assert (info.name, info.dtype, info.shape) == (name, array.dtype, array.shape)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.flags.c_contiguous
        assert read.flags.writeable
        assert read.flags.aligned
        assert read.tolist() == array.tolist() if array.dtype == object else read.tobytes() == array.tobytes()
    np.testing.assert_array_equal(bundle.read("part"), np.arange(60).reshape(6, 10))
    assert bundle.info("part").nbytes == 480


def test_description(tmp_path: Path) -> None:
    """For people."""
    bundle = open_bundle(make().write(tmp_path / "m"))
    assert bundle.description == f"TensorFlow V2 checkpoint {tmp_path / 'm'} (2 shards)"
    assert bundle.notes == ()


def test_no_such_tensor(tmp_path: Path) -> None:
    """An error that names the checkpoint."""
    bundle = open_bundle(make().write(tmp_path / "m"))
    for ask in (bundle.info, bundle.read):
        with pytest.raises(MissingError, match="no tensor 'other'"):
            ask("other")


def test_prefix_with_a_dot(tmp_path: Path) -> None:
    """What is behind the last dot of `model.ckpt-7` is no suffix."""
    assert len(open_bundle(make().write(tmp_path / "model.ckpt-7"))) == len(ARRAYS) + 1
