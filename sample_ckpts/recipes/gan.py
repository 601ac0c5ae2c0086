"""A generator inside the graph that trained it: discriminator, two losses, two Adam optimizers, summaries.

`tf.contrib.layers.batch_norm` has no gamma unless it is asked for, and takes `is_training=True` unless it is
told otherwise. The leaky ReLU behind it is not linear, so a missing gamma means 1, nothing else.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag, Model
from sample_ckpts.sample import Sample

__all__ = ["SAMPLES"]

_Z = 10


def _leaky(x: Any) -> Any:
    return tf.maximum(x, 0.2 * x)


def _weights(name: str, shape: list[int]) -> Any:
    return tf.get_variable(name, shape, initializer=tf.truncated_normal_initializer(stddev=0.2))


def _generator(z: Any, **norm: Any) -> Any:
    with tf.variable_scope("generator"):
        g1 = tf.matmul(z, _weights("w1", [_Z, 4 * 4 * 12])) + tf.get_variable("b1", [4 * 4 * 12])
        g1 = tf.reshape(g1, [-1, 4, 4, 12])
        g1 = _leaky(slim.batch_norm(g1, epsilon=1e-5, scope="bn1_g", **norm))
        size = tf.stack([tf.shape(z)[0], 8, 8, 8])
        g2 = tf.nn.conv2d_transpose(g1, _weights("w2", [5, 5, 8, 12]), size, strides=[1, 2, 2, 1])
        g2 = tf.nn.bias_add(g2, tf.get_variable("b2", [8]))
        g2 = _leaky(slim.batch_norm(g2, epsilon=1e-5, scope="bn2_g", **norm))
        g3 = tf.layers.conv2d_transpose(g2, 6, 3, strides=2, padding="same", use_bias=False)
        g3 = _leaky(slim.batch_norm(g3, epsilon=1e-5, scope="bn3_g", **norm))
        g4 = tf.layers.conv2d_transpose(g3, 1, 3, padding="same")
        return tf.nn.tanh(g4)


def _discriminator(image: Any, *, reuse: bool, **norm: Any) -> tuple[Any, Any]:
    with tf.variable_scope("discriminator", reuse=reuse):
        d1 = _leaky(tf.layers.conv2d(image, 6, 5, strides=2, padding="same", name="d1"))
        d2 = tf.layers.conv2d(d1, 8, 5, strides=2, padding="same", name="d2")
        d2 = _leaky(slim.batch_norm(d2, epsilon=1e-5, scope="bn2_d", **norm))
        logits = tf.layers.dense(tf.layers.flatten(d2), 1, name="d3")
        return logits, tf.nn.sigmoid(logits)


def _build(training: bool, *, scale: bool, placeholder: bool) -> Model:
    images = tf.placeholder(tf.float32, [None, 16, 16, 1], name="real_images")
    z = tf.placeholder(tf.float32, [None, _Z], name="z")
    norm: dict[str, Any] = {"scale": True} if scale else {}
    flags = []
    if placeholder:
        norm["is_training"] = tf.placeholder(tf.bool, name="is_training")
        flags = [Flag(norm["is_training"], True, False)]
    elif not training:
        norm["is_training"] = False

    fake = _generator(z, **norm)
    real_logits, real = _discriminator(images, reuse=False, **norm)
    fake_logits, judged = _discriminator(fake, reuse=True, **norm)

    def loss(logits: Any, wanted: Any) -> Any:
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=logits, labels=wanted(logits)))

    d_loss = loss(real_logits, tf.ones_like) + loss(fake_logits, tf.zeros_like)
    g_loss = loss(fake_logits, tf.ones_like)
    d_train, g_train = _train(d_loss, "discriminator"), _train(g_loss, "generator")
    tf.summary.scalar("d_loss", d_loss)
    tf.summary.scalar("g_loss", g_loss)
    tf.summary.histogram("z", z)
    tf.summary.image("generated", fake)
    return Model(
        inputs=[z, images],
        outputs=[fake, judged, real],
        train=(d_train, [g_train, tf.summary.merge_all()]),
        flags=flags,
        epsilon=1e-5,
    )


def _train(loss: Any, scope: str) -> Any:
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope)
    with tf.control_dependencies([tf.group(*updates)]):
        return tf.train.AdamOptimizer(2e-3, beta1=0.5).minimize(
            loss, var_list=[v for v in tf.trainable_variables() if v.name.startswith(scope)]
        )


SAMPLES = (
    Sample(
        "gan_no_gamma",
        "tf.contrib.layers.batch_norm(epsilon=1e-5), no gamma, is_training left at True",
        partial(_build, scale=False, placeholder=False),
        several=True,
    ),
    Sample(
        "gan_gamma",
        "tf.contrib.layers.batch_norm(epsilon=1e-5, scale=True), is_training a placeholder",
        partial(_build, scale=True, placeholder=True),
        several=True,
    ),
)
