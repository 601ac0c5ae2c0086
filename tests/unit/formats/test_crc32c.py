"""Checksums, compiled and in NumPy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from exporter.formats import crc32c_numpy
from exporter.formats.crc32c import crc32c, mask, unmask


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_known_values(data: bytes, crc: int) -> None:
    """The values of RFC 3720."""
    assert crc32c(data) == crc
    assert crc32c_numpy.extend(0, np.frombuffer(data, np.uint8)) == crc


@pytest.mark.parametrize("size", [1, 100, 32767, 32768, 32769, 65537, 300_001])
def test_numpy_agrees(size: int) -> None:
    """On both sides of where it goes over to lanes, from any start."""
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    assert crc32c_numpy.extend(0xDEADBEEF, data) == crc32c(data, 0xDEADBEEF)


def test_mask() -> None:
    """As the worked example of an index has it: the checksum of nothing is stored as the constant."""
    assert mask(0) == 0xA282EAD8
    assert mask(crc32c(bytes.fromhex("00000000010000000" + "0"))) == 0xB0A1F2C0
    for crc in (0, 1, 0xFFFFFFFF, 0x12345678):
        assert unmask(mask(crc)) == crc


def test_without_the_compiled_one() -> None:
    """A machine that has none uses NumPy, and says nothing."""
    code = """
import sys
sys.modules["google_crc32c"] = None
from exporter.formats import crc32c, crc32c_numpy
assert crc32c._extend is crc32c_numpy.extend
assert crc32c.crc32c(b"123456789") == 0xE3069283
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)
    assert done.stderr == b""
