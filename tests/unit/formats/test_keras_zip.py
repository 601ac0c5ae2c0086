"""Keras v3 archives."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from exporter.errors import FormatError, MissingError, UnsupportedError
from exporter.formats.keras_zip import open_keras_zip

KERNEL = np.arange(6, dtype=np.float32)


def weights() -> bytes:
    """A file of weights."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = KERNEL
    return stream.getvalue()


def write(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """An archive of these members."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


CONFIG = json.dumps({"class_name": "Sequential"}).encode()
METADATA = json.dumps({"keras_version": "3.0.0"}).encode()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archive(method: int, tmp_path: Path) -> None:
    """Configuration, metadata and weights, stored or compressed."""
    members = {"metadata.json": METADATA, "config.json": CONFIG, "model.weights.h5": weights(), "assets/a.txt": b"a"}
    archive = open_keras_zip(write(tmp_path / "m.keras", members, method))
    assert archive.config == {"class_name": "Sequential"}
    assert archive.metadata == {"keras_version": "3.0.0"}
    assert archive.members == tuple(members)
    np.testing.assert_array_equal(archive.weights().read("layers/dense/vars/0"), KERNEL)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """An archive without configuration, without weights, or with weights of another kind; and no archive at all."""
    with pytest.raises(MissingError, match=r"no member config\.json.*other"):
        open_keras_zip(write(tmp_path / "m.keras", {"other": b""}))
    archive = open_keras_zip(write(tmp_path / "m.keras", {"config.json": CONFIG}))
    assert archive.metadata == {}
    with pytest.raises(MissingError, match=r"m\.keras, member model\.weights\.h5"):
        archive.weights()
    archive = open_keras_zip(write(tmp_path / "m.keras", {"config.json": CONFIG, "model.weights.npz": b""}))
    with pytest.raises(UnsupportedError, match="npz"):
        archive.weights()
    (tmp_path / "m.keras").write_bytes(weights())
    with pytest.raises(FormatError, match="zip"):
        open_keras_zip(tmp_path / "m.keras")
