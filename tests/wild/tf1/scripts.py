"""Writes the graph of a specification: pipeline, layers, head, loss, and all that stands beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Flag, Model
from tests.wild.family import Spec
from tests.wild.tf1.parts import Script

__all__ = ["write"]

_CLASSES, _BATCH, _TOKENS = 3, 8, 11


def write(spec: Spec, training: bool) -> Model:
    """The graph as its author would have written it for training, or for inference."""
    value, flags = _flag(spec["flag"], training)
    script = Script(training, value, flags)
    x, labels, given = _pipeline(spec, training)
    h = x
    if spec["kind"] == "tokens":
        h = tf.nn.embedding_lookup(tf.get_variable("embeddings", [_TOKENS, 4]), h)
    elif spec["pipeline"] == "scaled":
        h = (tf.cast(h, tf.float32) - 100.0) / 50.0
    for layer in spec["layers"]:
        h = script.layer(layer, h)
    h = _pooled(spec["pool"], h)
    for layer in spec["top"]:
        h = script.layer(layer, h)
    logits = tf.layers.dense(h, _CLASSES, name="logits")
    result = _head(spec["head"], logits)
    train = _train(spec, logits, result, labels, x)
    return Model(inputs=[given], outputs=[result], train=train, flags=script.flags)


def _flag(kind: str, training: bool) -> tuple[Any, list[Flag]]:
    if kind == "constant":
        return training, []
    if kind == "placeholder":
        tensor = tf.placeholder(tf.bool, [], "is_training")
    else:
        tensor = tf.placeholder_with_default(kind == "default_true", [], "is_training")
    return tensor, [Flag(tensor, True, False)]


def _shape(spec: Spec) -> list[int]:
    size = spec["size"]
    return {"images": [size, size + 1, 3], "vectors": [size], "tokens": [size], "series": [size, 3]}[spec["kind"]]


def _dtype(spec: Spec) -> Any:
    if spec["kind"] == "tokens":
        return tf.int32
    return tf.uint8 if spec["pipeline"] == "scaled" else tf.float32


def _pipeline(spec: Spec, training: bool) -> tuple[Any, Any, Any]:
    """The data, the labels, and the tensor that is the model's input."""
    shape, dtype, how = _shape(spec), _dtype(spec), spec["pipeline"]
    if how in ("placeholder", "scaled", "fixed") or not training:
        batch = _BATCH if how == "fixed" else None
        x = tf.placeholder(dtype, [batch, *shape], "x")
        return x, tf.placeholder(tf.int64, [batch], "labels"), x
    rng = np.random.default_rng(spec["seed"])
    if dtype == tf.int32:
        rows = rng.integers(0, _TOKENS, (16, *shape)).astype(np.int32)
    else:
        rows = rng.normal(size=(16, *shape)).astype(np.float32)
    classes = rng.integers(0, _CLASSES, 16)
    if how == "queue":
        row, label = tf.train.slice_input_producer([tf.constant(rows), tf.constant(classes)], shuffle=False)
        x, labels = tf.train.batch([row, label], _BATCH, name="batches")
    else:
        data = tf.data.Dataset.from_tensor_slices((rows, classes)).repeat()
        data = data.batch(_BATCH, drop_remainder=how == "dataset_whole").prefetch(1)
        x, labels = tf.data.make_one_shot_iterator(data).get_next()
    return x, labels, x


def _pooled(how: str, h: Any) -> Any:
    if h.shape.rank == 2:
        return h
    if how == "flatten" and all(size is not None for size in h.shape.as_list()[1:]):
        return tf.layers.flatten(h)
    axes = list(range(1, h.shape.rank - 1))
    return tf.reduce_max(h, axes) if how == "max" else tf.reduce_mean(h, axes)


def _head(kind: str, logits: Any) -> Any:
    if kind in ("softmax", "sigmoid", "tanh"):
        return getattr(tf.nn, kind)(logits, name="result")
    if kind == "scaled":
        return tf.add(10.0 * tf.sigmoid(logits), 0.01, name="result")
    return tf.identity(logits, name="result") if kind == "linear" else logits


def _loss(spec: Spec, logits: Any, result: Any, labels: Any) -> Any:
    one_hot = tf.one_hot(labels, _CLASSES)
    kind = spec["loss"]
    if kind == "sparse":
        return tf.losses.sparse_softmax_cross_entropy(labels, logits)
    if kind == "one_hot":
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=one_hot, logits=logits))
    if kind == "sigmoid":
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=one_hot, logits=logits))
    if kind == "by_hand" and spec["head"] == "softmax":
        clipped = tf.clip_by_value(result, 1e-7, 1.0)
        return -tf.reduce_mean(tf.reduce_sum(one_hot * tf.log(clipped), 1))
    if kind == "absolute":
        return tf.reduce_mean(tf.abs(result - one_hot))
    return tf.losses.mean_squared_error(one_hot, result)


def _train(spec: Spec, logits: Any, result: Any, labels: Any, x: Any) -> Any:
    loss, beside = _loss(spec, logits, result, labels), spec["beside"]
    if "l2" in beside:
        loss += 1e-4 * tf.add_n([tf.nn.l2_loss(variable) for variable in tf.trainable_variables()])
    if "accuracy" in beside:
        right = tf.equal(tf.argmax(result, 1), labels)
        tf.summary.scalar("accuracy", tf.reduce_mean(tf.cast(right, tf.float32)))
    if "summaries" in beside:
        tf.summary.scalar("loss", loss)
        tf.summary.histogram("result", result)
        if spec["kind"] == "images":
            tf.summary.image("x", tf.cast(x, tf.float32))
    if "print" in beside:
        loss = tf.Print(loss, [loss], first_n=0)
    controls = list(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
    if "checks" in beside:
        controls.append(tf.Assert(tf.reduce_all(tf.is_finite(result)), [result]))
    make = {
        "sgd": tf.train.GradientDescentOptimizer,
        "momentum": lambda rate: tf.train.MomentumOptimizer(rate, 0.9),
        "adam": tf.train.AdamOptimizer,
        "rmsprop": tf.train.RMSPropOptimizer,
        "adagrad": tf.train.AdagradOptimizer,
    }[spec["optimizer"]]
    with tf.control_dependencies(controls):
        train = make(0.01).minimize(loss, tf.train.get_or_create_global_step())
    if "ema" in beside:
        average = tf.train.ExponentialMovingAverage(0.9)
        with tf.control_dependencies([train]):
            train = average.apply(tf.trainable_variables())
    return train
