"""Keras archives that would lead out of themselves, expand without end, or contradict themselves."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from exporter.errors import (
    ChecksumError,
    CorruptError,
    ExportError,
    FormatError,
    LimitError,
    SourceError,
    UnsafeError,
    UnsupportedError,
)
from exporter.formats import keras_zip, limits
from exporter.formats.keras_zip import open_keras_zip

CONFIG = b'{"class_name": "Sequential"}'


def weights() -> bytes:
    """A file of weights."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = np.arange(6, dtype=np.float32)
    return stream.getvalue()


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytearray:
    """A zip of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in members:
            made.writestr(name, data)
    return bytearray(stream.getvalue())


GOOD = (("config.json", CONFIG), ("model.weights.h5", weights()))


def patched(central: int, value: bytes, name: bytes = b"config.json") -> bytearray:
    """A good archive with bytes of a member's entry in the central directory replaced."""
    data = archive(*GOOD)
    entry = data.rindex(name) - 46
    assert data[entry : entry + 4] == b"PK\1\2"
    data[entry + central : entry + central + len(value)] = value
    return data


def flipped_weights() -> bytearray:
    """A bit of the weights flipped."""
    data = archive(*GOOD)
    data[data.index(np.float32(5).tobytes(), data.index(b"\x89HDF"))] ^= 1
    return data


def no_local_header() -> bytearray:
    """The weights' entry points elsewhere."""
    return patched(42, struct.pack("<I", 3), b"model.weights.h5")


BAD: dict[str, tuple[Callable[[], bytes | bytearray], type[ExportError], str]] = {
    "empty": (lambda: b"", FormatError, "zip"),
    "no directory": (lambda: archive(*GOOD)[:-30], CorruptError, "zip"),
    "member twice": (lambda: archive(*GOOD, GOOD[0]), CorruptError, "config.json: it is there twice"),
    "parent folder": (lambda: archive(*GOOD, ("a/../../x", b"")), UnsafeError, "leads out"),
    "absolute": (lambda: archive(*GOOD, ("/etc/x", b"")), UnsafeError, "leads out"),
    "drive": (lambda: archive(*GOOD, ("C:\\x", b"")), UnsafeError, "leads out"),
    "back slashes": (lambda: archive(*GOOD, ("a\\..\\x", b"")), UnsafeError, "leads out"),
    "encrypted": (lambda: patched(8, b"\1\0"), CorruptError, "encrypted"),
    "other compression": (lambda: archive(*GOOD, method=zipfile.ZIP_LZMA), UnsupportedError, "method 14"),
    "sizes differ": (lambda: patched(24, b"\xff\xff\xff\x7f"), CorruptError, "bytes for"),
    "bomb": (lambda: archive(("config.json", b" " * 2**27), method=zipfile.ZIP_DEFLATED), LimitError, "expand"),
    "config no object": (lambda: archive(("config.json", b"[]")), CorruptError, "member config.json"),
    "config no JSON": (lambda: archive(("config.json", b"{'a': 1}")), CorruptError, "member config.json"),
    "config deep": (lambda: archive(("config.json", b'{"a":' * 100_000)), LimitError, "member config.json"),
    "config NaN": (lambda: archive(("config.json", b'{"a": NaN}')), CorruptError, "NaN"),
    "config flipped": (lambda: archive(*GOOD).replace(b"Sequential", b"Sequentiak"), ChecksumError, "CRC"),
    "weights flipped": (flipped_weights, ChecksumError, "member model.weights.h5"),
    "weights no HDF5": (lambda: archive(GOOD[0], ("model.weights.h5", bytes(archive(*GOOD)))), FormatError, "HDF5"),
    "weights elsewhere": (no_local_header, SourceError, "model.weights.h5"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_archive(case: str, tmp_path: Path) -> None:
    """The error has the right class and names archive and member."""
    make, error, words = BAD[case]
    (tmp_path / "m.keras").write_bytes(make())
    with pytest.raises(error) as caught:
        open_keras_zip(tmp_path / "m.keras").weights()
    assert "m.keras" in str(caught.value)
    assert words in str(caught.value)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of members and the length of the configuration are bounded."""
    (tmp_path / "m.keras").write_bytes(archive(*GOOD))
    monkeypatch.setattr(limits, "MAX_CONFIG_BYTES", 10)
    with pytest.raises(LimitError, match=r"member config\.json: 28 bytes"):
        open_keras_zip(tmp_path / "m.keras")
    monkeypatch.setattr(keras_zip, "_MOST_MEMBERS", 1)
    with pytest.raises(LimitError, match="2 members"):
        open_keras_zip(tmp_path / "m.keras")


def test_a_long_name_in_a_header_is_not_quoted_whole(tmp_path: Path) -> None:
    """A member whose own header has another name, of 60,000 letters, and one that is read with it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", "{}" * 40_000)
    content = bytearray(buffer.getvalue())
    content[26:28] = struct.pack("<H", 60_000)
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(CorruptError, match="not a good zip") as caught:
        open_keras_zip(path)
    assert len(str(caught.value)) < 1000


def test_every_truncation_and_many_flips(tmp_path: Path) -> None:
    """Damage to the archive's own structure gives our errors, or the same contents."""
    good = bytes(archive(*GOOD))
    path = tmp_path / "m.keras"
    tail = good.rindex(b"PK\1\2", 0, good.rindex(b"PK\1\2")) - 40
    for at in range(tail, len(good)):
        for data in (good[:at], good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :]):
            path.write_bytes(data)
            try:
                assert open_keras_zip(path).config["class_name"] == "Sequential"
            except (SourceError, UnsupportedError) as error:
                assert "m.keras" in str(error)
