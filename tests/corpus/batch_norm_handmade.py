"""Batch norm written out by hand, in the ways that tutorials and repositories of 2015 to 2018 did it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.blocks import conv_net, dense_net, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]

_EPSILON = 1e-3


def _affine(width: int) -> tuple[Any, Any]:
    beta = tf.Variable(tf.zeros([width]), name="beta")
    return beta, tf.Variable(tf.ones([width]), name="gamma")


def _population(width: int) -> tuple[Any, Any]:
    mean = tf.Variable(tf.zeros([width]), trainable=False, name="pop_mean")
    return mean, tf.Variable(tf.ones([width]), trainable=False, name="pop_var")


def _moments(z: Any, **options: Any) -> tuple[Any, Any]:
    mean, variance = tf.nn.moments(z, list(range(z.shape.rank - 1)), **options)
    return mean, variance


def ema_in_cond(z: Any, training: Any) -> Any:
    """The average is applied inside the conditional, and identities make its order certain."""
    beta, gamma = _affine(z.shape[-1])
    batch_mean, batch_var = _moments(z, name="moments")
    ema = tf.train.ExponentialMovingAverage(decay=0.5)

    def update() -> tuple[Any, Any]:
        with tf.control_dependencies([ema.apply([batch_mean, batch_var])]):
            return tf.identity(batch_mean), tf.identity(batch_var)

    mean, var = tf.cond(training, update, lambda: (ema.average(batch_mean), ema.average(batch_var)))
    return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)


def ema_beside_cond(z: Any, training: Any) -> Any:
    """The average is applied by the training step; the conditional only chooses."""
    beta, gamma = _affine(z.shape[-1])
    batch_mean, batch_var = _moments(z)
    ema = tf.train.ExponentialMovingAverage(decay=0.7)
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, ema.apply([batch_mean, batch_var]))
    mean, var = tf.cond(
        training,
        lambda: (batch_mean, batch_var),
        lambda: (ema.average(batch_mean), ema.average(batch_var)),
    )
    return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)


def ema_of_variables(z: Any, training: Any) -> Any:
    """assign() to the variables, then an average over the variables: two steps from the batch mean."""
    beta, gamma = _affine(z.shape[-1])
    batch_mean, batch_var = _moments(z)
    mean, var = _population(z.shape[-1])
    ema = tf.train.ExponentialMovingAverage(decay=0.7)
    assign_mean, assign_var = mean.assign(batch_mean), var.assign(batch_var)
    with tf.control_dependencies([assign_mean, assign_var]):
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, ema.apply([mean, var]))
    if training is True:
        return tf.nn.batch_normalization(z, batch_mean, batch_var, beta, gamma, _EPSILON)
    return tf.nn.batch_normalization(z, ema.average(mean), ema.average(var), beta, gamma, _EPSILON)


def pop_assign(z: Any, training: Any, decay: float = 0.7) -> Any:
    """The population's statistics are assigned as a control dependency of the normalisation."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])

    def batch() -> Any:
        batch_mean, batch_var = _moments(z)
        new_mean = tf.assign(pop_mean, pop_mean * decay + batch_mean * (1 - decay))
        new_var = tf.assign(pop_var, pop_var * decay + batch_var * (1 - decay))
        with tf.control_dependencies([new_mean, new_var]):
            return tf.nn.batch_normalization(z, batch_mean, batch_var, beta, gamma, _EPSILON)

    def population() -> Any:
        return tf.nn.batch_normalization(z, pop_mean, pop_var, beta, gamma, _EPSILON)

    return _choose(training, batch, population)


def _choose(training: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    if isinstance(training, bool):
        return yes() if training else no()
    return tf.cond(training, yes, no)


def global_normalization(z: Any, training: Any) -> Any:
    """The batch norm op of the first releases, with its own spelling of the attributes."""
    beta, gamma = _affine(z.shape[-1])
    batch_mean, batch_var = _moments(z)
    ema = tf.train.ExponentialMovingAverage(decay=0.7)
    update = ema.apply([batch_mean, batch_var])
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
    mean, var = _choose(
        training,
        lambda: (batch_mean, batch_var),
        lambda: (ema.average(batch_mean), ema.average(batch_var)),
    )
    return tf.nn.batch_norm_with_global_normalization(
        z, mean, var, beta, gamma, _EPSILON, scale_after_normalization=True
    )


def moving_average(z: Any, training: Any, *, zero_debias: bool = False) -> Any:
    """assign_moving_average, as TensorFlow's own layers used it, in the branch that trains."""
    averages = import_module("tensorflow.python.training.moving_averages")
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])

    def batch() -> tuple[Any, Any]:
        mean, var = _moments(z)
        update_mean = averages.assign_moving_average(pop_mean, mean, 0.7, zero_debias=zero_debias)
        update_var = averages.assign_moving_average(pop_var, var, 0.7, zero_debias=False)
        with tf.control_dependencies([update_mean, update_var]):
            return tf.identity(mean), tf.identity(var)

    mean, var = _choose(training, batch, lambda: (tf.identity(pop_mean), tf.identity(pop_var)))
    return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)


