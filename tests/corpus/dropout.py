"""Dropout and other noise: every way to write it, of every TensorFlow version; at inference it isn't there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.batch_norm_layers import flag
from tests.corpus.blocks import fit, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]

Noise = Callable[[Any, bool], tuple[Any, list[Flag]]]


def _net(training: bool, noise: Noise, *, conv: bool = False) -> Model:
    x = images() if conv else vectors()
    y = tf.nn.relu(tf.layers.conv2d(x, 4, 3, padding="same") if conv else tf.layers.dense(x, 8))
    y, flags = noise(y, training)
    return model(x, tf.layers.dense(tf.layers.flatten(y), 3, name="logits"), flags)


def _number(name: str, training_value: float, inference: float, default: float | None) -> tuple[Any, list[Flag]]:
    bare = default is None
    tensor = tf.placeholder(tf.float32, [], name) if bare else tf.placeholder_with_default(default, [], name)
    return tensor, [Flag(tensor, training_value, inference)]


def keep_placeholder(y: Any, training: bool, default: float | None = None) -> tuple[Any, list[Flag]]:
    keep_prob, flags = _number("keep_prob", 0.5, 1.0, default)
    return tf.nn.dropout(y, keep_prob), flags


def rate_placeholder(y: Any, training: bool, default: float | None = None) -> tuple[Any, list[Flag]]:
    rate, flags = _number("dropout_rate", 0.5, 0.0, default)
    return tf.nn.dropout(y, rate=rate), flags


def keep_constant(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    return (tf.nn.dropout(y, keep_prob=0.6) if training else y), []


def rate_constant(y: Any, training: bool, **options: Any) -> tuple[Any, list[Flag]]:
    return (tf.nn.dropout(y, rate=0.4, **options) if training else y), []


def first_generation(y: Any, training: bool, *, placeholder: bool = True) -> tuple[Any, list[Flag]]:
    """TensorFlow 0.x to 1.12: x / keep_prob * floor(keep_prob + uniform)."""
    if placeholder:
        keep_prob, flags = _number("keep_prob", 0.5, 1.0, None)
    elif training:
        keep_prob, flags = tf.constant(0.5, name="keep_prob"), []
    else:
        return y, []
    with tf.name_scope("dropout"):
        uniform = tf.raw_ops.RandomUniform(shape=tf.shape(y), dtype=tf.float32)
        uniform = uniform * (tf.constant(1.0) - tf.constant(0.0)) + tf.constant(0.0)
        mask = tf.floor(tf.raw_ops.Add(x=keep_prob, y=uniform))
        return tf.raw_ops.Mul(x=tf.raw_ops.RealDiv(x=y, y=keep_prob), y=mask), flags


def oldest(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    """The same with the op `Div`, and the mask multiplied before the inverse keep probability."""
    keep_prob, flags = _number("keep_prob", 0.5, 1.0, None)
    uniform = tf.raw_ops.RandomUniform(shape=tf.shape(y), dtype=tf.float32)
    mask = tf.floor(keep_prob + uniform)
    return y * tf.raw_ops.Div(x=tf.constant(1.0), y=keep_prob) * mask, flags


def second_generation(y: Any, training: bool, *, placeholder: bool = True) -> tuple[Any, list[Flag]]:
    """TensorFlow 1.13 to 2.3: x * (1 / (1 - rate)) * cast(uniform >= rate)."""
    if placeholder:
        rate, flags = _number("rate", 0.5, 0.0, None)
    elif training:
        rate, flags = tf.constant(0.5, name="rate"), []
    else:
        return y, []
    with tf.name_scope("dropout"):
        uniform = tf.random_uniform(tf.shape(y))
        scale = 1 / (1 - rate)
        return y * scale * tf.cast(uniform >= rate, tf.float32), flags


def layers(y: Any, training: bool, kind: str = "placeholder", **options: Any) -> tuple[Any, list[Flag]]:
    value, flags = flag(kind, training)
    return tf.layers.dropout(y, 0.4, training=value, **options), flags


def keras(y: Any, training: bool, layer: str = "Dropout", amount: float = 0.4) -> tuple[Any, list[Flag]]:
    phase = tf.keras.backend.learning_phase()
    return getattr(tf.keras.layers, layer)(amount)(y), [Flag(phase, True, False)]


def keras_baked(y: Any, training: bool, layer: str) -> tuple[Any, list[Flag]]:
    """`training=True` in the call: no flag is left in the graph."""
    return getattr(tf.keras.layers, layer)(0.3)(y, training=training), []


def contrib(y: Any, training: bool, kind: str = "placeholder") -> tuple[Any, list[Flag]]:
    value, flags = flag(kind, training)
    return slim.dropout(y, keep_prob=0.6, is_training=value), flags


def whole_cond(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    value, flags = flag("placeholder", training)
    return tf.cond(value, lambda: tf.nn.dropout(y, rate=0.5), lambda: y), flags


def cond_keep(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    """The conditional chooses the probability, not the tensor."""
    value, flags = flag("default_true", training)
    keep_prob = tf.cond(value, lambda: tf.constant(0.5), lambda: tf.constant(1.0))
    return tf.nn.dropout(y, keep_prob), flags


def where_rate(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    value, flags = flag("placeholder", training)
    return tf.nn.dropout(y, rate=tf.where(value, 0.5, 0.0)), flags


def cast_rate(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    value, flags = flag("placeholder", training)
    return tf.nn.dropout(y, rate=0.5 * tf.cast(value, tf.float32)), flags


def added_noise(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    """Gaussian noise under the training flag."""
    value, flags = flag("placeholder", training)
    return y + tf.cond(value, lambda: tf.random_normal(tf.shape(y), stddev=0.1), lambda: tf.zeros_like(y)), flags


def fed_level(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    """How loud the noise is, is fed."""
    level = tf.placeholder(tf.float32, name="level")
    noise = tf.random_normal(tf.shape(y)) if training else tf.zeros_like(y)
    return y + tf.reshape(level * noise, tf.shape(y)), [Flag(level, 0.1, 0.0)]


def kept_level(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    """How loud the noise is, is a variable of the schedule."""
    level = tf.get_variable("level", [], initializer=tf.constant_initializer(0.1), trainable=False)
    return (y + level * tf.random_normal(tf.shape(y)) if training else y), []


def _twice(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    """One keep probability for two dropouts."""
    keep_prob, flags = _number("keep_prob", 0.5, 1.0, None)
    y = tf.nn.relu(tf.layers.dense(tf.nn.dropout(y, keep_prob), 7))
    return tf.nn.dropout(y, keep_prob), flags


def _two_probabilities(y: Any, training: bool) -> tuple[Any, list[Flag]]:
    hidden, flags = _number("keep_prob_hidden", 0.5, 1.0, None)
    rate, more = _number("rate_input", 0.2, 0.0, 0.2)
    y = tf.nn.relu(tf.layers.dense(tf.nn.dropout(y, rate=rate), 7))
    return tf.nn.dropout(y, hidden), flags + more


def _with_batch_norm(training: bool) -> Model:
    value, flags = flag("placeholder", training)
    keep_prob, more = _number("keep_prob", 0.5, 1.0, None)
    x = images()
    y = tf.layers.batch_normalization(tf.layers.conv2d(x, 4, 3), training=value, momentum=0.7)
    y = tf.layers.dropout(tf.nn.relu(y), 0.3, training=value)
    y = tf.nn.dropout(tf.layers.dense(tf.layers.flatten(y), 6), keep_prob)
    return model(x, tf.layers.dense(y, 3), flags + more)


def _at_the_end(training: bool) -> Model:
    """Dropout is the last op: the output's name is the dropout's."""
    x = vectors()
    y, flags = keep_placeholder(tf.layers.dense(x, 3), training)
    return model(x, y, flags)


def _vae(training: bool) -> Model:
    """The sample is part of the model: no inference function follows from the graph alone."""
    x = vectors()
    hidden = tf.nn.relu(tf.layers.dense(x, 8))
    mean, log_variance = tf.layers.dense(hidden, 2), tf.layers.dense(hidden, 2)
    sample = mean + tf.exp(0.5 * log_variance) * tf.random_normal(tf.shape(mean), seed=3)
    y = tf.layers.dense(tf.nn.relu(tf.layers.dense(sample, 8)), 6, name="restored")
    return Model(inputs=[x], outputs=[y], train=fit(y))


_NOISES: dict[str, Noise] = {
    "keep_placeholder": keep_placeholder,
    "keep_default": partial(keep_placeholder, default=0.5),
    "keep_default_one": partial(keep_placeholder, default=1.0),
    "keep_constant": keep_constant,
    "rate_placeholder": rate_placeholder,
    "rate_default": partial(rate_placeholder, default=0.4),
    "rate_constant": rate_constant,
    "first_generation": first_generation,
    "first_generation_baked": partial(first_generation, placeholder=False),
    "oldest": oldest,
    "second_generation": second_generation,
    "second_generation_baked": partial(second_generation, placeholder=False),
    "layers_placeholder": layers,
    "layers_default_false": partial(layers, kind="default_false"),
    "layers_true": partial(layers, kind="true"),
    "keras": keras,
    "keras_gaussian_noise": partial(keras, layer="GaussianNoise"),
    "keras_gaussian_dropout": partial(keras, layer="GaussianDropout"),
    "keras_alpha": partial(keras, layer="AlphaDropout"),
    "keras_baked": partial(keras_baked, layer="Dropout"),
    "keras_gaussian_noise_baked": partial(keras_baked, layer="GaussianNoise"),
    "keras_gaussian_dropout_baked": partial(keras_baked, layer="GaussianDropout"),
    "keras_alpha_baked": partial(keras_baked, layer="AlphaDropout"),
    "slim": contrib,
    "slim_true": partial(contrib, kind="true"),
    "slim_false": partial(contrib, kind="false"),
    "whole_cond": whole_cond,
    "cond_keep": cond_keep,
    "where_rate": where_rate,
    "cast_rate": cast_rate,
    "added_noise": added_noise,
    "fed_level": fed_level,
    "kept_level": kept_level,
    "twice": _twice,
    "two_probabilities": _two_probabilities,
}

CASES = (
    *(Case(f"dropout_{name}", partial(_net, noise=noise)) for name, noise in _NOISES.items()),
    *(
        Case(f"dropout_{name}_if", partial(_net, noise=_NOISES[name]), control_flow=2, resource=True)
        for name in ("layers_placeholder", "keras", "slim", "whole_cond", "cond_keep", "added_noise")
    ),
    Case("dropout_noise_shape", partial(_net, noise=partial(rate_constant, noise_shape=[1, 8]))),
    Case(
        "dropout_channels",
        partial(_net, conv=True, noise=partial(layers, kind="true", noise_shape=[None, 1, 1, 4])),
    ),
    Case("dropout_spatial", partial(_net, conv=True, noise=partial(keras, layer="SpatialDropout2D"))),
    Case("dropout_conv", partial(_net, conv=True, noise=keep_placeholder)),
    Case("dropout_with_batch_norm", _with_batch_norm, 1),
    Case("dropout_at_the_end", _at_the_end),
    Case("noise_vae", _vae, refused="UnsupportedError"),
)
