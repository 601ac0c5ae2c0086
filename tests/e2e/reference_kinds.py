"""Saves one model in every kind of file that a reference can run: `python -m tests.e2e.reference_kinds FOLDER`.

A process of its own, since Keras 2 and 3 and graphs of TensorFlow 1 get in each other's way. Two inputs, two outputs, a
batch norm and a dropout; the frozen graph is a smaller one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["KINDS", "main"]

KINDS = {
    "v3.keras": None,
    "v3.h5": None,
    "v3.weights.h5": "v3.json",
    "v2.keras": None,
    "v2.h5": None,
    "v2_weights.h5": "v2.json",
    "v2_checkpoint": "v2.json",
    "v2_saved": None,
    "v3_exported": None,
    "frozen.pb": None,
    "frozen.pbtxt": None,
}
"""By file, the file that is given as its graph."""


def _network(keras: Any) -> Any:
    keras.utils.set_random_seed(1)
    image, side = keras.Input((12, 12, 3), name="image"), keras.Input((4,), name="side")
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(8, 3, name="conv")(image))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.5)(keras.layers.ReLU()(x)))
    x = keras.layers.Concatenate()([x, side])
    ends = [keras.layers.Dense(5, name="scores")(x), keras.layers.Dense(2, activation="softmax", name="pair")(x)]
    model = keras.Model([image, side], ends)
    random = np.random.default_rng(0)
    for weight in model.weights:
        if "moving" in getattr(weight, "path", weight.name):
            weight.assign(random.uniform(0.5, 1.5, tuple(weight.shape)))
    return model


def main(folder: Path) -> None:
    """Writes all of them."""
    import keras
    import tensorflow as tf
    import tf_keras

    current, legacy = _network(keras), _network(tf_keras)
    for name in ("v3.keras", "v3.h5"):
        current.save(folder / name)
    current.save_weights(folder / "v3.weights.h5")
    current.export(folder / "v3_exported")
    (folder / "v3.json").write_text(current.to_json(), encoding="utf-8")
    for name in ("v2.keras", "v2.h5"):
        legacy.save(folder / name)
    legacy.save(folder / "v2_saved", save_format="tf")
    legacy.save_weights(folder / "v2_weights.h5")
    legacy.save_weights(folder / "v2_checkpoint")
    (folder / "v2.json").write_text(legacy.to_json(), encoding="utf-8")
    with tf.Graph().as_default() as graph:
        kernel = tf.constant(np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32))
        tf.nn.softmax(tf.compat.v1.placeholder(tf.float32, (None, 6), name="x") @ kernel, name="y")
    tf.io.write_graph(graph, str(folder), "frozen.pb", as_text=False)
    tf.io.write_graph(graph, str(folder), "frozen.pbtxt", as_text=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
