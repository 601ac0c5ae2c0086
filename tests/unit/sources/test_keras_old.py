"""Files of Keras 2.0 to 2.4 and tf.keras 1.x, as their configurations were written then; and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from exporter.errors import UnsupportedError
from exporter.ir.evaluate import evaluate
from exporter.lower.keras.driver import lower_keras
from exporter.sources.keras_config import read_model
from exporter.sources.keras_files import open_keras
from tests.unit.lower_keras.oracle import keras_of, randomise, relative_error
from tests.unit.sources.test_keras_files import mixed_model

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]

_NOISE = 64 * 2.0**-23
_NEW = ("module", "registered_name", "build_config", "groups", "keepdims", "reset_after")
"""Keys that configurations didn't have at that time."""

Rewrite = Callable[[dict[str, Any]], dict[str, Any]]


def _without_new_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_new_keys(item) for key, item in value.items() if key not in _NEW}
    return [_without_new_keys(item) for item in value] if isinstance(value, list) else value


def _before_2_3(document: dict[str, Any]) -> dict[str, Any]:
    """Plain initializers, `Model` for functional models, no keys of later versions."""
    text = json.dumps(_without_new_keys(document)).replace('"Functional"', '"Model"')
    made: dict[str, Any] = json.loads(text)
    return made


def _bare_list(document: dict[str, Any]) -> dict[str, Any]:
    """A Sequential as Keras 2.0 to 2.2.2 wrote it: the list of its layers, the shape in the first of them."""
    made = _before_2_3(document)
    first, *layers = made["config"]["layers"]
    layers[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
    layers[0]["config"]["dtype"] = "float32"
    return {**made, "config": layers}


def _policies(document: dict[str, Any]) -> dict[str, Any]:
    """dtypes as tf.keras 2.1 to 2.3 wrote mixed precision: objects."""
    made = _before_2_3(document)
    for layer in made["config"]["layers"]:
        if layer["class_name"] != "InputLayer" and "dtype" in layer["config"]:
            layer["config"]["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}
    return made


def _sequential() -> Any:
    layers = keras_of(2).layers
    model = keras_of(2).Sequential(
        [
            layers.Input((8, 8, 3), name="image"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(axis=-1, name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(5, activation="hard_sigmoid", name="dense"),
        ]
    )
    randomise(model)
    return model


def _trained(model: Any) -> Any:
    """With an optimizer that has weights of its own."""
    model.compile("adam", "mse")
    x = np.zeros((1, *model.input_shape[1:]), np.float32)
    model.fit(x, np.zeros((1, *model.output_shape[1:]), np.float32), verbose=0)
    return model


def _save(model: Any, path: Path, rewrite: Rewrite, version: str) -> Path:
    model.save(path)
    with h5py.File(path, "r+") as file:
        document = rewrite(json.loads(file.attrs["model_config"]))
        file.attrs["model_config"] = json.dumps(document)
        file.attrs["keras_version"] = version
    return path


def _error(model: Any, path: Path) -> float:
    lowered = lower_keras(*open_keras(path).complete(), name="model").model
    x = np.random.default_rng(0).normal(0, 1, (2, *model.input_shape[1:])).astype(np.float32)
    (given,) = lowered.graph.inputs
    (found,) = evaluate(lowered, {str(given.name): x}, dtype=np.float32).values()
    return relative_error(found, np.asarray(model(x, training=False)))


@pytest.mark.parametrize(
    ("rewrite", "version"),
    [(_before_2_3, "2.0.8"), (_before_2_3, "2.2.4-tf"), (_bare_list, "2.1.6"), (_policies, "2.4.0")],
)
def test_sequential_models(rewrite: Rewrite, version: str, tmp_path: Path) -> None:
    """Whatever the writing, the numbers are Keras's; the optimizer's weights don't matter."""
    model = _trained(_sequential())
    assert _error(model, _save(model, tmp_path / "m.h5", rewrite, version)) <= _NOISE


def test_functional_models(tmp_path: Path) -> None:
    """With nested, shared and composite layers; GRUs didn't reset after the product then."""
    model = mixed_model(2)
    path = _save(model, tmp_path / "m.h5", lambda document: _after(_before_2_3(document)), "2.2.4")
    assert _error(model, path) <= _NOISE


def _after(document: dict[str, Any]) -> dict[str, Any]:
    """The one new key that this model can't do without."""
    for layer in document["config"]["layers"]:
        if layer["class_name"] == "GRU":
            layer["config"]["reset_after"] = True
    return document


def test_the_hard_sigmoid_is_that_of_keras_2(tmp_path: Path) -> None:
    """Read as of Keras 3, which has another one, the comparison fails."""
    model = _sequential()
    path = _save(model, tmp_path / "m.h5", lambda document: document, "3.0.0")
    assert _error(model, path) > 1e3 * _NOISE


@pytest.mark.parametrize("whole", [True, False])
def test_kernels_of_theano(whole: bool, tmp_path: Path) -> None:
    """They are mirrored; a file that says so is refused, naming the layer, while dense layers mean the same."""
    model = _sequential()
    path, graph = tmp_path / ("m.h5" if whole else "w.h5"), tmp_path / "m.json"
    graph.write_text(model.to_json())
    (model.save if whole else model.save_weights)(path)
    with h5py.File(path, "r+") as file:
        file.attrs["backend"] = "theano"
    with pytest.raises(UnsupportedError, match=r"conv \(Conv2D\).*Theano"):
        open_keras(path, graph_file=None if whole else graph)
    dense = keras_of(2).Sequential([keras_of(2).Input((4,)), keras_of(2).layers.Dense(3)])
    dense.save(tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5", "r+") as file:
        file.attrs["backend"] = "theano"
    assert _error(dense, tmp_path / "d.h5") <= _NOISE


_KERAS_1: list[dict[str, Any]] = [
    {"class_name": "Convolution2D", "config": {"name": "c", "nb_filter": 4, "nb_row": 3, "nb_col": 3}},
    {"class_name": "MaxPooling2D", "config": {"name": "c", "border_mode": "valid", "dim_ordering": "th"}},
    {"class_name": "Dense", "config": {"name": "c", "output_dim": 4}},
    {"class_name": "Merge", "config": {"name": "c", "mode": "concat"}},
]


@pytest.mark.parametrize("layer", _KERAS_1, ids=[layer["class_name"] for layer in _KERAS_1])
def test_keras_1_is_refused(layer: dict[str, Any]) -> None:
    """By the layer, with the way out; nothing is guessed of what its settings meant."""
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 8, 8, 3]}}
    document = {"class_name": "Sequential", "config": [first, copy.deepcopy(layer)]}
    with pytest.raises(UnsupportedError, match=r"layer c .*Keras 1.*Keras 2\.0"):
        read_model(document)


def test_a_file_of_keras_1_is_refused() -> None:
    """By its version, where no setting tells."""
    layers = [{"class_name": "Flatten", "config": {"name": "f", "batch_input_shape": [None, 8, 8]}}]
    with pytest.raises(UnsupportedError, match=r"Keras 1 \(1\.2\.2\)"):
        read_model({"class_name": "Sequential", "config": layers}, version="1.2.2")
