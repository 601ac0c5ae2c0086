"""Element-wise functions, between a dense layer with batch norm and a dense layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Model
from tests.corpus.blocks import model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]

Function = Callable[[Any], Any]


def _net(training: bool, function: Function) -> Model:
    x = vectors()
    y = tf.layers.dense(x, 8, use_bias=False)
    y = tf.layers.batch_normalization(y, training=training, momentum=0.7)
    return model(x, tf.layers.dense(function(y), 3, name="logits"))


def _prelu(y: Any) -> Any:
    alpha = tf.get_variable("alpha", [8], initializer=tf.constant_initializer(0.25))
    return tf.nn.relu(y) + alpha * (y - tf.abs(y)) * 0.5


def _gelu(y: Any) -> Any:
    return 0.5 * y * (1.0 + tf.erf(y / np.sqrt(2.0).astype(np.float32)))


def _gelu_tanh(y: Any) -> Any:
    return 0.5 * y * (1 + tf.tanh(np.float32(np.sqrt(2 / np.pi)) * (y + 0.044715 * tf.pow(y, 3))))


def _maxout(y: Any) -> Any:
    return tf.reduce_max(tf.reshape(y, [-1, 4, 2]), axis=2)


def _positive(y: Any) -> Any:
    return tf.abs(y) + 0.5


_FUNCTIONS: dict[str, Function] = {
    "relu": lambda y: tf.nn.relu(y),
    "relu6": lambda y: tf.nn.relu6(3 * y),
    "leaky_relu": lambda y: tf.nn.leaky_relu(y, 0.1),
    "leaky_maximum": lambda y: tf.maximum(y, 0.2 * y),
    "leaky_sum": lambda y: 0.6 * y + 0.4 * tf.abs(y),
    "elu": lambda y: tf.nn.elu(y),
    "selu": lambda y: tf.nn.selu(y),
    "tanh": lambda y: tf.tanh(y),
    "sigmoid": lambda y: tf.sigmoid(y),
    "softplus": lambda y: tf.nn.softplus(y),
    "softsign": lambda y: tf.nn.softsign(y),
    "softmax": lambda y: tf.nn.softmax(y),
    "softmax_axis": lambda y: tf.layers.flatten(tf.nn.softmax(tf.reshape(y, [-1, 2, 4]), axis=1)),
    "log_softmax": lambda y: tf.nn.log_softmax(y),
    "swish": lambda y: tf.nn.swish(y),
    "swish_by_hand": lambda y: y * tf.sigmoid(y),
    "hard_swish": lambda y: y * tf.nn.relu6(y + 3) / 6,
    "hard_sigmoid": lambda y: tf.keras.activations.hard_sigmoid(y),
    "crelu": lambda y: tf.nn.crelu(y),
    "prelu_keras": lambda y: tf.keras.layers.PReLU()(y),
    "prelu": _prelu,
    "thresholded": lambda y: tf.keras.layers.ThresholdedReLU(0.3)(y),
    "relu_keras": lambda y: tf.keras.layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2)(y),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "maxout": _maxout,
    "abs": lambda y: tf.abs(y),
    "square": lambda y: tf.square(y),
    "exp": lambda y: tf.exp(y) + tf.expm1(0.1 * y),
    "log": lambda y: tf.log(_positive(y)) + tf.log1p(_positive(y)),
    "sqrt": lambda y: tf.sqrt(_positive(y)) + tf.rsqrt(_positive(y)),
    "pow": lambda y: tf.pow(_positive(y), 1.5),
    "reciprocal": lambda y: tf.reciprocal(_positive(y)) + 2.0 / _positive(y),
    "sin": lambda y: tf.sin(y) + tf.cos(y) + tf.atan(y),
    "rounding": lambda y: 0.1 * (tf.floor(y) + tf.ceil(2 * y) + tf.round(3 * y) + tf.sign(y)) + y,
    "clip": lambda y: tf.clip_by_value(y, -0.5, 0.7),
    "minimum": lambda y: tf.minimum(tf.maximum(y, -0.5), tf.constant(np.linspace(0, 1, 8, dtype=np.float32))),
    "squared_difference": lambda y: tf.squared_difference(y, 0.3),
    "floor_mod": lambda y: tf.mod(y, 0.7) + tf.floordiv(y, 0.9),
    "add_n": lambda y: tf.add_n([y, tf.nn.relu(y), tf.tanh(y)]),
    "negative": lambda y: -y + tf.negative(tf.nn.relu(-y)),
    "compare": lambda y: tf.where(tf.logical_and(y > -0.5, tf.not_equal(y, 0.0)), y, tf.zeros_like(y)),
    "cast_mask": lambda y: y * tf.cast(y > 0.1, tf.float32) + tf.to_float(tf.less_equal(y, 0.2)),
    "ones_like": lambda y: y + 0.3 * tf.ones_like(y) + tf.fill(tf.shape(y), 0.1),
    "l2": lambda y: tf.nn.l2_normalize(y, 1) + tf.norm(y, axis=1, keepdims=True),
    "reduce": lambda y: tf.concat(
        [f(y, axis=1, keepdims=True) for f in (tf.reduce_sum, tf.reduce_max, tf.reduce_min, tf.reduce_prod)], 1
    ),
    "logsumexp": lambda y: y - tf.reduce_logsumexp(y, axis=1, keepdims=True),
    "identity_n": lambda y: tf.identity_n([y, 2 * y])[1],
}

CASES = tuple(Case(f"function_{name}", partial(_net, function=function), 1) for name, function in _FUNCTIONS.items())
