"""tf.keras.layers.BatchNormalization in graph mode, and its relatives that keep their own statistics."""

from __future__ import annotations

from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.batch_norm_layers import flag
from tests.corpus.blocks import conv_net, dense_net, fit, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def _phase() -> Flag:
    return Flag(tf.keras.backend.learning_phase(), True, False)


def _collect_updates() -> None:
    for op in tf.get_default_graph().get_operations():
        if "AssignMovingAvg" in op.name and op.type == "AssignSubVariableOp":
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, op)


def _net(training: bool, *, dense: bool = False, kind: str | None = None, **options: Any) -> Model:
    """`kind` None leaves it to the learning phase."""
    x = vectors() if dense else images()
    value, flags = (None, [_phase()]) if kind is None else flag(kind, training)
    layer = tf.keras.layers.BatchNormalization(momentum=0.7, **options)
    y = (dense_net if dense else conv_net)(x, lambda z: layer(z, training=value))
    _collect_updates()
    return model(x, y, flags)


def _phase_set(training: bool) -> Model:
    """`set_learning_phase(1)` before building: the flag is a Python number."""
    tf.keras.backend.set_learning_phase(int(training))
    x = images()
    y = conv_net(x, lambda z: tf.keras.layers.BatchNormalization(momentum=0.7)(z))
    _collect_updates()
    return model(x, y)


def _functional(training: bool) -> Model:
    layers = tf.keras.layers
    image = layers.Input([8, 8, 3], name="image")
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
    y = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.7)(y))
    y = layers.SeparableConv2D(4, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.7)(y)
    y = layers.GlobalAveragePooling2D()(layers.Activation("relu")(y))
    y = layers.Dense(3, activation="softmax")(layers.Dropout(0.3)(y))
    net = tf.keras.Model(image, y)
    _collect_updates()
    return model(net.inputs[0], net.outputs[0], [_phase()])


def _called(training: bool) -> Model:
    """A Sequential model called on a placeholder, as with Keras layers inside a TF1 script."""
    layers = tf.keras.layers
    net = tf.keras.Sequential(
        [
            layers.Conv1D(4, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.7),
            layers.LeakyReLU(0.1),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    x = tf.placeholder(tf.float32, [None, 10, 2], "series")
    y = net(x, training=training)
    _collect_updates()
    return model(x, y)


def _own_statistics(training: bool, norm: Any, **options: Any) -> Model:
    """A batch norm beside a norm that computes its statistics from its input, at inference too."""
    x = images()
    y = tf.layers.conv2d(x, 4, 3, use_bias=False)
    y = tf.nn.relu(tf.layers.batch_normalization(y, training=training, momentum=0.7))
    y = norm(tf.layers.conv2d(y, 6, 3), **options)
    return model(x, tf.layers.dense(tf.layers.flatten(tf.nn.relu(y)), 3))


def _layer_norm(z: Any, axis: int | list[int] = -1) -> Any:
    return tf.keras.layers.LayerNormalization(axis=axis)(z)


def _instance_norm(z: Any) -> Any:
    mean, variance = tf.nn.moments(z, [1, 2], keepdims=True)
    scale = tf.get_variable("scale", [6], initializer=tf.random_normal_initializer(1.0, 0.2))
    return tf.nn.batch_normalization(z, mean, variance, tf.get_variable("offset", [6]), scale, 1e-5)


def _group_norm(z: Any) -> Any:
    groups = tf.reshape(z, [-1, 4, 4, 2, 3])
    mean, variance = tf.nn.moments(groups, [1, 2, 4], keepdims=True)
    return tf.reshape((groups - mean) / tf.sqrt(variance + 1e-5), [-1, 4, 4, 6])


def _pixel_norm(z: Any) -> Any:
    return z * tf.rsqrt(tf.reduce_mean(tf.square(z), axis=3, keepdims=True) + 1e-8)


def _l2_normalised(z: Any) -> Any:
    return tf.nn.l2_normalize(z, axis=3)


def _layer_norm_alone(training: bool) -> Model:
    x = tf.placeholder(tf.float32, [None, 5, 6], "tokens")
    y = tf.keras.layers.LayerNormalization()(tf.keras.layers.Dense(8)(x))
    y = tf.keras.layers.Dropout(0.2)(y)
    y = tf.keras.layers.Dense(3)(tf.reduce_mean(y, axis=1))
    return Model(inputs=[x], outputs=[y], train=fit(y), flags=[_phase()])


CASES = (
    Case("keras_phase", _net, 1, resource=True),
    Case("keras_phase_if", _net, 1, control_flow=2, resource=True),
    Case("keras_phase_dense", partial(_net, dense=True), 1),
    Case("keras_phase_unfused", partial(_net, fused=False), 1),
    Case("keras_phase_renorm", partial(_net, renorm=True), 1),
    Case("keras_true", partial(_net, kind="true"), 1),
    Case("keras_true_dense", partial(_net, kind="true", dense=True), 1),
    Case("keras_placeholder", partial(_net, kind="placeholder"), 1),
    Case("keras_placeholder_if", partial(_net, kind="placeholder"), 1, control_flow=2),
    Case("keras_no_scale", partial(_net, scale=False), 1),
    Case("keras_no_center", partial(_net, center=False, dense=True), 1),
    Case("keras_frozen", partial(_net, trainable=False), 1),
    Case("keras_phase_set", _phase_set, 1),
    Case("keras_functional", _functional, 2),
    Case("keras_functional_if", _functional, 2, control_flow=2, resource=True),
    Case("keras_called", _called, 1),
    Case("norm_layer_keras", partial(_own_statistics, norm=_layer_norm), 1),
    Case("norm_layer_keras_axes", partial(_own_statistics, norm=_layer_norm, axis=[1, 2, 3]), 1),
    Case("norm_layer_keras_alone", _layer_norm_alone, 0),
    Case("norm_layer_slim", partial(_own_statistics, norm=lambda z: slim.layer_norm(z)), 1),
    Case("norm_instance_slim", partial(_own_statistics, norm=lambda z: slim.instance_norm(z)), 1),
    Case("norm_instance", partial(_own_statistics, norm=_instance_norm), 1),
    Case("norm_group", partial(_own_statistics, norm=_group_norm), 1),
    Case("norm_group_slim", partial(_own_statistics, norm=lambda z: slim.group_norm(z, groups=2)), 1),
    Case("norm_pixel", partial(_own_statistics, norm=_pixel_norm), 1),
    Case("norm_l2", partial(_own_statistics, norm=_l2_normalised), 1),
)
