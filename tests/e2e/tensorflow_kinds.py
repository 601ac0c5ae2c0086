"""Makes one model file of each kind that TensorFlow writes besides checkpoints with a .meta.

    TF_USE_LEGACY_KERAS=1 python -m tests.e2e.tensorflow_kinds FOLDER KIND

writes `FOLDER/model...` and `FOLDER/data.npz` with inputs and TensorFlow's own outputs at inference.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["KINDS", "network", "randomise", "save_arrays"]


def randomise(model: Any, seed: int = 0) -> None:
    """Every weight and statistic gets a value that is none of the usual ones."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.uniform(0.1, 0.6, weight.shape))


def network() -> Any:
    """Convolution, batch norm with and without gamma, depthwise convolution, dropout, dense."""
    import tensorflow as tf

    layers = tf.keras.layers
    x = tf.keras.Input((12, 12, 3), name="image")
    y = layers.Conv2D(6, 3, strides=2, padding="same")(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization(scale=False)(layers.DepthwiseConv2D(3)(y))
    y = layers.GlobalAveragePooling2D()(layers.Dropout(0.5)(y))
    return tf.keras.Model(x, layers.Dense(4, name="logits")(y))


def _images() -> Any:
    return np.random.default_rng(1).standard_normal((3, 12, 12, 3)).astype(np.float32)


def save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """An .npz of named arrays."""
    np.savez(path, **arrays)


def _record(folder: Path, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    named = {f"input/{name}": value for name, value in inputs.items()}
    save_arrays(folder / "data.npz", named | {f"output/{name}": value for name, value in outputs.items()})


def _record_signature(folder: Path, inputs: dict[str, Any]) -> None:
    """What the saved file itself computes, loaded again."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / "model"))
    given = {name: tf.constant(value) for name, value in inputs.items()}
    outputs = loaded.signatures["serving_default"](**given)
    _record(folder, inputs, {name: value.numpy() for name, value in outputs.items()})


def functional(folder: Path) -> None:
    """tf.saved_model.save of a functional model."""
    import tensorflow as tf

    model = network()
    randomise(model)
    tf.saved_model.save(model, str(folder / "model"))
    _record_signature(folder, {"image": _images()})


def keras3_export(folder: Path) -> None:
    """Keras 3's own `model.export`, which writes batch norm as arithmetic."""
    model = network()
    randomise(model)
    model.export(str(folder / "model"))
    _record_signature(folder, {"image": _images()})


def subclassed(folder: Path) -> None:
    """A model class with a `training` argument."""
    import tensorflow as tf

    class Net(tf.keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = tf.keras.layers.Dense(5)
            self.norm = tf.keras.layers.BatchNormalization()
            self.last = tf.keras.layers.Dense(3)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.last(tf.nn.leaky_relu(self.norm(self.first(x), training=training)))

    model = Net()
    x = np.random.default_rng(2).standard_normal((4, 7)).astype(np.float32)
    model(x)
    randomise(model)
    tf.saved_model.save(model, str(folder / "model"))
    _record_signature(folder, {"input_1": x})


def module(folder: Path) -> None:
    """A tf.Module with two signatures, a nested function call and an integer output."""
    import tensorflow as tf

    class Net(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            random = np.random.default_rng(3)
            self.w = tf.Variable(random.standard_normal((7, 5)).astype(np.float32))
            self.b = tf.Variable(random.standard_normal(5).astype(np.float32))

        @tf.function  # type: ignore[untyped-decorator]
        def product(self, x: Any) -> Any:
            return tf.linalg.matmul(x, self.w) + self.b

        @tf.function(input_signature=[tf.TensorSpec([None, 7], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def scores(self, x: Any) -> Any:
            y = self.product(x)
            return {"scores": tf.nn.softmax(y), "best": tf.argmax(y, 1)}

        @tf.function(input_signature=[tf.TensorSpec([None, 7], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def raw(self, x: Any) -> Any:
            return {"raw": self.product(x)}

    net = Net()
    signatures = {"raw": net.raw, "serving_default": net.scores}
    tf.saved_model.save(net, str(folder / "model"), signatures=signatures)
    _record_signature(folder, {"x": np.random.default_rng(4).standard_normal((4, 7)).astype(np.float32)})


def object_checkpoint(folder: Path) -> None:
    """tf.train.Checkpoint with an optimizer, and a SavedModel of other weights that gives the graph."""
    import tensorflow as tf

    model = network()
    tf.saved_model.save(model, str(folder / "graph"))
    randomise(model)
    tf.train.Checkpoint(net=model, optimizer=tf.keras.optimizers.Adam()).save(str(folder / "model" / "ckpt"))
    images = _images()
    _record(folder, {"image": images}, {"logits": model(images, training=False).numpy()})


def save_weights(folder: Path) -> None:
    """model.save_weights in TensorFlow's format, and a SavedModel that gives the graph."""
    import tensorflow as tf

    model = network()
    tf.saved_model.save(model, str(folder / "graph"))
    randomise(model)
    model.save_weights(str(folder / "model" / "weights"))
    images = _images()
    _record(folder, {"image": images}, {"logits": model(images, training=False).numpy()})


def _flat_graph(training: Any) -> tuple[Any, Any]:
    """A TF1 graph: convolution, batch norm, dense."""
    import tensorflow.compat.v1 as tf

    x = tf.placeholder(tf.float32, [None, 12, 12, 3], name="image")
    y = tf.layers.conv2d(x, 6, 3, name="conv")
    y = tf.nn.relu(tf.layers.batch_normalization(y, training=training, name="bn"))
    return x, tf.layers.dense(tf.layers.flatten(y), 4, name="logits")


def _session(tf: Any) -> Any:
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    random = np.random.default_rng(5)
    for variable in tf.global_variables():
        variable.load(random.uniform(0.1, 0.6, variable.shape.as_list()).astype(np.float32), session)
    return session


def _in_graph(folder: Path, save: Callable[[Any, Any, Any, Any], None], *, placeholder: bool) -> None:
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    training = tf.placeholder(tf.bool, [], name="is_training") if placeholder else False
    x, y = _flat_graph(training)
    with _session(tf) as session:
        images = _images()
        feeds = {x: images, training: False} if placeholder else {x: images}
        _record(folder, {"image": images}, {y.op.name: session.run(y, feeds)})
        save(tf, session, x, y)


def simple_save(folder: Path) -> None:
    """TF1's tf.saved_model.simple_save of a training graph, with the flag among the signature's inputs."""

    def save(tf: Any, session: Any, x: Any, y: Any) -> None:
        flag = tf.get_default_graph().get_tensor_by_name("is_training:0")
        inputs = {"x": x, "flag": flag}
        tf.saved_model.simple_save(session, str(folder / "model"), inputs, {"y": y})

    _in_graph(folder, save, placeholder=True)


def several_meta_graphs(folder: Path) -> None:
    """TF1's builder: a meta graph for training and one for serving, as text."""

    def save(tf: Any, session: Any, x: Any, y: Any) -> None:
        builder = tf.saved_model.Builder(str(folder / "model"))
        signature = tf.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["train"])
        builder.add_meta_graph(["serve"], signature_def_map={"serving_default": signature})
        builder.save(as_text=True)

    _in_graph(folder, save, placeholder=False)


def frozen(folder: Path) -> None:
    """A GraphDef with its variables as constants."""

    def save(tf: Any, session: Any, x: Any, y: Any) -> None:
        graph = tf.graph_util.convert_variables_to_constants(session, session.graph_def, [y.op.name])
        (folder / "model").mkdir()
        (folder / "model" / "frozen.pb").write_bytes(graph.SerializeToString())

    _in_graph(folder, save, placeholder=False)


def optimized(folder: Path) -> None:
    """A frozen GraphDef in which TensorFlow's optimize_for_inference has folded a batch norm its own way."""

    def save(tf: Any, session: Any, x: Any, y: Any) -> None:
        from tensorflow.python.tools import optimize_for_inference_lib as lib

        graph = tf.graph_util.convert_variables_to_constants(session, session.graph_def, [y.op.name])
        graph = lib.optimize_for_inference(graph, [x.op.name], [y.op.name], tf.float32.as_datatype_enum)
        assert not any(node.op.startswith("FusedBatchNorm") for node in graph.node)
        (folder / "model").mkdir()
        (folder / "model" / "frozen.pb").write_bytes(graph.SerializeToString())

    _in_graph(folder, save, placeholder=False)


def old_ops(folder: Path) -> None:
    """A frozen GraphDef of TensorFlow 0.x: producer 8, whose batch norm is an op that later versions took away."""
    import tensorflow.compat.v1 as tf
    from tensorflow.python.framework import importer

    tf.disable_v2_behavior()
    random = np.random.default_rng(7)
    graph = tf.GraphDef()
    graph.versions.producer = 8
    with tf.Graph().as_default() as made:
        x = tf.placeholder(tf.float32, [None, 12, 12, 3], name="image")
        kernel = random.normal(size=(3, 3, 3, 6)).astype(np.float32)
        tf.nn.conv2d(x, tf.constant(kernel), 1, "SAME", name="conv")
        for name in ("mean", "variance", "beta", "gamma"):
            tf.constant(random.uniform(0.2, 2, 6).astype(np.float32), name=name)
    graph.node.extend(made.as_graph_def().node)
    for name, scaled in (("scaled", True), ("plain", False)):
        node = graph.node.add(name=name, op="BatchNormWithGlobalNormalization")
        node.input.extend(["conv", "mean", "variance", "beta", "gamma"])
        node.attr["T"].type = tf.float32.as_datatype_enum
        node.attr["variance_epsilon"].f = 0.01
        node.attr["scale_after_normalization"].b = scaled
    with tf.Graph().as_default() as read, tf.Session() as session:
        importer.import_graph_def(graph, name="")
        images, names = _images(), ["plain", "scaled"]
        found = session.run([read.get_tensor_by_name(f"{name}:0") for name in names], {"image:0": images})
    _record(folder, {"image": images}, dict(zip(names, found, strict=True)))
    (folder / "model").mkdir()
    (folder / "model" / "frozen.pb").write_bytes(graph.SerializeToString())


def frozen_training_graph(folder: Path) -> None:
    """A frozen GraphDef with the flag still in it, as text."""

    def save(tf: Any, session: Any, x: Any, y: Any) -> None:
        graph = tf.graph_util.convert_variables_to_constants(session, session.graph_def, [y.op.name])
        (folder / "model").mkdir()
        (folder / "model" / "frozen.pbtxt").write_text(str(graph))

    _in_graph(folder, save, placeholder=True)


def weights_and_graph_def(folder: Path) -> None:
    """A checkpoint without .meta, and the training graph as a GraphDef."""

    def save(tf: Any, session: Any, x: Any, y: Any) -> None:
        tf.train.Saver().save(session, str(folder / "model" / "ckpt"), write_meta_graph=False)
        (folder / "graph").mkdir()
        (folder / "graph" / "graph.pb").write_bytes(session.graph_def.SerializeToString())

    _in_graph(folder, save, placeholder=True)


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "SavedModel (TF2): functional": (functional, "1"),
    "SavedModel (TF2): subclassed": (subclassed, "1"),
    "SavedModel (TF2): tf.Module": (module, "1"),
    "SavedModel (TF2): Keras 3 export": (keras3_export, "0"),
    "SavedModel (TF1): simple_save": (simple_save, "1"),
    "SavedModel (TF1): several meta graphs, text": (several_meta_graphs, "1"),
    "TF2 checkpoint + SavedModel": (object_checkpoint, "1"),
    "save_weights (TensorFlow format) + SavedModel": (save_weights, "1"),
    "Frozen GraphDef": (frozen, "1"),
    "Frozen GraphDef of training, text": (frozen_training_graph, "1"),
    "Frozen GraphDef after optimize_for_inference": (optimized, "1"),
    "Frozen GraphDef of TensorFlow 0.x": (old_ops, "1"),
    "Weights-only checkpoint + GraphDef": (weights_and_graph_def, "1"),
}
"""What makes each kind, and whether it takes the Keras of TensorFlow 2.15 and before."""


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    KINDS[sys.argv[2]][0](target)
