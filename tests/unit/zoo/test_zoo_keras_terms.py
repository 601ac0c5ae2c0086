"""Weights-only files of Keras, whose models are written down in a Python file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter
import runtime
from exporter.errors import FormatError, UsageError
from exporter.zoo import keras_terms
from exporter.zoo.user_file import keras_configuration

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

_IMPORTS = {
    "terms": "import exporter.zoo.keras_terms as L\nfrom exporter.zoo.keras_terms import Input, Sequential\n",
    "keras": "import keras.layers as L\nfrom keras import Input, Sequential\n",
}
_IMAGES = """
def build():
    chain = [Input((8, 8, 3)), L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(2)]
    return Sequential([*chain, L.Flatten(), L.Dense(5, "relu"), L.Dropout(0.5), L.Dense(2)])
net = build()
"""
_WORDS = """
def build():
    chain = [Input((6,), dtype="int32"), L.Embedding(9, 4), L.Bidirectional(L.LSTM(3, return_sequences=True))]
    return Sequential([*chain, L.TimeDistributed(L.Dense(4)), L.GlobalMaxPooling1D(), L.Dense(2, name="last")])
net = build()
"""
_SAVED = {3: ["a.weights.h5"], 2: ["b.weights.h5", "b.h5", "b_checkpoint"]}


def _file(folder: Path, terms: str, text: str) -> Path:
    path = folder / "nets.py"
    path.write_text(_IMPORTS[terms] + text)
    return path


def _live(major: int, text: str) -> Any:
    """The same model of Keras, with weights at random."""
    from tests.unit.lower_keras.oracle import keras_of, randomise

    keras = keras_of(major)
    keras.backend.clear_session()
    namespace = {"L": keras.layers, "Input": keras.Input, "Sequential": keras.Sequential}
    exec(text, namespace)
    randomise(namespace["net"])
    return namespace["net"]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("major", "name"), [(major, name) for major, names in _SAVED.items() for name in names])
@pytest.mark.parametrize("text", [_IMAGES, _WORDS], ids=["images", "words"])
def test_a_chain_of_layers_gives_the_numbers_of_keras(major: int, name: str, text: str, tmp_path: Path) -> None:
    """From every kind of file that holds only weights; the model's layers are named as Keras names them."""
    pytest.importorskip("tensorflow")
    model = _live(major, text)
    model.save_weights(tmp_path / name)
    arch = f"{_file(tmp_path, 'terms', text)}:net"
    exporter.export(tmp_path / name, tmp_path / "model.onnx", arch=arch)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (3, 6)).astype(np.int32) if text is _WORDS else rng.normal(size=(3, 8, 8, 3)).astype("f")
    expected = np.asarray(model(x, training=False))
    found = np.asarray(runtime.load(tmp_path / "model.npz")(x))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(found[:, ::-1] - expected).max() > 1e-3 * np.abs(expected).max()


@pytest.mark.tensorflow
@pytest.mark.parametrize("attribute", ["net", "build"])
def test_a_model_of_keras_or_a_function_is_taken_too(attribute: str, tmp_path: Path) -> None:
    """Both terms amount to the same files but for the names that differ."""
    pytest.importorskip("tensorflow")
    model = _live(3, _IMAGES)
    model.save_weights(tmp_path / "a.weights.h5")
    arch = f"{_file(tmp_path, 'keras', _IMAGES)}:{attribute}"
    report = exporter.export(tmp_path / "a.weights.h5", tmp_path / "model.onnx", arch=arch)
    assert len(report.batch_norms) == 1
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    assert np.abs(runtime.load(tmp_path / "model.npz")(x) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_names_are_those_of_a_fresh_process() -> None:
    """Each class counts for itself, as its name is in snake case."""
    layers = [keras_terms.Dense(1), keras_terms.MaxPooling2D(), keras_terms.Dense(2), keras_terms.LSTM(3)]
    chain = keras_terms.Sequential([keras_terms.Input((3,)), *layers])
    chain.add(keras_terms.BatchNormalization(epsilon=1e-5))
    config = json.loads(chain.to_json())["config"]["layers"]
    assert [layer["config"]["name"] for layer in config] == [
        "input",
        "dense",
        "max_pooling2d",
        "dense_1",
        "lstm",
        "batch_normalization",
    ]
    assert config[-1]["config"]["epsilon"] == 1e-5


_MISTAKES: dict[str, tuple[str, Callable[[str], str]]] = {
    "an argument too many": ("net = lambda: L.Flatten(1, 2, 3)\n", lambda path: "write the arguments by name"),
    "a mistake in a function": ("def net():\n    return L.Dense(undefined)\n", lambda path: "NameError"),
}


@pytest.mark.parametrize("name", _MISTAKES)
def test_mistakes_in_it_are_told(name: str, tmp_path: Path) -> None:
    """As errors of the file, not of ours."""
    text, words = _MISTAKES[name]
    path = _file(tmp_path, "terms", text)
    with pytest.raises(FormatError, match=words(str(path))):
        keras_configuration(f"{path}:net")


def test_a_graph_beside_it_is_too_much(tmp_path: Path) -> None:
    """Either says what the model is."""
    path = _file(tmp_path, "terms", "net = Sequential([Input((3,)), L.Dense(2)])\n")
    with pytest.raises(UsageError, match="both say what the model is"):
        exporter.export(tmp_path / "a.weights.h5", tmp_path / "a.onnx", graph=path, arch=f"{path}:net")
