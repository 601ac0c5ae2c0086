"""tf.layers.batch_normalization, under every kind of flag, variable, control flow and option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.blocks import conv_net, dense_net, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def flag(kind: str, training: bool) -> tuple[Any, list[Flag]]:
    """The `training` argument in one of the ways people give it, and what to feed."""
    if kind == "placeholder":
        tensor = tf.placeholder(tf.bool, [], "is_training")
    elif kind == "default_true":
        tensor = tf.placeholder_with_default(True, [], "is_training")
    elif kind == "default_false":
        tensor = tf.placeholder_with_default(False, [], "is_training")
    elif kind == "variable":
        variable = tf.Variable(True, trainable=False, name="is_training")
        return (variable if training else False), []
    else:
        return {"true": training, "false": False, "true_always": True}[kind], []
    return tensor, [Flag(tensor, True, False)]


def _conv(training: bool, kind: str = "placeholder", **options: Any) -> Model:
    x = images()
    value, flags = flag(kind, training)
    y = conv_net(x, lambda z: tf.layers.batch_normalization(z, training=value, momentum=0.7, **options))
    return model(x, y, flags)


def _dense(training: bool, kind: str = "placeholder", **options: Any) -> Model:
    x = vectors()
    value, flags = flag(kind, training)
    options.setdefault("momentum", 0.7)
    return model(x, dense_net(x, lambda z: tf.layers.batch_normalization(z, training=value, **options)), flags)


def _first(training: bool, fused: bool) -> Model:
    x = tf.placeholder(tf.float32, [None, 3, 8, 8], "images")
    value, flags = flag("placeholder", training)
    y = tf.layers.conv2d(x, 4, 3, data_format="channels_first", name="conv")
    y = tf.layers.batch_normalization(y, axis=1, training=value, momentum=0.7, fused=fused)
    y = tf.layers.max_pooling2d(tf.nn.relu(y), 2, 2, data_format="channels_first")
    return model(x, tf.layers.dense(tf.layers.flatten(y), 3), flags)


def _momentum_tensor(training: bool) -> Model:
    momentum = tf.placeholder_with_default(0.6, [], "momentum")
    return _dense(training, momentum=momentum)


def _rank(training: bool, rank: int) -> Model:
    x = tf.placeholder(tf.float32, [None, *[6] * (rank - 2), 2], "x")
    value, flags = flag("true", training)
    y = {3: tf.layers.conv1d, 5: tf.layers.conv3d}[rank](x, 4, 3)
    y = tf.nn.relu(tf.layers.batch_normalization(y, training=value, momentum=0.7))
    return model(x, tf.layers.dense(tf.layers.flatten(y), 3), flags)


def _shared(training: bool) -> Model:
    """A siamese pair: two places in the graph read and update the same variables."""
    value, flags = flag("placeholder", training)
    left, right = vectors(name="left"), vectors(name="right")

    def tower(x: Any) -> Any:
        with tf.variable_scope("tower", reuse=tf.AUTO_REUSE):
            y = tf.layers.dense(x, 5, name="hidden")
            return tf.nn.relu(tf.layers.batch_normalization(y, training=value, momentum=0.7, name="bn"))

    distance = tf.reduce_sum(tf.square(tower(left) - tower(right)), axis=1, name="distance")
    trained = model(left, distance, flags)
    return Model(inputs=[left, right], outputs=[distance], train=trained.train, flags=flags)


def _twice(training: bool) -> Model:
    def norm(z: Any) -> Any:
        once = tf.layers.batch_normalization(z, training=training, momentum=0.7)
        return tf.layers.batch_normalization(once, training=training, momentum=0.6)

    x = images()
    return model(x, conv_net(x, norm))


def _first_thing(training: bool) -> Model:
    """Batch norm of the input itself, in front of a convolution that pads: only the scale can move."""
    x = images()
    y = tf.layers.batch_normalization(x, training=training, momentum=0.7)
    return model(x, tf.layers.flatten(tf.nn.relu(tf.layers.conv2d(y, 4, 3, padding="same"))))


def _after_relu(training: bool) -> Model:
    x = vectors()
    y = tf.nn.relu(tf.layers.dense(x, 5))
    y = tf.layers.batch_normalization(y, training=training, momentum=0.7)
    return model(x, tf.layers.dense(y, 3))


def _double(training: bool) -> Model:
    x = tf.placeholder(tf.float64, [None, 6], "x")
    return model(x, dense_net(x, lambda z: tf.layers.batch_normalization(z, training=training, momentum=0.7)))


def _no_updates(training: bool) -> Model:
    """The update ops exist, but nobody ran them."""
    x = vectors()
    y = dense_net(x, lambda z: tf.layers.batch_normalization(z, training=training))
    loss = tf.reduce_mean(tf.square(y - tf.placeholder(tf.float32, [None, 3], "target")))
    return Model(inputs=[x], outputs=[y], train=tf.train.AdamOptimizer(0.01).minimize(loss))


def _always(training: bool, build: Callable[..., Model], **options: Any) -> Model:
    """Batch norm that normalises by the batch at inference too, as its author means it: the updates were never run."""
    net = build(training, kind="true_always", **options)
    loss = tf.reduce_mean(tf.square(net.outputs[0] - tf.placeholder(tf.float32, net.outputs[0].shape, "other_target")))

    def fix(session: Any) -> None:
        moving = [v for v in tf.global_variables() if "moving" in v.name]
        session.run(tf.variables_initializer(moving))

    return replace(net, train=tf.train.GradientDescentOptimizer(0.05).minimize(loss), fix=fix)


CASES = (
    *(
        Case(f"layers_{net}_{kind}", partial(build, kind=kind), 1)
        for net, build in (("conv", _conv), ("dense", _dense))
        for kind in ("placeholder", "default_true", "default_false", "true", "false", "variable")
    ),
    *(
        Case(
            f"layers_{net}_{kind}_resource{'_if' if control_flow == 2 else ''}",
            partial(build, kind=kind),
            1,
            control_flow=control_flow,
            resource=True,
        )
        for net, build in (("conv", _conv), ("dense", _dense))
        for kind in ("placeholder", "default_true")
        for control_flow in (1, 2)
    ),
    Case("layers_conv_unfused", partial(_conv, fused=False), 1),
    Case("layers_conv_unfused_true", partial(_conv, kind="true", fused=False), 1),
    Case("layers_nchw_fused", partial(_first, fused=True), 1),
    Case("layers_nchw_unfused", partial(_first, fused=False), 1),
    Case("layers_height_axis", partial(_conv, kind="true", axis=1, fused=False), 1, kept=1),
    Case("layers_no_scale", partial(_conv, kind="true", scale=False), 1),
    Case("layers_no_center", partial(_conv, kind="true", center=False), 1),
    Case("layers_neither", partial(_dense, scale=False, center=False), 1),
    Case("layers_not_trainable", partial(_conv, trainable=False), 1),
    Case("layers_renorm", partial(_conv, renorm=True), 1),
    Case("layers_renorm_true", partial(_conv, kind="true", renorm=True), 1),
    Case("layers_renorm_dense_cf2", partial(_dense, renorm=True), 1, control_flow=2, resource=True),
    Case("layers_virtual_batch", partial(_conv, kind="true", virtual_batch_size=2), 1, any_batch=False),
    Case("layers_virtual_batch_flag", partial(_dense, virtual_batch_size=4), 1, any_batch=False),
    Case("layers_momentum_tensor", _momentum_tensor, 1),
    Case("layers_rank3", partial(_rank, rank=3), 1),
    Case("layers_rank5", partial(_rank, rank=5), 1),
    Case("layers_shared", _shared, 2),
    Case("layers_twice", _twice, 2),
    Case("layers_first_thing", _first_thing, 1, kept=1),
    Case("layers_after_relu", _after_relu, 1),
    Case("layers_float64", _double, 1),
    Case("layers_no_updates", _no_updates, 1),
    Case("layers_always_fused", partial(_always, build=_conv), any_batch=False),
    Case("layers_always_unfused", partial(_always, build=_conv, fused=False), any_batch=False),
    Case("layers_always_dense", partial(_always, build=_dense), any_batch=False),
    Case("layers_always_no_scale", partial(_always, build=_dense, scale=False), any_batch=False),
)
