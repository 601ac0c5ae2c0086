"""One model saved in every way that Keras 2 and 3 know: each file gives its weights to the right layers."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.errors import CorruptError, MissingError
from exporter.ir.evaluate import evaluate
from exporter.lower.keras.driver import lower_keras
from exporter.sources.keras_files import open_keras
from tests.unit.lower_keras.oracle import keras_of, randomise, relative_error

__all__ = ["WAYS", "mixed_model"]

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]

Array = np.ndarray[Any, np.dtype[Any]]
_NOISE = 64 * 2.0**-23


def mixed_model(major: int, *, frozen: bool = False) -> Any:
    """All that weights can be mixed up in: nested, shared, composite, without gamma, several of a class."""
    keras = keras_of(major)
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = layers.BatchNormalization(scale=False, name="norm")(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.SeparableConv2D(4, 3, padding="same")(x)
    inner_input = keras.Input((8, 8, 4))
    y = layers.Conv2D(4, 1, name="inside", trainable=not frozen)(inner_input)
    y = layers.BatchNormalization(name="inside_norm", trainable=not frozen)(y)
    y = layers.Conv2D(4, 1, name="inside_too")(y)
    y = layers.PReLU(shared_axes=[1, 2])(y)
    block = keras.Model(inner_input, y, name="block")
    x = layers.Add()([block(x), block(x)])
    steps = layers.Reshape((8, 32))(x)
    steps = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(steps)
    steps = layers.MultiHeadAttention(2, 3)(steps, steps)
    steps = layers.TimeDistributed(layers.Dense(4))(steps)
    steps = layers.GRU(3)(steps)
    tail = keras.Sequential([keras.Input((3,)), layers.Dense(5), layers.Dropout(0.5), layers.Dense(2)], name="tail")
    model = keras.Model(image, tail(steps))
    randomise(model, seed=3)
    return model


def _file(suffix: str) -> Callable[[Any, Path], tuple[Path, Path | None]]:
    def save(model: Any, folder: Path) -> tuple[Path, Path | None]:
        path = folder / f"model{suffix}"
        model.save(path)
        return path, None

    return save


def _weights(suffix: str) -> Callable[[Any, Path], tuple[Path, Path | None]]:
    def save(model: Any, folder: Path) -> tuple[Path, Path | None]:
        path = folder / f"model{suffix}"
        model.save_weights(str(path))
        return path, _config(model, folder)

    return save


def _config(model: Any, folder: Path) -> Path:
    path = folder / "model.json"
    path.write_text(model.to_json())
    return path


def _sharded(model: Any, folder: Path) -> tuple[Path, Path | None]:
    path = folder / "model.weights.json"
    model.save_weights(str(path), max_shard_size=2e-6)
    return path, _config(model, folder)


def _train_checkpoint(model: Any, folder: Path) -> tuple[Path, Path | None]:
    import tensorflow as tf

    prefix = tf.train.Checkpoint(model=model).save(str(folder / "ckpt"))
    return Path(prefix), _config(model, folder)


def _one_of_two(model: Any, folder: Path) -> tuple[Path, Path | None]:
    """A checkpoint of two models, of which the other one comes first and has layers of the same classes."""
    import tensorflow as tf

    keras = importlib.import_module(type(model).__module__.partition(".")[0])
    layers = keras.layers
    other = keras.Sequential([layers.Conv2D(5, 3, input_shape=(8, 8, 3)), layers.BatchNormalization(), layers.Dense(7)])
    prefix = tf.train.Checkpoint(adversary=other, model=model).save(str(folder / "ckpt"))
    return Path(prefix), _config(model, folder)


WAYS: dict[str, tuple[int, Callable[[Any, Path], tuple[Path, Path | None]]]] = {
    "keras2-archive": (2, _file(".keras")),
    "keras2-h5": (2, _file(".h5")),
    "keras2-v3-weights": (2, _weights(".weights.h5")),
    "keras2-h5-weights": (2, _weights("_w.h5")),
    "keras2-tf-weights": (2, _weights("_ckpt")),
    "keras2-tf-checkpoint": (2, _train_checkpoint),
    "keras2-tf-checkpoint-of-two": (2, _one_of_two),
    "keras3-archive": (3, _file(".keras")),
    "keras3-h5": (3, _file(".h5")),
    "keras3-v3-weights": (3, _weights(".weights.h5")),
    "keras3-sharded": (3, _sharded),
    "keras3-tf-checkpoint": (3, _train_checkpoint),
    "keras3-tf-checkpoint-of-two": (3, _one_of_two),
}


def _error(model: Any, path: Path, graph: Path | None) -> float:
    read, weights = open_keras(path, graph_file=graph).complete()
    lowered = lower_keras(read, weights, name="model").model
    x = np.random.default_rng(0).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
    (found,) = evaluate(lowered, {"image": x}, dtype=np.float32).values()
    return relative_error(found, np.asarray(model(x, training=False)))


@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_saving(way: str, frozen: bool, tmp_path: Path) -> None:
    """The weights are found and belong to the right layers, also where some were frozen."""
    major, save = WAYS[way]
    model = mixed_model(major, frozen=frozen)
    path, graph = save(model, tmp_path)
    assert _error(model, path, graph) <= _NOISE


@pytest.mark.parametrize("name", ["first", "second"])
def test_of_twins_the_name_decides(name: str, tmp_path: Path) -> None:
    """Of two models of one architecture the one is taken that the configuration is called like, and that is said."""
    import tensorflow as tf

    keras = keras_of(2)
    twins = {n: keras.Sequential([keras.layers.Dense(4, input_shape=(3,))], name=n) for n in ("first", "second")}
    prefix = tf.train.Checkpoint(**twins).save(str(tmp_path / "ckpt"))
    source = open_keras(Path(prefix), graph_file=_config(twins[name], tmp_path))
    assert source.notes[-1].startswith(f"of the models in the checkpoint (first, second) the weights of {name}")
    _, weights = source.complete()
    (kernel,) = [variable for path, variable in weights.variables.items() if path.endswith("kernel")]
    np.testing.assert_array_equal(kernel.read(), twins[name].layers[0].kernel.numpy())


def _unusual(keras: Any) -> Any:
    """Layers with lists of layers, with weights stored twice, and with kernels of their own at each place."""
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Pipeline([layers.Rescaling(0.5), layers.BatchNormalization(), layers.Dense(4)])(image)
    x = layers.SpectralNormalization(layers.Conv2D(3, 3))(x)
    x = layers.ConvLSTM1D(2, 2)(x)
    cells = [layers.LSTMCell(4), layers.GRUCell(3)]
    return keras.Model(image, layers.RNN(cells)(x))


@pytest.mark.parametrize("save", [_file(".keras"), _file(".h5"), _weights(".weights.h5")])
def test_unusual_layers(save: Any, tmp_path: Path) -> None:
    """Weights in lists, in parts, and in both a part and its whole are found."""
    model = _unusual(keras_of(3))
    randomise(model, seed=4)
    path, graph = save(model, tmp_path)
    assert _error(model, path, graph) <= _NOISE


def test_swapped_weights_are_noticed(tmp_path: Path) -> None:
    """The comparison sees two weights of one shape that changed places."""
    model = mixed_model(3)
    path, graph = _weights(".weights.h5")(model, tmp_path)
    norm = model.get_layer("norm")
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    norm.moving_mean.assign(variance)
    norm.moving_variance.assign(np.abs(mean))
    assert _error(model, path, graph) > 1e3 * _NOISE


@pytest.mark.parametrize("way", ["keras2-h5-weights", "keras3-v3-weights", "keras2-tf-weights", "keras3-sharded"])
def test_weights_alone(way: str, tmp_path: Path) -> None:
    """Without a configuration the tensors are listed, and the error says how to supply one."""
    major, save = WAYS[way]
    path, _ = save(mixed_model(major), tmp_path)
    source = open_keras(path)
    assert len(source.store) > 10
    with pytest.raises(MissingError, match="--graph"):
        source.complete()


def test_configuration_of_another_file(tmp_path: Path) -> None:
    """The configuration may come out of a whole model's file."""
    model = mixed_model(3)
    path, _ = _weights(".weights.h5")(model, tmp_path)
    whole, _ = _file(".keras")(model, tmp_path)
    assert _error(model, path, whole) <= _NOISE


@pytest.mark.parametrize("suffix", [".weights.h5", "_w.h5"])
def test_wrong_configuration(suffix: str, tmp_path: Path) -> None:
    """A configuration that makes other weights is refused, naming the layer."""
    keras = keras_of(2)
    right = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d"), keras.layers.BatchNormalization()])
    wrong = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(2, name="d"), keras.layers.BatchNormalization(scale=False)]
    )
    path, _ = _weights(suffix)(right, tmp_path)
    graph = _config(wrong, tmp_path)
    with pytest.raises(CorruptError, match=r"d/kernel|batch_normalization"):
        lower_keras(*open_keras(path, graph_file=graph).complete(), name="model")
