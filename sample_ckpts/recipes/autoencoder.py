"""tf.keras.layers.BatchNormalization in a TF1 graph: a dense autoencoder with Keras's learning phase.

Keras doesn't put the updates of the moving statistics into `tf.GraphKeys.UPDATE_OPS`. So there are three
kinds of checkpoints: of people who collected them, who didn't, and who saved only what is trainable.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Flag, Model
from sample_ckpts.sample import Sample

__all__ = ["SAMPLES"]

_FEATURES = 12
_UNITS = (128, 64, 32, 64, 128)


def _updates() -> list[Any]:
    return [
        op
        for op in tf.get_default_graph().get_operations()
        if "AssignMovingAvg" in op.name and op.type == "AssignSubVariableOp"
    ]


def _build(training: bool, *, updated: bool, everything: bool = True) -> Model:
    x = tf.placeholder(tf.float32, [None, _FEATURES], name="input")
    hidden = x
    for units in _UNITS:
        hidden = tf.keras.layers.Dense(units, use_bias=False)(hidden)
        hidden = tf.nn.relu(tf.keras.layers.BatchNormalization(momentum=0.9)(hidden))
    restored = tf.keras.layers.Dense(_FEATURES, activation="sigmoid")(hidden)
    loss = tf.reduce_mean(tf.square(restored - x))
    with tf.control_dependencies([tf.group(*_updates())] if updated else []):
        step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    saved = tf.global_variables() if everything else tf.trainable_variables()
    return Model(
        inputs=[x],
        outputs=[restored],
        train=step,
        flags=[Flag(tf.keras.backend.learning_phase(), True, False)],
        saver=tf.train.Saver(saved, save_relative_paths=True),
    )


SAMPLES = (
    Sample(
        "autoencoder",
        "tf.keras.layers.BatchNormalization, learning phase; update ops collected by hand",
        partial(_build, updated=True),
    ),
    Sample(
        "autoencoder_not_updated",
        "the same without the update ops: moving means are 0, moving variances 1",
        partial(_build, updated=False),
    ),
    Sample(
        "autoencoder_trainable_only",
        "the same with tf.train.Saver(tf.trainable_variables()): no moving statistics in the checkpoint",
        partial(_build, updated=True, everything=False),
        refused="the moving statistics were never saved",
    ),
)
