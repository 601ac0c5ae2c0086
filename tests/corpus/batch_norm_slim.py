"""tf.contrib.layers.batch_norm, which is slim.batch_norm: no gamma by default, updates in place on request."""

from __future__ import annotations

from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.batch_norm_layers import flag
from tests.corpus.blocks import conv_net, dense_net, fit, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def _value(kind: str, training: bool) -> tuple[Any, list[Flag]]:
    if kind == "constant":
        return tf.constant(training, name="is_training"), []
    return flag(kind, training)


def _net(training: bool, kind: str = "true", *, dense: bool = False, **options: Any) -> Model:
    x = vectors() if dense else images()
    value, flags = _value(kind, training)
    net = dense_net if dense else conv_net
    y = net(x, lambda z: slim.batch_norm(z, is_training=value, decay=0.7, **options))
    return model(x, y, flags)


def _initializers(training: bool) -> Model:
    start = {
        "gamma": tf.constant_initializer(1.5),
        "beta": tf.constant_initializer(0.2),
        "moving_mean": tf.constant_initializer(0.1),
        "moving_variance": tf.constant_initializer(0.7),
    }
    return _net(training, scale=True, param_initializers=start)


def _batch_weights(training: bool) -> Model:
    """The weights exist in the training graph only."""
    weights = tf.placeholder(tf.float32, [8], "batch_weights") if training else None
    return _net(training, batch_weights=weights)


def _adjusted(training: bool) -> Model:
    def adjustment(shape: Any) -> tuple[Any, Any]:
        return tf.random_uniform(shape[-1:], 0.9, 1.1), tf.random_uniform(shape[-1:], -0.1, 0.1)

    return _net(training, "placeholder", adjustment=adjustment)


def _arg_scope(training: bool) -> Model:
    """Layers with batch norm as their normalizer, as slim's networks are written."""
    x = images()
    value, flags = flag("placeholder", training)
    options = {"is_training": value, "decay": 0.7, "scale": True}
    with slim.arg_scope([slim.conv2d, slim.fully_connected], normalizer_fn=slim.batch_norm, normalizer_params=options):
        y = slim.conv2d(x, 4, [3, 3], weights_regularizer=slim.l2_regularizer(1e-3), scope="conv1")
        y = slim.separable_conv2d(y, 5, [3, 3], 2, normalizer_fn=slim.batch_norm, normalizer_params=options)
        y = slim.max_pool2d(y, [2, 2])
        y = slim.fully_connected(slim.flatten(y), 6, scope="fc")
    y = slim.fully_connected(y, 3, activation_fn=None, scope="logits")
    train = fit(y, extra=tf.losses.get_regularization_loss())
    return Model(inputs=[x], outputs=[y], train=train, flags=flags)


def _first(training: bool, **options: Any) -> Model:
    x = tf.placeholder(tf.float32, [None, 3, 8, 8], "images")
    y = slim.conv2d(
        x,
        4,
        [3, 3],
        data_format="NCHW",
        normalizer_fn=slim.batch_norm,
        normalizer_params={"data_format": "NCHW", "is_training": training, "decay": 0.7, **options},
    )
    return model(x, slim.flatten(y))


CASES = (
    *(Case(f"slim_{kind}", partial(_net, kind=kind), 1) for kind in ("true", "false", "placeholder", "constant")),
    *(
        Case(f"slim_in_place_{kind}", partial(_net, kind=kind, updates_collections=None), 1)
        for kind in ("true", "placeholder", "default_true")
    ),
    *(
        Case(f"slim_in_place_unfused_{kind}", partial(_net, kind=kind, updates_collections=None, fused=False), 1)
        for kind in ("true", "placeholder")
    ),
    Case(
        "slim_in_place_cf2",
        partial(_net, kind="placeholder", updates_collections=None),
        1,
        control_flow=2,
        resource=True,
    ),
    Case("slim_in_place_dense", partial(_net, kind="placeholder", dense=True, updates_collections=None), 1),
    Case("slim_dense", partial(_net, dense=True), 1),
    Case("slim_dense_scale", partial(_net, kind="placeholder", dense=True, scale=True), 1),
    Case("slim_dense_unfused", partial(_net, kind="placeholder", dense=True, fused=False), 1),
    Case("slim_unfused", partial(_net, fused=False), 1),
    Case("slim_scale", partial(_net, scale=True, epsilon=1e-5), 1),
    Case("slim_neither", partial(_net, center=False), 1),
    Case("slim_activation", partial(_net, kind="placeholder", activation_fn=None), 1),
    Case("slim_zero_debias", partial(_net, zero_debias_moving_mean=True), 1),
    Case("slim_zero_debias_flag", partial(_net, kind="placeholder", zero_debias_moving_mean=True), 1),
    Case("slim_zero_debias_unfused", partial(_net, zero_debias_moving_mean=True, fused=False), 1),
    Case("slim_renorm", partial(_net, renorm=True), 1),
    Case("slim_renorm_flag", partial(_net, kind="placeholder", renorm=True), 1),
    Case("slim_initializers", _initializers, 1),
    Case("slim_batch_weights", _batch_weights, 1),
    Case("slim_adjustment", _adjusted, 1),
    Case("slim_arg_scope", _arg_scope, 3),
    Case("slim_arg_scope_cf2", _arg_scope, 3, control_flow=2, resource=True),
    Case("slim_nchw", _first, 1),
    Case("slim_nchw_unfused", partial(_first, fused=False), 1),
)
