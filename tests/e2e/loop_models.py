"""Makes SavedModels with loops: Keras layers over time, tf.map_fn, tf.scan, Python loops over tensors.

    TF_USE_LEGACY_KERAS=1 python -m tests.e2e.loop_models FOLDER

makes those of Keras 2, with 0 those of Keras 3 and those without Keras: for each `FOLDER/NAME/model`, and in `data.npz`
and `other.npz` inputs, of two batches and lengths, with TensorFlow's own outputs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.tensorflow_kinds import save_arrays

__all__ = ["FUNCTIONS", "KERAS", "main"]

_WIDTH = 4


def _layers() -> Any:
    import tensorflow as tf

    return tf.keras.layers


def lstm() -> list[Any]:
    """The last result."""
    return [_layers().LSTM(5), _layers().Dense(2)]


def stacked() -> list[Any]:
    """Layers with dropout, other activations."""
    first = _layers().LSTM(5, return_sequences=True, dropout=0.3, recurrent_dropout=0.2)
    return [first, _layers().LSTM(3, recurrent_activation="sigmoid", activation="relu"), _layers().Dropout(0.5)]


def gru() -> list[Any]:
    """Both forms of the cell."""
    return [_layers().GRU(5, return_sequences=True, reset_after=False), _layers().GRU(3)]


def bidirectional() -> list[Any]:
    """All results, and the last."""
    bidirectional = _layers().Bidirectional
    return [bidirectional(_layers().LSTM(3, return_sequences=True)), bidirectional(_layers().GRU(2))]


def masking() -> list[Any]:
    """Steps of zeros are skipped."""
    return [_layers().Masking(0.0), _layers().LSTM(5, return_sequences=True), _layers().GRU(3)]


def backwards() -> list[Any]:
    """From the last step to the first."""
    return [_layers().SimpleRNN(5, go_backwards=True, return_sequences=True)]


def cells() -> list[Any]:
    """Two cells in one loop."""
    return [_layers().RNN([_layers().LSTMCell(4), _layers().GRUCell(3)], return_sequences=True)]


KERAS: dict[str, Callable[[], list[Any]]] = {
    maker.__name__: maker for maker in (backwards, bidirectional, cells, gru, lstm, masking, stacked)
}


def mapped(kernel: Any, x: Any) -> Any:
    """tf.map_fn."""
    import tensorflow as tf

    return tf.map_fn(lambda row: tf.matmul(row, kernel), x)


def scanned(kernel: Any, x: Any) -> Any:
    """tf.scan, whose first result is there before the loop."""
    import tensorflow as tf

    return tf.scan(lambda before, row: tf.tanh(tf.matmul(before + row, kernel)), tf.transpose(x, [1, 0, 2]))


def ranged(kernel: Any, x: Any) -> Any:
    """A Python loop over tf.range that writes a TensorArray."""
    import tensorflow as tf

    state, steps = tf.zeros_like(x[:, 0]), tf.TensorArray(tf.float32, size=tf.shape(x)[1])
    for i in tf.range(tf.shape(x)[1]):
        state = tf.tanh(tf.matmul(state + x[:, i], kernel))
        steps = steps.write(i, state)
    return tf.transpose(steps.stack(), [1, 0, 2])


def growing(kernel: Any, x: Any) -> Any:
    """A TensorArray that grows, and a condition on data in each step."""
    import tensorflow as tf

    state, steps = tf.zeros_like(x[:, 0]), tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in tf.range(tf.shape(x)[1] - 1):
        state = tf.tanh(tf.matmul(state + x[:, i + 1], kernel))
        if tf.reduce_sum(state) > 0.0:
            state = -0.5 * state
        steps = steps.write(i, state)
    return tf.transpose(steps.stack(), [1, 0, 2])


def broken_off(kernel: Any, x: Any) -> Any:
    """A while loop on data with a break."""
    import tensorflow as tf

    y, count = x[:, 0], 0
    while tf.reduce_sum(tf.abs(y)) > 1.0:
        y = tf.matmul(y, 0.3 * kernel)
        count += 1
        if count > 20:
            break
    return y + tf.cast(count, tf.float32)


def strided(kernel: Any, x: Any) -> Any:
    """Every second step, by a counter that isn't the number of the step."""
    import tensorflow as tf

    y = x[:, 0]
    for i in tf.range(1, 4, 2):
        y = tf.matmul(y + x[:, i] * tf.cast(i, tf.float32), kernel)
    return y


def nested(kernel: Any, x: Any) -> Any:
    """A loop over steps in a loop over steps."""
    import tensorflow as tf

    total = tf.zeros_like(x[:, 0])
    for i in tf.range(tf.shape(x)[1]):
        part = x[:, i]
        for j in tf.range(i):
            part = tf.tanh(part - tf.matmul(x[:, j], kernel))
        total += part
    return total


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    function.__name__: function for function in (broken_off, growing, mapped, nested, ranged, scanned, strided)
}


def _inputs(batch: int, steps: int) -> Any:
    x = np.random.default_rng(batch).standard_normal((batch, steps, _WIDTH)).astype(np.float32)
    x[0, steps - 2 :] = 0  # masked, where there is a mask
    return x


def _record(folder: Path) -> None:
    import tensorflow as tf

    function = tf.saved_model.load(str(folder / "model")).signatures["serving_default"]
    for name, (batch, steps) in {"data": (3, 6), "other": (2, 4)}.items():
        x = _inputs(batch, steps)
        outputs = {key: value.numpy() for key, value in function(x=tf.constant(x)).items()}
        save_arrays(folder / f"{name}.npz", {"input/x": x} | {f"output/{key}": y for key, y in outputs.items()})


def _save_keras(folder: Path, maker: Callable[[], list[Any]], *, legacy: bool) -> None:
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((None, _WIDTH), name="x"), *maker()])
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(weight + 0.2 * random.standard_normal(weight.shape))
    if not legacy:
        model.export(str(folder / "model"), verbose=False)
        return
    spec = tf.TensorSpec([None, None, _WIDTH], tf.float32, "x")
    call = tf.function(lambda x: {"y": model(x, training=False)}, input_signature=[spec])
    tf.saved_model.save(model, str(folder / "model"), signatures=call)


def _save_function(folder: Path, function: Callable[[Any, Any], Any]) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.kernel = tf.Variable(np.random.default_rng(0).standard_normal((_WIDTH, _WIDTH)).astype(np.float32))
    spec = tf.TensorSpec([None, None, _WIDTH], tf.float32, "x")
    module.call = tf.function(partial(function, module.kernel), input_signature=[spec])
    tf.saved_model.save(module, str(folder / "model"), signatures=module.call)


def main(folder: Path) -> None:
    """Makes all of them for the Keras that is chosen."""
    legacy = os.environ.get("TF_USE_LEGACY_KERAS") == "1"
    for name, maker in KERAS.items():
        _save_keras(folder / f"{name}_keras{2 if legacy else 3}", maker, legacy=legacy)
    for name, function in ({} if legacy else FUNCTIONS).items():
        _save_function(folder / name, function)
    for made in sorted(folder.iterdir()):
        if not (made / "data.npz").exists():
            _record(made)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
