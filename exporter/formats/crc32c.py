"""CRC-32C (Castagnoli) and the masked form in which TensorFlow stores it.

A compiled `google_crc32c` does 13 GB/s. It is a requirement, and yet there is a NumPy form beside it: where pip has no
wheel for a processor or Python, it installs a pure-Python one of some MB/s, and NumPy does some hundred.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.formats import crc32c_numpy

__all__ = ["crc32c", "mask", "unmask"]

_DELTA = 0xA282EAD8


def _compiled() -> Callable[[int, Any], int] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its slow pure-Python form warns; it isn't used
        try:
            import google_crc32c
        except ImportError:
            return None
    return google_crc32c.extend if google_crc32c.implementation == "c" else None


_extend: Callable[[int, Any], int] = _compiled() or crc32c_numpy.extend


def crc32c(data: bytes | memoryview | npt.NDArray[np.uint8], crc: int = 0) -> int:
    """The CRC-32C of contiguous bytes; with `crc`, that of a message which they continue."""
    octets = data if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    return _extend(crc, octets)


def mask(crc: int) -> int:
    """The form stored beside data that may themselves hold CRCs: rotated right by 15 bits, plus a constant."""
    return ((crc >> 15 | crc << 17) + _DELTA) & 0xFFFFFFFF


def unmask(masked: int) -> int:
    """The inverse of `mask`."""
    rotated = (masked - _DELTA) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF
