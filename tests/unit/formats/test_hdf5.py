"""HDF5 files as Keras and others write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from exporter.errors import CorruptError, FormatError, MissingError, UnsupportedError
from exporter.formats.hdf5 import open_hdf5
from exporter.formats.records import Array

RNG = np.random.default_rng(1)
ARRAYS: dict[str, Array] = {
    "conv/conv/kernel:0": RNG.normal(size=(3, 3, 2, 4)).astype(np.float32),
    "scalar": np.array(5, np.int64),
    "empty": np.zeros((0, 3), np.float32),
    "half": np.array([1, 0.5, -0.0, 65504], np.float16),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j], np.complex64),
    "u1": np.arange(5, dtype=np.uint8),
}


def write(path: Path, arrays: dict[str, Array], **options: Any) -> Path:
    """A file of these arrays."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **(options if array.ndim and array.size else {}))
    return path


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip", "shuffle": True}, {"chunks": True, "fletcher32": True}]
)
@pytest.mark.parametrize("in_memory", [False, True])
def test_arrays_come_back(options: dict[str, Any], in_memory: bool, tmp_path: Path) -> None:
    """Bit by bit, whether they lie in the file as they are or in compressed chunks."""
    path = write(tmp_path / "m.h5", ARRAYS, **options)
    file = open_hdf5(path, in_memory=in_memory)
    if in_memory:
        path.unlink()
    assert list(file) == sorted(ARRAYS)
    assert len(file) == len(ARRAYS)
    for name, array in ARRAYS.items():
        read = file.read(name)
        assert (file.info(name).dtype, file.info(name).shape) == (array.dtype, array.shape)
        assert read.tobytes() == array.tobytes()
        assert read.flags.writeable
        assert read.dtype == array.dtype
        assert read.shape == array.shape


def test_big_endian_values_are_swapped(tmp_path: Path) -> None:
    """The array has the byte order of this machine."""
    array = np.arange(4, dtype=">f8")
    read = open_hdf5(write(tmp_path / "m.h5", {"a": array})).read("a")
    assert read.dtype == np.float64
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_bfloat16_as_keras_notes_it(tmp_path: Path) -> None:
    """Two opaque bytes with an attribute `dtype`."""
    array = np.array([1, -2.5, 3e38], ml_dtypes.bfloat16)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("a", data=array).attrs["dtype"] = "bfloat16"
        file.create_dataset("b", data=array)
    read = open_hdf5(tmp_path / "m.h5")
    assert read.info("a").kind == "bfloat16"
    assert read.read("a").tobytes() == array.tobytes()
    assert read.read("a").dtype == array.dtype
    with pytest.raises(UnsupportedError, match="opaque"):
        read.read("b")


def test_attributes(tmp_path: Path) -> None:
    """Texts, numbers and lists of them, fixed or of variable length; empty ones too."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["text"] = "é"
        file.attrs["fixed"] = np.array([b"a", b"bc"], "S2")
        file.attrs["names"] = ["x", "y"]
        file.attrs["none"] = np.zeros(0)
        file.attrs["number"] = 3
        file.attrs["null"] = h5py.Empty("f")
        file.create_group("g").attrs["weight_names"] = [b"w"]
        file["g/w"] = np.zeros(1)
        file["g/w"].attrs["note"] = 0.5
        file.attrs["reference"] = file["g"].ref
    read = open_hdf5(tmp_path / "m.h5")
    expected = {"text": "é", "fixed": ["a", "bc"], "names": ["x", "y"], "none": [], "number": 3}
    assert read.attributes() == expected
    assert read.attributes("g") == {"weight_names": ["w"]}
    assert read.attributes("g/w") == {"note": 0.5}


def test_long_lists_of_texts_are_put_together(tmp_path: Path) -> None:
    """Keras splits a list that is too long for an attribute."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["layer_names0"] = [b"a", b"b"]
        file.attrs["layer_names1"] = [b"c"]
        file.attrs["whole"] = [b"d"]
        file.attrs["none"] = np.zeros(0)
        file.attrs["numbers"] = [1, 2]
    read = open_hdf5(tmp_path / "m.h5")
    assert read.texts("", "layer_names") == ["a", "b", "c"]
    assert read.texts("", "whole") == ["d"]
    assert read.texts("", "none") == []
    assert read.texts("", "other") is None
    with pytest.raises(CorruptError, match="numbers"):
        read.texts("", "numbers")


def test_groups(tmp_path: Path) -> None:
    """The names directly inside of a group."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(1)
        file["layers/conv2d/vars/1"] = np.zeros(1)
        file.create_group("layers/relu/vars")
        file["top"] = np.zeros(1)
    read = open_hdf5(tmp_path / "m.h5")
    assert read.groups() == ["layers"]
    assert read.groups("layers") == ["conv2d", "relu"]
    assert read.datasets() == ["top"]
    assert read.datasets("layers/conv2d/vars") == ["0", "1"]
    assert read.datasets("layers") == []
    assert read.has_group("layers/relu/vars")
    with pytest.raises(MissingError, match="no group 'other'"):
        read.groups("other")
    with pytest.raises(MissingError, match="no dataset 'layers'"):
        read.read("layers")


def test_part_of_another_file(tmp_path: Path) -> None:
    """Weights can be read where they lie in an archive."""
    data = write(tmp_path / "m.h5", ARRAYS).read_bytes()
    (tmp_path / "all").write_bytes(b"x" * 77 + data + b"y" * 99)
    read = open_hdf5(tmp_path / "all", start=77, size=len(data))
    for name, array in ARRAYS.items():
        assert read.read(name).tobytes() == array.tobytes()


def test_no_hdf5(tmp_path: Path) -> None:
    """Told by the first bytes, without starting anything."""
    (tmp_path / "m.h5").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(FormatError, match=r"m\.h5"):
        open_hdf5(tmp_path / "m.h5")
