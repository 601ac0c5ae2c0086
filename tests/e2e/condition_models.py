"""Functions with conditions and lists that depend on their data, and inputs that take every side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tests.e2e.recorded import Array

__all__ = ["CASES", "ConditionCase"]

_ROWS = tf.TensorSpec([None, 4], tf.float32)
_NUMBER = tf.TensorSpec([], tf.int32)

_POSITIVE = np.linspace(0.1, 1.7, 12, dtype=np.float32).reshape(3, 4)


@dataclass(frozen=True)
class ConditionCase:
    """A function of tensors.

    Attributes:
        function: What is exported.
        inputs: What its arguments are.
        runs: What to call it with, for each side.
        conditions: How many `If` nodes it is to have.
    """

    function: Callable[..., Any]
    inputs: Sequence[Any]
    runs: Sequence[Sequence[Array]]
    conditions: int

    @property
    def name(self) -> str:
        """The function's."""
        return self.function.__name__.lstrip("_")


def _grown(y: Any, limit: float = 100.0) -> Any:
    """A loop that never ends on what isn't positive."""
    return tf.while_loop(lambda y: tf.reduce_sum(y) < limit, lambda y: (y * 1.5,), (y,))[0]


def _endless(x: Any) -> Any:
    return tf.cond(tf.reduce_mean(x) > 0, lambda: _grown(x), lambda: x)


def _sizes(x: Any) -> Any:
    return tf.cond(tf.reduce_mean(x) > 0, lambda: x[:1], lambda: tf.concat([x, x], 0))


def _empty(x: Any) -> Any:
    masked = tf.cond(tf.reduce_mean(x) > 0, lambda: tf.boolean_mask(x, x[:, 0] > 0.5), lambda: tf.zeros([0, 4]))
    return masked, tf.cond(tf.reduce_mean(x) > 0, lambda: tf.constant([1.0, 2.0]), lambda: tf.constant([3.0]))


def _kinds(x: Any) -> Any:
    return tf.cond(
        tf.reduce_mean(x) > 0,
        lambda: (x > 0.5, tf.constant(["a", "b"]), tf.constant(3, tf.int64), tf.cast(x, tf.float64)),
        lambda: (x < -0.5, tf.constant(["z"]), tf.constant(4, tf.int64), tf.cast(x + 1, tf.float64)),
    )


def _nested(x: Any) -> Any:
    mean = tf.reduce_mean(x)

    def above() -> Any:
        return tf.cond(mean > 2, lambda: x[:1], lambda: _grown(x))

    return tf.cond(mean > 0, above, lambda: tf.cond(mean < -2, lambda: x * 2, lambda: x[:2]))


def _in_steps(x: Any) -> Any:
    """The loop on one side doesn't depend on the step, but whether it ends does, by the condition."""
    total = tf.reduce_sum(x)

    def step(i: Any, y: Any) -> Any:
        def count() -> Any:
            return tf.while_loop(lambda v: v < 10.0, lambda v: (v + total,), (0.0,))[0]

        z = tf.cond(tf.logical_and(i > 2, total > 0), count, lambda: 0.0)
        return i + 1, y * 0.8 + z * 0.01

    return tf.while_loop(lambda i, y: i < 5, step, (0, x))[1]


def _in_the_condition(x: Any) -> Any:
    """A condition, and a loop, decide whether a loop goes on."""

    def goes_on(i: Any, y: Any) -> Any:
        s = tf.while_loop(lambda k, t: k < i, lambda k, t: (k + 1, t + tf.reduce_mean(y)), (0, 0.0))[1]
        return tf.logical_and(i < 8, tf.cond(tf.reduce_mean(y) > 0, lambda: s < 20.0, lambda: i < 4))

    return tf.while_loop(goes_on, lambda i, y: (i + 1, y * 1.3), (0, x))


def _numbered(x: Any) -> Any:
    number = tf.cast(tf.reduce_mean(x), tf.int32)
    sides = [lambda: x, lambda: x[:1] * 2, lambda: _grown(x, 1000.0)]
    return tf.switch_case(number, sides, default=lambda: tf.concat([x, x], 0))


def _cheap(x: Any) -> Any:
    number = tf.cast(tf.sign(tf.reduce_mean(x)), tf.int32) + 1
    y = tf.switch_case(number, [lambda: x, lambda: x * 2, lambda: tf.sin(x)])
    return tf.cond(tf.reduce_mean(y) > 0, lambda: tf.nn.relu(y) * 2, lambda: -y)


