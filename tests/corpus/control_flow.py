"""Conditionals on flags, which are decided, and on data, which stay."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.blocks import conv_net, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def _negated(_: bool) -> tuple[Any, list[Flag]]:
    """The flag says when it is *not* training: false isn't its inference value."""
    is_test = tf.placeholder(tf.bool, [], "is_test")
    return tf.logical_not(is_test), [Flag(is_test, False, True)]


def _compared(_: bool) -> tuple[Any, list[Flag]]:
    mode = tf.placeholder(tf.int32, [], "mode")
    return tf.equal(mode, 1), [Flag(mode, 1, 0)]


def _cast(_: bool) -> tuple[Any, list[Flag]]:
    phase = tf.placeholder(tf.int32, [], "phase")
    return tf.cast(phase, tf.bool), [Flag(phase, 1, 0)]


def _positive(_: bool) -> tuple[Any, list[Flag]]:
    phase = tf.placeholder(tf.float32, [], "phase")
    return phase > 0.5, [Flag(phase, 1.0, 0.0)]


def _kept(_: bool) -> tuple[Any, list[Flag]]:
    """The keep probability, whose shape nobody gave, says whether this is training."""
    keep = tf.placeholder(tf.float32, name="keep_prob")
    return keep < 1.0, [Flag(keep, 0.5, 1.0)]


def _both(_: bool) -> tuple[Any, list[Flag]]:
    train = tf.placeholder(tf.bool, [], "is_training")
    update = tf.placeholder_with_default(True, [], "update_bn")
    return tf.logical_and(train, update), [Flag(train, True, False)]


def _reshaped(_: bool) -> tuple[Any, list[Flag]]:
    train = tf.placeholder(tf.bool, [1], "is_training")
    return tf.squeeze(train), [Flag(train, [True], [False])]


def _rankless(_: bool) -> tuple[Any, list[Flag]]:
    train = tf.placeholder(tf.bool, name="is_training")
    return tf.identity(train, "copied"), [Flag(train, True, False)]


Flags = Callable[[bool], tuple[Any, list[Flag]]]


def _batch_norm(training: bool, flags: Flags) -> Model:
    x = images()
    value, fed = flags(training)
    return model(x, conv_net(x, lambda z: tf.layers.batch_normalization(z, training=value, momentum=0.7)), fed)


def _flag() -> tuple[Any, list[Flag]]:
    tensor = tf.placeholder(tf.bool, [], "is_training")
    return tensor, [Flag(tensor, True, False)]


def _branches(training: bool) -> Model:
    """Two whole networks: the one that trains adds noise and a dropout."""
    x = vectors()
    value, flags = _flag()

    def layer(y: Any, width: int, name: str) -> Any:
        with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
            return tf.layers.dense(y, width, name=name)

    hidden = layer(x, 6, "first")
    y = tf.cond(
        value,
        lambda: layer(tf.nn.dropout(tf.nn.relu(hidden), rate=0.5), 3, "last"),
        lambda: layer(tf.nn.relu(hidden), 3, "last"),
    )
    return model(x, y, flags)


def _nested(training: bool) -> Model:
    x = vectors()
    value, flags = _flag()
    hidden = tf.layers.dense(x, 6)
    deep = tf.placeholder_with_default(True, [], "use_noise")

    def noisy() -> Any:
        return tf.cond(deep, lambda: hidden + tf.random_normal(tf.shape(hidden), stddev=0.1), lambda: hidden)

    y = tf.cond(value, noisy, lambda: 2.0 * hidden)
    return model(x, tf.layers.dense(tf.nn.relu(y), 3), flags)


def _data(training: bool) -> Model:
    """On data: this one has to survive."""
    x = vectors()
    hidden = tf.layers.dense(x, 6)
    y = tf.cond(tf.reduce_mean(hidden) > 0.0, lambda: tf.nn.relu(hidden), lambda: -hidden)
    return model(x, tf.layers.dense(y, 3))


