"""A good Keras model in an .h5 file and in a .keras archive, and edits that make it dangerous or wrong."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

__all__ = ["Config", "Edit", "added_layer", "archive", "config", "full_h5", "members", "v3_weights", "zipped"]

Config = dict[str, Any]
Edit = Callable[[Any, Path], object]
"""Changes an open .h5 file; the folder is where it lies."""

_KERNEL = np.arange(12, dtype=np.float32).reshape(4, 3)
_BIAS = np.array([1, -1, 2], np.float32)


def config() -> Config:
    """One dense layer of three units on four features, as Keras 3 writes it."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4], "dtype": "float32"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "linear"}},
    ]
    return {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}


def added_layer(**layer: Any) -> Config:
    """That model with one more layer at its end."""
    made = copy.deepcopy(config())
    made["config"]["layers"].append(layer)
    return made


def full_h5(path: Path, model_config: str | None = None, edit: Edit | None = None) -> Path:
    """A whole model as one .h5 file."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config()) if model_config is None else model_config
        file.attrs["keras_version"] = "3.15.1"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"d"]
        layer = weights.create_group("d")
        layer.attrs["weight_names"] = [b"d/kernel", b"d/bias"]
        layer["d/kernel"], layer["d/bias"] = _KERNEL, _BIAS
        if edit is not None:
            edit(file, path.parent)
    return path


def v3_weights(edit: Edit | None = None, folder: Path = Path()) -> bytes:
    """The same weights as Keras 3 lays them out in an archive."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = _KERNEL, _BIAS
        if edit is not None:
            edit(file, folder)
    return stream.getvalue()


def members(model_config: Config | None = None, weights: bytes | None = None) -> list[tuple[str, bytes]]:
    """What is in an archive of the whole model, the configuration first."""
    text = json.dumps(config() if model_config is None else model_config).encode()
    version = b'{"keras_version": "3.15.1"}'
    stored = v3_weights() if weights is None else weights
    return [("config.json", text), ("metadata.json", version), ("model.weights.h5", stored)]


def archive(path: Path, model_config: Config | None = None, weights: bytes | None = None) -> Path:
    """A whole model as a .keras archive."""
    return zipped(path, *members(model_config, weights))


def zipped(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip of these members."""
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in members:
            made.writestr(name, data)
    return path