def _looked_up(x: Any, i: Any) -> Any:
    inside = i < tf.shape(x)[0]
    row = tf.cond(inside, lambda: tf.gather(x, i), lambda: tf.zeros([4]))
    part = tf.cond(tf.equal(i, 0), lambda: tf.shape(x)[0], lambda: tf.shape(x)[0] // i)
    return row, part


def _interleaved(x: Any) -> Any:
    """One condition between two on the same tensor, and the other way round."""
    p, q = tf.reduce_mean(x) > 0, tf.reduce_max(x) > 1

    def loop(y: Any) -> Any:
        return tf.while_loop(lambda y: tf.reduce_sum(tf.abs(y)) < 100.0, lambda y: (y * 1.5,), (y,))[0]

    a = tf.cond(p, lambda: loop(x), lambda: x)
    b = tf.cond(q, lambda: loop(a), lambda: a)
    c = tf.cond(q, lambda: loop(x) + 1, lambda: x)
    return a + b, c, tf.cond(p, lambda: loop(c), lambda: c[:1])


def _mapped(n: Any, x: Any) -> Any:
    """In each step of a map, a loop on one side."""

    def one(pair: Any) -> Any:
        k, v = pair

        def summed() -> Any:
            return tf.while_loop(lambda i, s: i < k, lambda i, s: (i + 1, s + v), (0, tf.zeros_like(v)))[1]

        return tf.cond(k > 2, summed, lambda: v)

    return tf.map_fn(one, (n, x), fn_output_signature=tf.float32)


def _convolved(x: Any) -> Any:
    """Layers before, on one side, and behind."""
    kernel = tf.constant(np.linspace(-1, 1, 18, dtype=np.float32).reshape(3, 3, 1, 2))
    y = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))
    deep = tf.cond(tf.reduce_mean(x) > 0, lambda: tf.nn.conv2d(y[..., :1], kernel, 1, "SAME") + 1, lambda: y)
    return tf.nn.conv2d(deep[..., 1:], kernel, 2, "VALID")


def _kept_rows(x: Any) -> Any:
    """A list that grows on one side of a condition only, and that is asked for its size."""
    rows = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in tf.range(tf.shape(x)[0]):
        if x[i, 0] > 0.5:
            rows = rows.write(rows.size(), x[i])
    return rows.stack()


def _lists(x: Any) -> Any:
    """Lists that grow from one element on, by as many steps as it takes, and one that is written backwards."""
    first = tf.TensorArray(tf.float32, 1, dynamic_size=True, clear_after_read=False).write(0, x[0])
    _, more = tf.while_loop(
        lambda i, _: i < 6, lambda i, held: (i + 1, held.write(i, held.read(i - 1) * 1.1)), (1, first)
    )
    _, _, sums = tf.while_loop(
        lambda i, s, _: tf.reduce_sum(tf.abs(s)) < 30.0,
        lambda i, s, held: (i + 1, s + tf.abs(x[0]), held.write(i, s)),
        (0, tf.zeros([4]), tf.TensorArray(tf.float32, 0, dynamic_size=True)),
    )
    backwards = tf.TensorArray(tf.float32, 6, element_shape=[4])
    _, backwards = tf.while_loop(
        lambda i, _: i < 3, lambda i, held: (i + 1, held.write(5 - 2 * i, x[i])), (0, backwards)
    )
    parts, joined = tf.TensorArray(tf.float32, 3).split(tf.concat([x, x], 0), [2, 2, 2]), tf.TensorArray(tf.float32, 3)
    _, joined = tf.while_loop(
        lambda i, _: i < 3, lambda i, held: (i + 1, held.write(i, parts.read(i) * 2)), (0, joined)
    )
    return more.stack(), sums.stack()[-1], sums.size(), backwards.stack(), joined.concat()


_BEAM, _WORDS, _LONGEST = 3, 7, 6