def _data_inside_flag(training: bool) -> Model:
    x = images()
    value, flags = _flag()
    y = slim.batch_norm(tf.layers.conv2d(x, 4, 3), is_training=value, decay=0.7, updates_collections=None)
    mean = tf.reduce_mean(y)
    y = tf.cond(mean > 0.1, lambda: y - mean, lambda: y + mean)
    return model(x, tf.layers.dense(tf.layers.flatten(y), 3), flags)


def _where(training: bool) -> Model:
    """tf.where on the flag, and another on data."""
    x = vectors()
    value, flags = _flag()
    hidden = tf.layers.dense(x, 6)
    noise = tf.random_normal(tf.shape(hidden), stddev=0.1)
    hidden = tf.where(value, hidden + noise, hidden)
    return model(x, tf.layers.dense(tf.where(hidden > 0, hidden, 0.1 * hidden), 3), flags)


def _case(training: bool) -> Model:
    x = vectors()
    mode = tf.placeholder_with_default("eval", [], "mode")
    hidden = tf.layers.dense(x, 6)
    y = tf.case(
        [(tf.equal(mode, "train"), lambda: tf.nn.dropout(hidden, rate=0.5))],
        default=lambda: tf.identity(hidden),
    )
    return model(x, tf.layers.dense(tf.nn.relu(y), 3), [Flag(mode, "train", "eval")])


def _asserted(training: bool) -> Model:
    """Asserts and prints hang on the model by control edges."""
    x = vectors()
    with tf.control_dependencies([tf.Assert(tf.reduce_all(tf.is_finite(x)), [x]), tf.print("batch", tf.shape(x)[0])]):
        y = tf.layers.dense(x, 6)
    y = tf.check_numerics(tf.nn.relu(y), "not finite")
    y = tf.stop_gradient(tf.identity(y)) + tf.layers.dense(x, 6)
    return model(x, tf.layers.dense(y, 3))


def _multiplied(training: bool) -> Model:
    """A weight decay of the noise by a schedule that starts from the step counter."""
    x = vectors()
    step = tf.train.get_or_create_global_step()
    value, flags = _flag()
    sigma = tf.train.exponential_decay(0.1, step, 10, 0.9)
    y = tf.layers.dense(x, 6)
    y = tf.cond(value, lambda: y + sigma * tf.random_normal(tf.shape(y)), lambda: y)
    return model(x, tf.layers.dense(tf.nn.relu(y), 3), flags)


_FLAGS: dict[str, Flags] = {
    "compared": _compared,
    "cast": _cast,
    "positive": _positive,
    "kept": _kept,
    "both": _both,
    "reshaped": _reshaped,
    "rankless": _rankless,
}

CASES = (
    *(
        Case(
            f"flag_{name}{'_if' if version == 2 else ''}",
            partial(_batch_norm, flags=flags),
            1,
            control_flow=version,
            resource=version == 2,
        )
        for name, flags in _FLAGS.items()
        for version in (1, 2)
    ),
    Case("flag_negated", partial(_batch_norm, flags=_negated), 1, options={"values": {"is_test": True}}),
    *(
        Case(
            f"cond_{name}{'_if' if version == 2 else ''}",
            build,
            batch_norms,
            control_flow=version,
            resource=version == 2,
        )
        for name, build, batch_norms in (
            ("branches", _branches, 0),
            ("nested", _nested, 0),
            ("where", _where, 0),
            ("multiplied", _multiplied, 0),
        )
        for version in (1, 2)
    ),
    *(
        Case(
            f"cond_{name}{'_if' if version == 2 else ''}",
            build,
            batch_norms,
            control_flow=version,
            resource=version == 2,
            any_batch=False,
        )
        for name, build, batch_norms in (("data", _data, 0), ("data_inside_flag", _data_inside_flag, 1))
        for version in (1, 2)
    ),
    Case("cond_case", _case),
    Case("cond_asserts", _asserted),
)
