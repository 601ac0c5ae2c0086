"""Batch norm written out by hand, as people did in 2017: moments, a moving average, tf.cond on a flag.

The moving averages are variables that ExponentialMovingAverage makes; they are named after the moments ops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Flag, Model
from sample_ckpts.sample import Sample

__all__ = ["SAMPLES"]

_INPUTS, _LAYERS = 8, (12, 10, 3)
# Neuron 1 of layer 0 as it was posted: before the batch norm, then the four arrays.
_BEFORE = -0.077417567
_POSTED = {"mean": -0.089603029, "variance": 0.000436493, "beta": -0.016652612, "gamma": 1.0055743}


def _batch_norm(z: Any, size: int, phase_train: Any) -> tuple[Any, dict[str, Any]]:
    with tf.variable_scope("bn"):
        beta = tf.Variable(tf.constant(0.0, shape=[size]), name="beta", trainable=True)
        gamma = tf.Variable(tf.constant(1.0, shape=[size]), name="gamma", trainable=True)
        batch_mean, batch_var = tf.nn.moments(z, [0], name="moments")
        ema = tf.train.ExponentialMovingAverage(decay=0.5)

        def update() -> tuple[Any, Any]:
            with tf.control_dependencies([ema.apply([batch_mean, batch_var])]):
                return tf.identity(batch_mean), tf.identity(batch_var)

        def averages() -> tuple[Any, Any]:
            return ema.average(batch_mean), ema.average(batch_var)

        mean, var = tf.cond(phase_train, update, averages)
        out = tf.nn.batch_normalization(z, mean, var, beta, gamma, 1e-3)
    return out, {
        "beta": beta,
        "gamma": gamma,
        "mean": ema.average(batch_mean),
        "variance": ema.average(batch_var),
    }


def _build(training: bool) -> Model:
    x = tf.placeholder(tf.float32, [None, _INPUTS], name="tf_x")
    y = tf.placeholder(tf.float32, [None, _LAYERS[-1]], name="tf_y")
    keep_prob = tf.placeholder(tf.float32, name="keep_prob")
    phase_train = tf.placeholder(tf.bool, name="phase_train")
    hidden, before, after, arrays, biases = x, [], [], [], []
    for index, size in enumerate(_LAYERS):
        with tf.variable_scope(f"layer_{index}"):
            width = hidden.shape.as_list()[1]
            weights = tf.Variable(tf.random_normal([width, size], stddev=width**-0.5), name="w")
            biases.append(tf.Variable(tf.constant(0.1, shape=[size]), name="b"))
            hidden = tf.matmul(hidden, weights) + biases[-1]
            if index < len(_LAYERS) - 1:
                before.append(hidden)
                hidden, found = _batch_norm(hidden, size, phase_train)
                after.append(hidden)
                arrays.append(found)
                hidden = tf.nn.dropout(tf.nn.relu(hidden), keep_prob)
    loss = tf.reduce_mean(tf.square(hidden - y))
    feed = np.arange(3 * _INPUTS, dtype=np.float32).reshape(3, _INPUTS) / np.float32(100)

    def post(session: Any) -> None:
        for name, value in _POSTED.items():
            _set(session, arrays[0][name], value)
        inference = {x: feed, keep_prob: 1, phase_train: False}
        _set(session, biases[0], 0.0)
        _set(session, biases[0], _BEFORE - session.run(before[0], inference)[0, 1])

    return Model(
        inputs=[x],
        outputs=[hidden, before[0], after[0]],
        train=tf.train.AdamOptimizer(1e-2).minimize(loss),
        flags=[Flag(phase_train, True, False), Flag(keep_prob, 0.8, 1.0)],
        feeds={} if training else {x: feed},
        fix=post,
    )


def _set(session: Any, variable: Any, value: float) -> None:
    array = session.run(variable)
    array[1] = value
    variable.load(array, session)


SAMPLES = (
    Sample(
        "handmade",
        "tf.nn.moments, ExponentialMovingAverage(0.5), tf.cond(phase_train); reference variables, Switch and Merge",
        _build,
    ),
    Sample(
        "handmade_v2",
        "the same with resource variables and control flow v2 (If)",
        _build,
        control_flow=2,
        resource=True,
    ),
)