def _beam_search(x: Any) -> Any:
    """A cell that writes words; of all continuations the best are kept, until all have ended; then traced back."""
    words = tf.constant(np.sin(np.arange(_WORDS * 4, dtype=np.float32) * 1.7).reshape(_WORDS, 4))
    batch = tf.shape(x)[0]
    only_end = tf.constant([[[0.0] + [-1e9] * (_WORDS - 1)]])

    def step(t: Any, h: Any, total: Any, ended: Any, written: Any, parents: Any) -> Any:
        scores = tf.reshape(tf.nn.log_softmax(tf.matmul(h, words, transpose_b=True)), [batch, _BEAM, _WORDS])
        scores = tf.where(ended[..., None], only_end, scores)
        total, places = tf.nn.top_k(tf.reshape(total[..., None] + scores, [batch, _BEAM * _WORDS]), _BEAM)
        parent, word = places // _WORDS, places % _WORDS
        h = tf.gather(tf.reshape(h, [batch, _BEAM, 4]), parent, batch_dims=1)
        h = tf.tanh(0.7 * tf.reshape(h, [-1, 4]) + tf.gather(words, tf.reshape(word, [-1])))
        ended = tf.logical_or(tf.gather(ended, parent, batch_dims=1), tf.equal(word, 0))
        return t + 1, h, total, ended, written.write(t, word), parents.write(t, parent)

    def goes_on(t: Any, _h: Any, _total: Any, ended: Any, *_: Any) -> Any:
        return tf.logical_and(t < _LONGEST, tf.logical_not(tf.reduce_all(ended)))

    lists = [tf.TensorArray(tf.int32, 0, dynamic_size=True) for _ in range(2)]
    total = tf.tile([[0.0] + [-1e9] * (_BEAM - 1)], [batch, 1])
    start = (0, tf.repeat(x, _BEAM, axis=0), total, tf.zeros([batch, _BEAM], tf.bool), *lists)
    _, _, total, _, written, parents = tf.while_loop(goes_on, step, start)
    written, parents = written.stack(), parents.stack()
    length = tf.shape(written)[0]

    def back(t: Any, places: Any, found: Any) -> Any:
        word = tf.gather(written[t], places, batch_dims=1)
        return t - 1, tf.gather(parents[t], places, batch_dims=1), found.write(t, word)

    places = tf.tile(tf.range(_BEAM)[None], [batch, 1])
    start = (length - 1, places, tf.TensorArray(tf.int32, length))
    _, _, found = tf.while_loop(lambda t, *_: t >= 0, back, start)
    return tf.transpose(found.stack(), [1, 2, 0]), total


_SIGNS = ([_POSITIVE], [-_POSITIVE])
_IMAGE = np.sin(np.arange(64, dtype=np.float32)).reshape(1, 8, 8, 1)

CASES = [
    ConditionCase(_endless, [_ROWS], _SIGNS, 1),
    ConditionCase(_sizes, [_ROWS], _SIGNS, 1),
    ConditionCase(_empty, [_ROWS], _SIGNS, 2),
    ConditionCase(_kinds, [_ROWS], _SIGNS, 1),
    ConditionCase(_nested, [_ROWS], [*_SIGNS, [_POSITIVE * 10], [_POSITIVE * -10]], 3),
    ConditionCase(_in_steps, [_ROWS], _SIGNS, 1),
    ConditionCase(_in_the_condition, [_ROWS], _SIGNS, 0),
    ConditionCase(_numbered, [_ROWS], [[_POSITIVE * k] for k in (-9, 0.1, 1.4, 3, 9)], 3),
    ConditionCase(_cheap, [_ROWS], [*_SIGNS, [_POSITIVE * 0]], 0),
    ConditionCase(_looked_up, [_ROWS, _NUMBER], [[_POSITIVE, np.array(i, np.int32)] for i in (0, 2, 50)], 2),
    ConditionCase(_interleaved, [_ROWS], _SIGNS, 4),
    ConditionCase(_mapped, [tf.TensorSpec([None], tf.int32), _ROWS], [[np.array([3, 0, 5], np.int32), _POSITIVE]], 1),
    ConditionCase(_kept_rows, [_ROWS], _SIGNS, 1),
    ConditionCase(_lists, [_ROWS], _SIGNS, 0),
    ConditionCase(_beam_search, [_ROWS], [*_SIGNS, [_POSITIVE[::-1] * 3]], 0),
    ConditionCase(_convolved, [tf.TensorSpec([None, 8, 8, 1], tf.float32)], [[_IMAGE + 2], [_IMAGE - 2]], 1),
]
