"""Element types."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.kernels.base import Array, Function, texts

__all__ = ["DTYPES", "OPS", "TEXT_TYPE"]

DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
}
"""ONNX's numbers for element types, but for strings, which are arrays of `str` objects."""

TEXT_TYPE = 8
_WRITTEN = frozenset({1, 6, 7, 11})
"""What strings may be read as."""


def cast(x: Array, *, to: int, saturate: int = 1) -> Array:
    """x in another element type; floats are cut off to integers, anything but 0 is true; strings are numbers written
    out."""
    if to == TEXT_TYPE and x.dtype.kind in "iu":
        return texts(map(str, x.reshape(-1).tolist()), x.shape)
    if x.dtype.kind == "O":
        if to not in _WRITTEN:
            raise ValueError(f"strings as element type {to}")
        read = float if DTYPES[to].kind == "f" else int
        return np.array([read(item) for item in x.reshape(-1).tolist()], DTYPES[to]).reshape(x.shape)
    if to not in DTYPES:
        raise ValueError(f"element type {to} is not one of {sorted(DTYPES)}")
    return x.astype(DTYPES[to], copy=False)


def cast_like(x: Array, target: Array, *, saturate: int = 1) -> Array:
    """x in the element type of target."""
    return x.astype(target.dtype, copy=False)


OPS: dict[str, Function] = {"Cast": cast, "CastLike": cast_like}
