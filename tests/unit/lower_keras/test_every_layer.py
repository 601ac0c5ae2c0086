"""Nothing of `keras.layers` or `keras.activations` is forgotten: each is translated, or refused with a reason."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from exporter.errors import UnsupportedError
from exporter.lower.keras.activations import FUNCTIONS
from exporter.lower.keras.driver import lower_keras
from exporter.lower.keras.refusals import REFUSED
from exporter.lower.keras.table import LAYERS
from exporter.sources.keras_config import read_model
from exporter.sources.keras_weights import KerasWeights
from tests.unit.lower_keras import (
    test_keras_attention,
    test_keras_convolution,
    test_keras_layers,
    test_keras_operations,
    test_keras_recurrent,
)
from tests.unit.lower_keras.oracle import keras_of

_NEVER = {"InputLayer"}
"""What the driver itself takes care of."""

_UNSEEN = {
    "BatchNormalizationV1": "the name that TensorFlow 1 wrote; lowered by the same function",
    "BatchNormalizationV2": "likewise",
    "CuDNNGRU": "runs on a GPU only; tested with converted weights",
    "CuDNNLSTM": "likewise",
    "Equalization": "does nothing at inference, and Keras itself can't connect a layer that gives back its very input",
    "GroupedQueryAttention": "the class's own name; configurations have the public one, GroupQueryAttention",
    "LayerScale": "of ConvNeXt; tested with keras.applications",
    "PruneLowMagnitude": "a wrapper of another package; tested with its files",
    "StochasticDepth": "of ConvNeXt; tested with keras.applications",
}
"""Translations that no case of these tests uses, and why."""


def _classes(keras: Any) -> set[str]:
    """The names that configurations have for the public layers."""
    found = [getattr(keras.layers, name) for name in dir(keras.layers)]
    return {each.__name__ for each in found if inspect.isclass(each) and issubclass(each, keras.layers.Layer)}


@pytest.mark.tensorflow
@pytest.mark.parametrize("major", [2, 3])
def test_every_layer_is_translated_or_refused(major: int) -> None:
    """Whatever Keras has as a public layer is in one of the two tables."""
    names = _classes(keras_of(major))
    assert len(names) > 110
    assert not names - LAYERS.keys() - REFUSED.keys() - _NEVER


@pytest.mark.tensorflow
@pytest.mark.parametrize("major", [2, 3])
def test_every_activation_is_translated(major: int) -> None:
    """Each function of keras.activations, but for one that can't be named without its numbers."""
    activations = keras_of(major).activations
    names = {name for name in dir(activations) if inspect.isfunction(getattr(activations, name))}
    assert names - FUNCTIONS.keys() - {"deserialize", "get", "serialize"} <= {"threshold"}


def test_no_layer_is_in_both_tables() -> None:
    """What is translated isn't refused."""
    assert not LAYERS.keys() & REFUSED.keys()


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_every_translation_is_compared_with_keras() -> None:
    """Each class of the table is in a model that is compared with Keras's own numbers."""
    themes = (
        test_keras_attention,
        test_keras_convolution,
        test_keras_layers,
        test_keras_operations,
        test_keras_recurrent,
    )
    seen: set[str] = set()
    for case in (case for theme in themes for case in theme.CASES):
        for major in case.majors:
            seen |= _named(case.model(major).get_config())
    own = {name for name in LAYERS if ":" not in name}
    left = own - seen - _short_names()
    assert left == _UNSEEN.keys(), sorted(left ^ _UNSEEN.keys())


def _short_names() -> set[str]:
    """Other names of public layers, as MaxPool2D of MaxPooling2D: configurations don't have them."""
    found = [(name, getattr(keras_of(major).layers, name)) for major in (2, 3) for name in dir(keras_of(major).layers)]
    return {name for name, each in found if inspect.isclass(each) and each.__name__ != name}


def _named(config: Any) -> set[str]:
    """Every class name in a configuration."""
    if isinstance(config, dict):
        here = {config["class_name"]} if isinstance(config.get("class_name"), str) else set()
        return here.union(*(_named(value) for value in config.values()))
    if isinstance(config, list | tuple):
        return set().union(*(_named(item) for item in config))
    return set()


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_why(name: str) -> None:
    """One error with the layer, its class and the reason."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4]}},
        {"module": "keras.layers", "class_name": name, "config": {"name": "mine"}},
    ]
    model = read_model({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
    with pytest.raises(UnsupportedError) as caught:
        lower_keras(model, KerasWeights("nothing", {}), name="s")
    assert f"layer mine ({name}) {REFUSED[name]}" in str(caught.value)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")  # Keras's own
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantised_models_are_refused(mode: str) -> None:
    """By their layer and mode, before a weight is taken for another one."""
    keras = keras_of(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")])
    model.quantize(mode)
    with pytest.raises(UnsupportedError, match=rf"layer d \(Dense\) is quantised \({mode}"):
        read_model(keras.saving.serialize_keras_object(model))
