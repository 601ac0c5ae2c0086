"""What TensorFlow wrote once is read the same for ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.records import TensorStore
from exporter.formats.tensor_bundle import open_bundle

_FOLDER = Path(__file__).parent / "checkpoints"
_NAMES = [path.name for path in sorted(_FOLDER.iterdir())]


def _open(name: str) -> TensorStore:
    prefix = _FOLDER / name / "model.ckpt"
    return open_v1(prefix) if prefix.exists() else open_bundle(prefix)


@pytest.mark.parametrize("name", _NAMES)
def test_every_value_is_read_bit_by_bit(name: str) -> None:
    """Names, types, shapes and bits are those that TensorFlow held when it saved."""
    store = _open(name)
    with np.load(_FOLDER / name / "values.npz") as values:
        assert set(values.files) == set(store) - {"string"}
        for key in values.files:
            array = store.read(key)
            assert array.dtype == values[key].dtype
            assert array.shape == values[key].shape == store.info(key).shape
            assert array.tobytes() == values[key].tobytes()


def test_strings_are_read_as_bytes() -> None:
    """Empty, binary and UTF-8 strings come as `bytes` objects in the tensor's shape."""
    strings = _open("types").read("string")
    assert strings.tolist() == [[b"", b"a"], [b"\x00\xff" * 70, "é".encode()]]


@pytest.mark.parametrize("name", ["partitioned", "partitioned_columns_v1"])
def test_partitions_are_one_tensor(name: str) -> None:
    """A variable saved in slices is listed once, with its full shape."""
    assert _open(name).info("dense/kernel").shape == (7, 5)
