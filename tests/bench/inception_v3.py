"""slim's own Inception V3 as its training script left it: a checkpoint of 1001 classes with auxiliary head,
dropout, weight decay and RMSProp slots, `is_training=True` baked in. Needs TensorFlow and tf-slim.

    python -m tests.bench.inception_v3 FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from sample_ckpts.measuring import assign, read_variables
from sample_ckpts.oracle import slim, slim_nets, tf
from sample_ckpts.recording import PREFIX, Model, make

__all__ = ["BATCH_NORMS", "INPUT", "OUTPUT", "ensure"]

INPUT = "images"
OUTPUT = "InceptionV3/Predictions/Reshape_1"
BATCH_NORMS = 94
"""Between the images and the predictions; the auxiliary head has two more."""


def ensure(folder: Path) -> Path:
    """The checkpoint's prefix in `folder`, with TensorFlow's outputs beside it; made if it isn't there yet."""
    if not (folder / "recorded.npz").exists():
        make(_build, folder, steps=0, perturb=False)
    return folder / PREFIX


def _build(training: bool) -> Model:
    inception = slim_nets.inception
    images = tf.placeholder(tf.float32, [None, 299, 299, 3], name=INPUT)
    with slim.arg_scope(inception.inception_v3_arg_scope()):
        logits, points = inception.inception_v3(images, num_classes=1001, is_training=training)
    train = _train(logits, points["AuxLogits"]) if training else None
    pixels = np.random.default_rng(3).integers(0, 256, [2, 299, 299, 3]) / 127.5 - 1
    feeds = {} if training else {images: pixels}
    return Model(inputs=[images], outputs=[points["Predictions"], logits], train=train, feeds=feeds, fix=_randomise)


def _train(logits: Any, aux_logits: Any) -> Any:
    labels = tf.placeholder(tf.int64, [None], name="labels")
    tf.losses.sparse_softmax_cross_entropy(labels, aux_logits, weights=0.4, scope="aux_loss")
    tf.losses.sparse_softmax_cross_entropy(labels, logits)
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.045, step, 1000, 0.94, staircase=True)
    optimizer = tf.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
    train = slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer)
    tf.summary.scalar("learning_rate", rate)
    tf.summary.merge_all()
    return train


def _randomise(session: Any) -> None:
    """Statistics, betas, biases and the classifier as different from their initial values as training makes them."""
    rng = np.random.default_rng(1)
    values = read_variables(session)
    for variable, value in values.items():
        name = variable.op.name
        if name.endswith(("moving_mean", "beta", "biases")):
            values[variable] = np.asarray(rng.normal(0, 0.1, value.shape))
        elif name.endswith("moving_variance"):
            values[variable] = np.asarray(rng.uniform(0.5, 1.5, value.shape))
        elif name.endswith("Conv2d_1c_1x1/weights"):
            values[variable] = np.asarray(rng.normal(0, 0.01, value.shape))
    assign(session, values)


if __name__ == "__main__":
    print(ensure(Path(sys.argv[1])))
