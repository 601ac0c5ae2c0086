"""The start of slim's own Inception V3, a few channels wide: with its training graph, and as bare weights.

slim's arg scope leaves `scale` at False: the published checkpoints have no gamma.
"""

from __future__ import annotations

from pathlib import Path

from sample_ckpts.oracle import slim, slim_nets, tf
from sample_ckpts.recording import PREFIX, Model
from sample_ckpts.sample import Sample

__all__ = ["SAMPLES"]

_CLASSES = 5


def _build(training: bool) -> Model:
    inception = slim_nets.inception
    images = tf.placeholder(tf.float32, [None, 43, 43, 3], name="images")
    with (
        slim.arg_scope(inception.inception_v3_arg_scope(batch_norm_decay=0.9)),
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=training),
    ):
        net, _ = inception.inception_v3_base(
            images, final_endpoint="Mixed_5b", min_depth=4, depth_multiplier=0.05, scope="InceptionV3"
        )
        with tf.variable_scope("InceptionV3/Logits"):
            net = slim.avg_pool2d(net, [3, 3], padding="VALID", scope="AvgPool_1a_3x3")
            net = slim.dropout(net, keep_prob=0.8, scope="Dropout_1b")
            net = slim.conv2d(net, _CLASSES, [1, 1], activation_fn=None, normalizer_fn=None, scope="Conv2d_1c_1x1")
            logits = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
    predictions = slim.softmax(logits, scope="Predictions")
    labels = tf.placeholder(tf.int64, [None], name="labels")
    tf.losses.sparse_softmax_cross_entropy(labels, logits)
    optimizer = tf.train.RMSPropOptimizer(0.01, momentum=0.9, epsilon=1.0)
    train = slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer)
    return Model(inputs=[images], outputs=[predictions, logits], train=train)


def _bare(folder: Path) -> None:
    (folder / f"{PREFIX}.meta").unlink()


_TITLE = "slim.inception_v3_base up to Mixed_5b with slim's arg scope, is_training=True, dropout, RMSProp"

SAMPLES = (
    Sample("inception", _TITLE, _build, steps=8, perturb=True),
    Sample("inception_weights", f"{_TITLE}; only the weights", _build, steps=8, perturb=True, after=_bare),
)
