"""Element types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from exporter.errors import CorruptError, UnsupportedError
from exporter.formats.dtypes import BY_NAME, DATA_TYPES, data_type, dtype_of
from exporter.formats.records import Array


def raw(*values: int) -> Array:
    """Bytes."""
    return np.array(values, np.uint8)


def test_numbers() -> None:
    """References mean what they refer to, in graphs; nowhere else."""
    assert dtype_of(1) == np.float32
    assert dtype_of(101) == np.float32
    assert dtype_of(14) == np.dtype(ml_dtypes.bfloat16)
    assert data_type(19).name == "half"
    for number in (0, 34, 99, 100, 101, -1):
        with pytest.raises(CorruptError, match=f"^{number} is not"):
            data_type(number)
    for number in (20, 21):
        with pytest.raises(UnsupportedError):
            dtype_of(number)


def test_sizes() -> None:
    """The bytes of an element in a file are those of the NumPy type."""
    for kind in DATA_TYPES.values():
        if kind.component:
            assert kind.dtype is not None
            assert kind.itemsize == kind.dtype.itemsize
        else:
            assert kind.name in ("string", "resource", "variant")


def test_small_integers_ignore_the_upper_bits() -> None:
    """Four and two bits, one element in a byte."""
    assert BY_NAME["int4"].from_bytes(raw(0x0E, 0x1E, 7)).astype(int).tolist() == [-2, -2, 7]
    assert BY_NAME["uint4"].from_bytes(raw(0x0E, 0x1E, 7)).astype(int).tolist() == [14, 14, 7]
    assert BY_NAME["int2"].from_bytes(raw(3, 1, 0xFE)).astype(int).tolist() == [-1, 1, -2]
    assert BY_NAME["uint2"].from_bytes(raw(3, 1, 0xFE)).astype(int).tolist() == [3, 1, 2]


def test_bools() -> None:
    """Bytes that are neither 0 nor 1 are no bools."""
    assert BY_NAME["bool"].from_bytes(raw(0, 1)).tolist() == [False, True]
    with pytest.raises(CorruptError, match="bool of value 2"):
        BY_NAME["bool"].from_bytes(raw(0, 2))


@pytest.mark.parametrize("name", ["float", "bfloat16", "complex64", "complex128", "int64", "half", "uint8"])
def test_swapped(name: str) -> None:
    """Each part of a complex number on its own."""
    kind = BY_NAME[name]
    values = np.array([1, 2, 3], kind.dtype)
    stored = values.view(f"u{kind.component}").byteswap().view(np.uint8)
    assert kind.from_bytes(stored, swapped=True).tobytes() == values.tobytes()


def test_strings_have_no_fixed_size() -> None:
    """They can't be had from raw bytes."""
    with pytest.raises(UnsupportedError, match="string"):
        BY_NAME["string"].from_bytes(raw(1))
