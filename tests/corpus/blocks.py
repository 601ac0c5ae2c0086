"""Pieces that the cases share: inputs, two tiny networks around a layer under test, a training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Flag, Model

__all__ = ["Layer", "conv_net", "dense_net", "fit", "images", "model", "vectors"]

Layer = Callable[[Any], Any]


def images(size: int = 8, channels: int = 3, name: str = "images") -> Any:
    """A placeholder [N, size, size, channels]."""
    return tf.placeholder(tf.float32, [None, size, size, channels], name)


def vectors(width: int = 6, name: str = "x") -> Any:
    """A placeholder [N, width]."""
    return tf.placeholder(tf.float32, [None, width], name)


def fit(output: Any, optimizer: Any = None, extra: Any = 0.0) -> Any:
    """One training step towards random targets, together with the collected updates."""
    target = tf.placeholder(output.dtype, output.shape, "target")
    loss = tf.reduce_mean(tf.square(output - target)) + tf.cast(extra, output.dtype)
    with tf.control_dependencies([tf.group(*tf.get_collection(tf.GraphKeys.UPDATE_OPS))]):
        return (optimizer or tf.train.GradientDescentOptimizer(0.05)).minimize(loss)


def conv_net(x: Any, norm: Layer) -> Any:
    """Convolution, the layer under test, ReLU, dense."""
    y = tf.layers.conv2d(x, 4, 3, use_bias=False, name="conv")
    y = tf.nn.relu(norm(y))
    return tf.layers.dense(tf.layers.flatten(y), 3, name="logits")


def dense_net(x: Any, norm: Layer) -> Any:
    """Dense, the layer under test, ReLU, dense."""
    y = tf.layers.dense(x, 5, name="hidden")
    return tf.layers.dense(tf.nn.relu(norm(y)), 3, name="logits")


def model(x: Any, y: Any, flags: Sequence[Flag] = (), **more: Any) -> Model:
    """The usual model: one input, one output, trained by `fit`."""
    return Model(inputs=[x], outputs=[y], train=fit(y), flags=flags, **more)