def blended(z: Any, training: Any) -> Any:
    """The flag is a number, and the statistics are a weighted sum."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])
    batch_mean, batch_var = _moments(z)
    for variable, value in ((pop_mean, batch_mean), (pop_var, batch_var)):
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_sub(variable, 0.3 * (variable - value)))
    mean = training * batch_mean + (1 - training) * pop_mean
    var = training * batch_var + (1 - training) * pop_var
    return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)


def interpolated(z: Any, training: Any) -> Any:
    """The flag is a number, and says how far to go from the moving statistic to the batch's."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])
    batch_mean, batch_var = _moments(z)
    for variable, value in ((pop_mean, batch_mean), (pop_var, batch_var)):
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign(variable, 0.7 * variable + 0.3 * value))
    mean = pop_mean + training * (batch_mean - pop_mean)
    var = pop_var + training * (batch_var - pop_var)
    return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)


def deviation(z: Any, training: Any) -> Any:
    """A moving standard deviation, not a variance, and nothing is added to it."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_dev = _population(z.shape[-1])

    def batch() -> Any:
        mean, var = _moments(z)
        dev = tf.sqrt(var + _EPSILON)
        with tf.control_dependencies(
            [pop_mean.assign(0.7 * pop_mean + 0.3 * mean), pop_dev.assign(0.7 * pop_dev + 0.3 * dev)]
        ):
            return (z - mean) / dev

    return gamma * _choose(training, batch, lambda: (z - pop_mean) / pop_dev) + beta


def summed_up(z: Any, training: Any) -> Any:
    """The sums of all batches' statistics, and how many there were: no averages."""
    mean, var = _population(z.shape[-1])
    count = tf.Variable(1.0, trainable=False, name="count")
    batch_mean, batch_var = _moments(z)
    for variable, value in ((mean, batch_mean), (var, batch_var), (count, 1.0)):
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_add(variable, value))
    if training is True:
        return tf.nn.batch_normalization(z, batch_mean, batch_var, None, None, _EPSILON)
    return tf.nn.batch_normalization(z, mean / count, var / count, None, None, _EPSILON)


def selected(z: Any, training: Any) -> Any:
    """tf.where chooses, not tf.cond."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])
    batch_mean, batch_var = _moments(z)
    for variable, value in ((pop_mean, batch_mean), (pop_var, batch_var)):
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_add(variable, 0.3 * (value - variable)))
    mean, var = tf.where(training, batch_mean, pop_mean), tf.where(training, batch_var, pop_var)
    return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)


def by_formula(z: Any, training: Any) -> Any:
    """Every step written out: means of squares, a division by the root, then scale and shift."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])
    axes = list(range(z.shape.rank - 1))

    def batch() -> tuple[Any, Any]:
        mean = tf.reduce_mean(z, axes)
        var = tf.reduce_mean(tf.square(z - mean), axes)
        updates = [tf.assign_sub(pop_mean, (pop_mean - mean) * 0.3), tf.assign_sub(pop_var, (pop_var - var) * 0.3)]
        with tf.control_dependencies(updates):
            return tf.identity(mean), tf.identity(var)

    mean, var = _choose(training, batch, lambda: (pop_mean.read_value(), pop_var.read_value()))
    return gamma * (z - mean) / tf.sqrt(var + _EPSILON) + beta


