"""Two layers of one neuron each, one Adam step on x = 0, 1: small enough to check by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Flag, Model
from sample_ckpts.sample import Sample

__all__ = ["SAMPLES"]

# From these, the one step of training arrives at a hidden weight of 1.404974.
_START = {"hidden1/dense/kernel:0": 1.4059724, "output/dense/kernel:0": 0.13}


def _start(session: Any) -> None:
    for variable in tf.global_variables():
        if variable.name in _START:
            variable.load(np.full((1, 1), _START[variable.name], np.float32), session)


def _build(training: bool) -> Model:
    x = tf.placeholder(tf.float32, (None, 1))
    y = tf.placeholder(tf.float32, (None, 1))
    rate = tf.placeholder(tf.float32, [])
    flag = tf.placeholder_with_default(False, shape=(), name="training")
    with tf.variable_scope("hidden1"):
        before = tf.layers.dense(x, 1, activation=None, use_bias=False)
        normalised = tf.layers.batch_normalization(before, training=flag, momentum=0.5)
        hidden = tf.nn.relu(normalised)
    with tf.variable_scope("output"):
        predicted = tf.layers.dense(hidden, 1, activation=None, use_bias=False)
        predicted = tf.layers.batch_normalization(predicted, training=flag, momentum=0.5)
    cost = tf.reduce_mean(tf.square(predicted - y))
    step = tf.train.AdamOptimizer(learning_rate=rate).minimize(cost)
    batch = np.array([[0.0], [1.0]], np.float32)
    return Model(
        inputs=[x],
        outputs=[predicted, normalised, hidden],
        train=[step, tf.get_collection(tf.GraphKeys.UPDATE_OPS)],
        flags=[Flag(flag, True, False)],
        feeds={x: batch, y: batch + 3, rate: 0.001},
        start=_start,
    )


SAMPLES = (
    Sample(
        "one_neuron",
        "tf.layers.batch_normalization(momentum=0.5, training=placeholder_with_default(False)), one Adam step",
        _build,
        steps=1,
        perturb=False,
    ),
)
