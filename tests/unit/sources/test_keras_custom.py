"""Classes and functions of a person's own, wrappers around layers, and models in parts: what they are at inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter
from exporter.errors import UnsupportedError, UsageError
from tests.e2e.engines import ENGINES
from tests.unit.lower_keras.oracle import keras_of, outputs_of, randomise, relative_error

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]  # Keras's own

_X = np.random.default_rng(0).normal(0, 1, (3, 6, 6, 3)).astype(np.float32)
_CUSTOM = {"FixedDropout": "Dropout", "Batches": "BatchNormalization", "Swish": "swish", "twice_swish": "swish"}


def _same(model: Any, source: Path, out: Path, **options: Any) -> None:
    """The exported numbers are the model's."""
    exporter.export(source, out, **options)
    (expected,) = outputs_of(model, [_X])
    for engine, run in ENGINES.items():
        name = getattr(model.outputs[0], "_keras_history")[0].name  # noqa: B009 - Keras has no public name for it
        (found,) = run(out, {"image": _X}, [name]).values()
        assert relative_error(found, expected) < 1e-5, engine


def _own_classes(keras: Any) -> Any:
    layers = keras.layers

    class FixedDropout(layers.Dropout):  # type: ignore[misc, name-defined]
        pass

    class Batches(layers.BatchNormalization):  # type: ignore[misc, name-defined]
        pass

    class Swish(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * (keras.ops if hasattr(keras, "ops") else keras.backend).sigmoid(x)

    def twice_swish(x: Any) -> Any:
        return x * (keras.ops if hasattr(keras, "ops") else keras.backend).sigmoid(x)

    image = keras.Input((6, 6, 3), name="image")
    x = FixedDropout(0.5)(layers.Conv2D(4, 3, activation=twice_swish)(image))
    x = layers.Conv2D(4, 1)(Swish()(Batches()(x)))
    x = layers.BatchNormalization()(Batches(epsilon=0.1)(x))
    model = keras.Model(image, layers.Dense(2, name="end")(layers.GlobalAveragePooling2D()(x)))
    randomise(model)
    return model


@pytest.mark.parametrize("kind", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("major", [2, 3])
def test_classes_are_what_a_person_says(major: int, kind: str, tmp_path: Path) -> None:
    """Subclasses, a layer that is an activation and a function, in every kind of file, weights by number as well."""
    model, path, graph = _own_classes(keras_of(major)), tmp_path / f"model{kind}", None
    if kind == ".weights.h5":
        model.save_weights(path)
        graph = tmp_path / "model.json"
        graph.write_text(model.to_json())
    else:
        model.save(path)
    with pytest.raises(UnsupportedError, match=r"FixedDropout.*--custom"):
        exporter.export(path, tmp_path / "m.onnx", graph=graph)
    _same(model, path, tmp_path / "m.onnx", graph=graph, custom=_CUSTOM)
    assert exporter.verify_model(tmp_path / "m.onnx", against=path, graph=graph)


@pytest.mark.parametrize(
    ("custom", "words"),
    [
        ({"FixedDropout": "Dropuot"}, "Did you mean Dropout"),
        ({"FixdDropout": "Dropout"}, "nothing in the configuration is called so. In it are .*FixedDropout"),
    ],
)
def test_names_that_arent_there(custom: dict[str, str], words: str, tmp_path: Path) -> None:
    """A layer that Keras hasn't got, and a class that the model hasn't got, are told."""
    model = _own_classes(keras_of(3))
    model.save(tmp_path / "model.keras")
    with pytest.raises(UsageError, match=words):
        exporter.export(tmp_path / "model.keras", tmp_path / "m.onnx", custom=custom)


def _pruned(keras: Any) -> Any:
    """A model as tensorflow_model_optimization makes it: its wrapper's configuration and weights."""
    layers = keras.layers

    class PruneLowMagnitude(layers.Wrapper):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            super().build(shape)
            for weight in list(self.layer.trainable_weights)[:1]:
                self.mask = self.add_weight(name="mask", shape=weight.shape, trainable=False, initializer="ones")
            self.threshold = self.add_weight(name="threshold", shape=(), trainable=False)
            self.pruning_step = self.add_weight(name="pruning_step", shape=(), trainable=False)

        def call(self, x: Any) -> Any:
            return self.layer(x)

    image = keras.Input((6, 6, 3), name="image")
    x = PruneLowMagnitude(layers.Conv2D(4, 3, name="conv"), name="prune_conv")(image)
    x = PruneLowMagnitude(layers.DepthwiseConv2D(2), name="prune_depthwise")(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, PruneLowMagnitude(layers.Dense(2), name="prune_end")(x))
    randomise(model)
    return model


@pytest.mark.parametrize("kind", [".keras", ".h5", ".weights.h5", ""])
def test_pruned_layers_are_the_layers_inside(kind: str, tmp_path: Path) -> None:
    """Whatever lies beside their weights: masks, thresholds and steps."""
    import tensorflow as tf

    model, path, graph = _pruned(keras_of(2)), tmp_path / f"model{kind}", None
    if kind in (".keras", ".h5"):
        model.save(path)
    else:
        graph = tmp_path / "model.json"
        graph.write_text(model.to_json())
        if kind:
            model.save_weights(path)
        else:
            path = Path(tf.train.Checkpoint(model=model).save(str(tmp_path / "ckpt")))
    _same(model, path, tmp_path / "m.onnx", graph=graph)


def _single(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((6, 6, 3), name="image")
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(2, name="end")(layers.GlobalAveragePooling2D()(x)), name="model_1")
    randomise(model)
    return model


def _get_slice(data: Any, i: int, parts: int) -> Any:
    import tensorflow as tf

    size = tf.shape(data)[0] // parts
    return data[size * i :] if i == parts - 1 else data[size * i : size * (i + 1)]


def _parallel(keras: Any, single: Any) -> Any:
    """What `multi_gpu_model` makes of a model: a Lambda cuts each part out of the batch, the results are joined."""
    layers = keras.layers
    image = keras.Input((6, 6, 3), name="image")

    towers = [single(layers.Lambda(_get_slice, arguments={"i": i, "parts": 3})(image)) for i in range(3)]
    return keras.Model(image, layers.Concatenate(axis=0, name="end")(towers))


def test_a_model_in_parts_is_the_model_inside(tmp_path: Path) -> None:
    """The file of the whole, its weights with the configuration of the model inside, and at any batch."""
    keras = keras_of(2)
    single = _single(keras)
    parallel = _parallel(keras, single)
    parallel.save(tmp_path / "whole.h5")
    exporter.export(tmp_path / "whole.h5", tmp_path / "whole.onnx")
    (expected,) = outputs_of(single, [_X])
    for engine, run in ENGINES.items():
        (found,) = run(tmp_path / "whole.onnx", {"image": _X[:2]}, ["model_1"]).values()
        assert relative_error(found, expected[:2]) < 1e-5, engine
    parallel.save_weights(tmp_path / "parallel.h5")
    (tmp_path / "single.json").write_text(single.to_json())
    _same(single, tmp_path / "parallel.h5", tmp_path / "single.onnx", graph=tmp_path / "single.json")


def test_parts_that_arent_joined_again_stay_what_they_are(tmp_path: Path) -> None:
    """Two of three parts of the batch, or the sum of them, are no model over the whole batch: a Lambda is refused."""
    keras = keras_of(2)
    whole = _parallel(keras, _single(keras))
    first, second, _ = whole.get_layer("end").input
    image, join = whole.inputs[0], keras.layers.Concatenate(axis=0)([first, second])
    for number, end in enumerate((join, keras.layers.Add()([first, second]))):
        keras.Model(image, end).save(tmp_path / f"{number}.h5")
        with pytest.raises(UnsupportedError, match="Lambda"):
            exporter.export(tmp_path / f"{number}.h5", tmp_path / "m.onnx")