def fused_by_hand(z: Any, training: Any) -> Any:
    """tf.nn.fused_batch_norm, once for each mode."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])

    def batch() -> Any:
        y, mean, var = tf.nn.fused_batch_norm(z, gamma, beta, epsilon=_EPSILON, is_training=True)
        updates = [tf.assign_sub(pop_mean, (pop_mean - mean) * 0.3), tf.assign_sub(pop_var, (pop_var - var) * 0.3)]
        with tf.control_dependencies(updates):
            return tf.identity(y)

    def population() -> Any:
        return tf.nn.fused_batch_norm(
            z, gamma, beta, mean=pop_mean, variance=pop_var, epsilon=_EPSILON, is_training=False
        )[0]

    return _choose(training, batch, population)


def stripped(z: Any, training: Any) -> Any:
    """The updates are gone from the graph; only the scope says which variables are the statistics."""
    with tf.variable_scope("bn"):
        gamma = tf.get_variable("gamma", z.shape[-1:], initializer=tf.ones_initializer())
        beta = tf.get_variable("beta", z.shape[-1:], initializer=tf.zeros_initializer())
        mean = tf.get_variable("moving_mean", z.shape[-1:], trainable=False)
        var = tf.get_variable("moving_variance", z.shape[-1:], initializer=tf.ones_initializer(), trainable=False)
        if training is True:
            return tf.nn.fused_batch_norm(z, gamma, beta, epsilon=_EPSILON, is_training=True)[0]
        return tf.nn.fused_batch_norm(z, gamma, beta, mean, var, _EPSILON, is_training=False)[0]


def shared_cond(z: Any, training: Any) -> Any:
    """Both whole branches inside the conditional, with a different op for each."""
    beta, gamma = _affine(z.shape[-1])
    pop_mean, pop_var = _population(z.shape[-1])

    def batch() -> Any:
        mean, var = _moments(z)
        updates = [pop_mean.assign_sub(0.3 * (pop_mean - mean)), pop_var.assign_sub(0.3 * (pop_var - var))]
        with tf.control_dependencies(updates):
            return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)

    def population() -> Any:
        scale = gamma * tf.rsqrt(pop_var + _EPSILON)
        return z * scale + (beta - pop_mean * scale)

    return _choose(training, batch, population)


def keep_dims(z: Any, training: Any) -> Any:
    """Statistics of shape [1, 1, 1, C], kept so in the variables."""
    beta, gamma = _affine(z.shape[-1])
    shape = [1] * (z.shape.rank - 1) + [z.shape[-1]]
    pop_mean = tf.Variable(tf.zeros(shape), trainable=False, name="pop_mean")
    pop_var = tf.Variable(tf.ones(shape), trainable=False, name="pop_var")

    def batch() -> tuple[Any, Any]:
        mean, var = _moments(z, keepdims=True)
        updates = [pop_mean.assign(0.7 * pop_mean + 0.3 * mean), pop_var.assign(0.7 * pop_var + 0.3 * var)]
        with tf.control_dependencies(updates):
            return tf.identity(mean), tf.identity(var)

    mean, var = _choose(training, batch, lambda: (tf.identity(pop_mean), tf.identity(pop_var)))
    return tf.nn.batch_normalization(z, mean, var, beta, gamma, _EPSILON)


Norm = Callable[[Any, Any], Any]


def _net(training: bool, norm: Norm, *, dense: bool = False, placeholder: bool = True, number: bool = False) -> Model:
    x = vectors() if dense else images()
    flags = []
    value: Any = training
    if number:
        value = tf.placeholder(tf.float32, [], "phase")
        flags = [Flag(value, 1.0, 0.0)]
    elif placeholder:
        value = tf.placeholder(tf.bool, name="phase_train")
        flags = [Flag(value, True, False)]
    return model(x, (dense_net if dense else conv_net)(x, lambda z: norm(z, value)), flags)


_CONDITIONAL: dict[str, Norm] = {
    "ema_in_cond": ema_in_cond,
    "ema_beside_cond": ema_beside_cond,
    "pop_assign": pop_assign,
    "global_normalization": global_normalization,
    "moving_average": moving_average,
    "by_formula": by_formula,
    "shared_cond": shared_cond,
    "keep_dims": keep_dims,
    "selected": selected,
}
_PYTHON: dict[str, Norm] = {
    "ema_of_variables": ema_of_variables,
    "pop_assign": pop_assign,
    "moving_average": moving_average,
    "by_formula": by_formula,
    "shared_cond": shared_cond,
    "keep_dims": keep_dims,
    "zero_debias": partial(moving_average, zero_debias=True),
}

CASES = (
    *(Case(f"hand_{name}", partial(_net, norm=norm), 1) for name, norm in _CONDITIONAL.items()),
    *(Case(f"hand_{name}_dense", partial(_net, norm=norm, dense=True), 1) for name, norm in _CONDITIONAL.items()),
    *(
        Case(f"hand_{name}_if", partial(_net, norm=norm), 1, control_flow=2, resource=True)
        for name, norm in _CONDITIONAL.items()
    ),
    *(Case(f"hand_{name}_true", partial(_net, norm=norm, placeholder=False), 1) for name, norm in _PYTHON.items()),
    Case("hand_by_formula_true_dense", partial(_net, norm=by_formula, dense=True, placeholder=False), 1),
    Case("hand_blended", partial(_net, norm=blended, number=True), 1),
    Case("hand_interpolated", partial(_net, norm=interpolated, number=True), 1),
    Case("hand_deviation", partial(_net, norm=deviation)),
    Case("hand_deviation_if", partial(_net, norm=deviation), control_flow=2, resource=True),
    Case("hand_deviation_true", partial(_net, norm=deviation, placeholder=False)),
    Case("hand_summed_up_true", partial(_net, norm=summed_up, placeholder=False), refused="MissingError"),
    Case("hand_fused", partial(_net, norm=fused_by_hand), 1),
    Case("hand_fused_if", partial(_net, norm=fused_by_hand), 1, control_flow=2, resource=True),
    Case("hand_fused_true", partial(_net, norm=fused_by_hand, placeholder=False), 1),
    Case("hand_stripped", partial(_net, norm=stripped, placeholder=False), 1),
)
