"""Loops: recurrent networks over time, decoders, loops written by hand, in both versions of control flow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Build, Flag, Model
from tests.corpus.blocks import model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]

_BATCH, _STEPS, _WIDTH = 8, 7, 5


def _sequences(*, time_major: bool = False) -> Any:
    """A placeholder [N, T, 5], or [T, N, 5]."""
    return tf.placeholder(tf.float32, [None, None, _WIDTH], "steps" if time_major else "sequences")


def _numbers(*, time_major: bool = False) -> Any:
    sizes = (_STEPS, _BATCH) if time_major else (_BATCH, _STEPS)
    return np.random.default_rng(3).normal(size=(*sizes, _WIDTH)).astype(np.float32)


def _train(output: Any) -> Any:
    """A step with clipped gradients, which go backwards through the loop."""
    loss = tf.reduce_mean(tf.square(output - 0.3))
    optimizer = tf.train.AdamOptimizer(0.01)
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    clipped, _ = tf.clip_by_global_norm(gradients, 1.0)
    return optimizer.apply_gradients(zip(clipped, variables, strict=True), tf.train.get_or_create_global_step())


def _recurrent(inputs: list[Any], output: Any, *, time_major: bool = False, flags: tuple[Flag, ...] = ()) -> Model:
    """A model of sequences and perhaps their lengths."""
    feeds = {inputs[0]: _numbers(time_major=time_major)}
    if len(inputs) > 1:
        feeds[inputs[1]] = np.array([7, 3, 1, 0, 5, 2, 6, 4], np.int32)
    return Model(inputs=inputs, outputs=[output], train=_train(output), flags=flags, feeds=feeds)


def _lengths() -> Any:
    return tf.placeholder(tf.int32, [None], "lengths")


def _last_state(training: bool) -> Model:
    """Only the last state is used; with lengths, so that there is a condition in each step."""
    x, lengths = _sequences(), _lengths()
    _, state = tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicLSTMCell(4), x, sequence_length=lengths, dtype=tf.float32)
    return _recurrent([x, lengths], tf.layers.dense(state.h, 3))


def _all_steps(training: bool) -> Model:
    """All steps, of sequences of one length."""
    x = _sequences()
    y, _ = tf.nn.dynamic_rnn(
        tf.nn.rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=3, cell_clip=2.0), x, dtype=tf.float32
    )
    return _recurrent([x], tf.layers.dense(y, 2))


def _all_steps_and_lengths(training: bool) -> Model:
    """All steps, of which those after the end are zeros, also after the end of the longest."""
    x, lengths = _sequences(), _lengths()
    y, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(4), x, sequence_length=lengths - 2, dtype=tf.float32)
    return _recurrent([x, lengths], tf.layers.dense(y, 2))


def _time_major(training: bool) -> Model:
    x = _sequences(time_major=True)
    cell = tf.nn.rnn_cell.BasicRNNCell(4, activation=tf.nn.relu)
    y, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32, time_major=True)
    return _recurrent([x], tf.layers.dense(y, 2) + tf.layers.dense(state, 2), time_major=True)


def _both_ways(training: bool) -> Model:
    x, lengths = _sequences(), _lengths()
    forwards, backwards = tf.nn.rnn_cell.BasicLSTMCell(3), tf.nn.rnn_cell.GRUCell(4)
    y, states = tf.nn.bidirectional_dynamic_rnn(forwards, backwards, x, sequence_length=lengths, dtype=tf.float32)
    scores = tf.layers.dense(tf.concat(y, 2), 2) + tf.layers.dense(states[1], 2)[:, None]
    return _recurrent([x, lengths], scores)


def _stacked(training: bool) -> Model:
    """Layers with dropout around each, whose keep probability is fed; word embeddings before them."""
    words = tf.placeholder(tf.int32, [None, None], "words")
    keep = tf.placeholder(tf.float32, [], "keep_prob")
    table = tf.get_variable("embeddings", [11, _WIDTH])
    x = tf.nn.dropout(tf.nn.embedding_lookup(table, words), keep_prob=keep)

    def layer() -> Any:
        return tf.nn.rnn_cell.DropoutWrapper(
            tf.nn.rnn_cell.BasicLSTMCell(4), input_keep_prob=keep, output_keep_prob=keep, state_keep_prob=keep
        )

    stack = tf.nn.rnn_cell.MultiRNNCell([layer() for _ in range(2)])
    y, state = tf.nn.dynamic_rnn(stack, x, dtype=tf.float32)
    y = tf.layers.dense(y[:, -1] + state[0].h, 3)
    feeds = {words: np.random.default_rng(2).integers(0, 11, (_BATCH, _STEPS))}
    return Model(inputs=[words], outputs=[y], train=_train(y), flags=[Flag(keep, 0.8, 1.0)], feeds=feeds)


def _carried(training: bool) -> Model:
    """The rows are the steps of one sequence; the state comes in, and a slice of it goes out for the next call."""
    x = tf.placeholder(tf.float32, [None, _WIDTH], "x")
    before = [tf.placeholder(tf.float32, [1, 4], name) for name in ("c_in", "h_in")]
    features = tf.expand_dims(tf.nn.elu(tf.layers.dense(x, 6)), 0)
    y, state = tf.nn.dynamic_rnn(
        tf.nn.rnn_cell.BasicLSTMCell(4),
        features,
        initial_state=tf.nn.rnn_cell.LSTMStateTuple(*before),
        sequence_length=tf.shape(x)[:1],
    )
    scores = tf.layers.dense(tf.reshape(y, [-1, 4]), 3)
    random = np.random.default_rng(5)
    feeds = {x: random.normal(size=(_BATCH, _WIDTH)), **{one: random.normal(size=(1, 4)) for one in before}}
    outputs = [state.c[:1, :], state.h[:1, :], scores]
    return Model(inputs=[x, *before], outputs=outputs, train=_train(scores), feeds=feeds)


def _variational(training: bool) -> Model:
    """One dropout mask for all steps."""
    x, lengths = _sequences(), _lengths()
    keep = tf.placeholder_with_default(1.0, [], "keep_prob")
    cell = tf.nn.rnn_cell.DropoutWrapper(
        tf.nn.rnn_cell.ResidualWrapper(tf.nn.rnn_cell.GRUCell(_WIDTH)),
        output_keep_prob=keep,
        variational_recurrent=True,
        dtype=tf.float32,
    )
    y, state = tf.nn.dynamic_rnn(cell, x, sequence_length=lengths, dtype=tf.float32)
    y = tf.layers.dense(tf.reduce_sum(y, 1) + state, 3)
    return _recurrent([x, lengths], y, flags=(Flag(keep, 0.8, 1.0),))


def _keras(training: bool) -> Model:
    """Keras layers, which leave a step before each loop and its last result behind."""
    x = _sequences()
    y = tf.keras.layers.LSTM(4, return_sequences=True, dropout=0.2, recurrent_dropout=0.2)(x, training=training)
    y = tf.keras.layers.Bidirectional(tf.keras.layers.GRU(3, return_sequences=True))(y)
    return _recurrent([x], tf.layers.dense(tf.reduce_mean(y, 1), 3))


def _static(training: bool) -> Model:
    """Unrolled: no loop at all, but conditions on lengths."""
    x, lengths = tf.placeholder(tf.float32, [None, _STEPS, _WIDTH], "sequences"), _lengths()
    y, _ = tf.nn.static_rnn(tf.nn.rnn_cell.GRUCell(4), tf.unstack(x, axis=1), sequence_length=lengths, dtype=tf.float32)
    return _recurrent([x, lengths], tf.layers.dense(y[-1], 3))


def _raw(training: bool) -> Model:
    """tf.nn.raw_rnn, whose TensorArray grows and whose condition is on data."""
    x, lengths = _sequences(), _lengths()
    cell = tf.nn.rnn_cell.GRUCell(4)
    steps = tf.TensorArray(tf.float32, tf.shape(x)[1]).unstack(tf.transpose(x, [1, 0, 2]))
    zeros = tf.zeros([tf.shape(x)[0], _WIDTH])

    def step(time: Any, output: Any, state: Any, _: Any) -> Any:
        finished = time >= lengths
        following = tf.cond(tf.reduce_all(finished), lambda: zeros, lambda: steps.read(time))
        following.set_shape([None, _WIDTH])
        if output is None:
            return finished, following, cell.zero_state(tf.shape(x)[0], tf.float32), None, None
        return finished, following, state, output, None

    outputs, state, _ = tf.nn.raw_rnn(cell, step)
    y = tf.layers.dense(tf.reduce_sum(outputs.stack(), 0) + state, 3)
    return _recurrent([x, lengths], y)


def _decoder(training: bool) -> Model:
    """An encoder, and a greedy decoder that attends to it and stops when all sequences have ended."""
    x = _sequences()
    memory, state = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(4), x, dtype=tf.float32)
    keys = tf.layers.dense(memory, 4, use_bias=False)
    table, cell = tf.get_variable("table", [6, 3]), tf.nn.rnn_cell.GRUCell(4, name="decoder")
    project = tf.layers.Dense(6, name="project")
    count = tf.shape(x)[0]

    def going(time: Any, word: Any, state: Any, ended: Any, scores: Any) -> Any:
        return tf.logical_and(time < 9, tf.logical_not(tf.reduce_all(ended)))

    def step(time: Any, word: Any, state: Any, ended: Any, scores: Any) -> Any:
        weights = tf.nn.softmax(tf.reduce_sum(keys * state[:, None], 2))
        context = tf.reduce_sum(memory * weights[:, :, None], 1)
        _, state = cell(tf.concat([tf.nn.embedding_lookup(table, word), context], 1), state)
        logits = project(state)
        word = tf.argmax(logits, 1, output_type=tf.int32)
        return time + 1, word, state, tf.logical_or(ended, tf.equal(word, 5)), scores.write(time, logits)

    start = (
        tf.constant(0),
        tf.zeros([count], tf.int32),
        state,
        tf.zeros([count], tf.bool),
        tf.TensorArray(tf.float32, 9, element_shape=[None, 6]),
    )
    *_, scores = tf.while_loop(going, step, start)
    y = tf.transpose(scores.stack(), [1, 0, 2], name="scores")
    return _recurrent([x], y)


def _counted(training: bool) -> Model:
    """A fixed number of steps."""
    x = vectors()
    dense = tf.layers.Dense(6, activation=tf.nn.tanh)
    dense.build([None, 6])
    _, y = tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y + dense(y)), (tf.constant(0), x))
    return model(x, tf.layers.dense(y, 3))


def _on_data(training: bool) -> Model:
    """As long as the numbers are large; how often is used too."""
    x = vectors()
    y = 9.0 * tf.layers.dense(x, 6)
    count, y = tf.while_loop(
        lambda i, y: tf.reduce_max(tf.abs(y)) > 1.0,
        lambda i, y: (i + 1, 0.7 * y + 0.1 / tf.cast(i, tf.float32)),
        (tf.constant(2), y),
    )
    return model(x, tf.layers.dense(y * tf.cast(count, tf.float32), 3))


def _nested(training: bool) -> Model:
    """A loop in a loop, of as many steps as the outer one's number."""
    x = vectors()
    kernel = tf.get_variable("kernel", [6, 6])

    def outer(i: Any, y: Any) -> Any:
        scale = tf.cast(i, tf.float32) * 0.2
        _, inner = tf.while_loop(
            lambda j, z: j < i, lambda j, z: (j + 1, z - scale * tf.nn.relu(tf.matmul(z, kernel))), (0, y)
        )
        return i + 1, inner + y

    _, y = tf.while_loop(lambda i, y: i < 4, outer, (1, x))
    return model(x, tf.layers.dense(y, 3))


def _branching(training: bool) -> Model:
    """A condition on data in each step, a loop in a branch of a condition, a TensorArray written in a branch."""
    x = vectors()
    hidden = tf.layers.dense(x, 6)
    array = tf.TensorArray(tf.float32, 5, element_shape=[None, 6], clear_after_read=False)

    def step(i: Any, y: Any, kept: Any) -> Any:
        y = tf.cond(tf.reduce_mean(y) > 0.0, lambda: y - tf.nn.relu(hidden), lambda: tf.tanh(y) + 0.1)
        kept = tf.cond(i % 2 > 0, lambda: kept.write(i, y), lambda: kept.write(i, tf.zeros_like(y)))
        return i + 1, y, kept

    _, y, kept = tf.while_loop(lambda i, y, kept: i < 5, step, (0, hidden, array))
    y = tf.cond(
        tf.reduce_max(y) > 0.0,
        lambda: tf.while_loop(lambda i, z: i < 3, lambda i, z: (i + 1, tf.tanh(z * hidden)), (0, y))[1],
        lambda: -y,
    )
    return model(x, tf.layers.dense(y + tf.reduce_sum(kept.stack(), 0), 3))


def _rewritten(training: bool) -> Model:
    """A TensorArray that is read, and whose elements are written over and over again, which version 1 can't."""
    x = vectors()
    last = tf.TensorArray(tf.float32, 2, element_shape=[None, 6], clear_after_read=False)
    last = last.write(0, x).write(1, tf.layers.dense(x, 6))

    def step(i: Any, last: Any) -> Any:
        first, second = last.read(0), last.read(1)
        return i + 1, last.write(i % 2, tf.nn.tanh(first + 0.5 * second))

    _, last = tf.while_loop(lambda i, last: i < 5, step, (0, last))
    return model(x, tf.layers.dense(last.read(0) - last.read(1), 3))


def _growing(training: bool) -> Model:
    """A tensor that gets longer at each step, as shape_invariants allows."""
    x = vectors()
    y = tf.layers.dense(x, 4)
    _, whole = tf.while_loop(
        lambda i, z: i < 4,
        lambda i, z: (i + 1, tf.concat([z, tf.nn.tanh(z[:, -4:] * 1.5)], 1)),
        (0, y),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None])),
    )
    return model(x, tf.layers.dense(tf.reshape(whole, [-1, 20]), 3))


def _mapped(training: bool) -> Model:
    """tf.map_fn and tf.scan over the rows."""
    x = vectors()
    y = tf.layers.dense(x, 6)
    kernel = tf.get_variable("kernel", [2, 3])
    rows = tf.map_fn(lambda row: tf.matmul(tf.reshape(row, [3, 2]), kernel), y)
    running = tf.scan(lambda before, row: 0.5 * before + row, rows)
    total = tf.foldl(lambda before, row: tf.maximum(before, row), rows)
    return Model(inputs=[x], outputs=[tf.layers.dense(tf.layers.flatten(running + total), 3)], train=None)


def _flagged(training: bool) -> Model:
    """A flag that decides in each step between training and inference: noise, and a batch norm's statistics."""
    x = vectors()
    flag = tf.placeholder(tf.bool, [], "is_training")
    dense = tf.layers.Dense(6)
    dense.build([None, 6])
    moving_mean = tf.get_variable("moving_mean", [6], trainable=False)
    ones = tf.ones_initializer()
    moving_variance = tf.get_variable("moving_variance", [6], initializer=ones, trainable=False)

    def step(i: Any, y: Any) -> Any:
        y = dense(y)
        y = tf.cond(flag, lambda: y + tf.random_normal(tf.shape(y), stddev=0.1), lambda: y)
        mean, variance = tf.cond(
            flag,
            lambda: tf.nn.moments(y, [0]),
            lambda: (tf.identity(moving_mean), tf.identity(moving_variance)),
        )
        return i + 1, tf.nn.relu(tf.nn.batch_normalization(y, mean, variance, None, None, 1e-3))

    _, y = tf.while_loop(lambda i, y: i < 3, step, (0, x))
    return model(x, tf.layers.dense(y, 3), [Flag(flag, True, False)])


def _normalised(training: bool) -> Model:
    """slim's batch norm in each step, its statistics updated outside."""
    x = vectors()
    y = slim.batch_norm(tf.layers.dense(x, 6), is_training=training, decay=0.7, scope="bn", scale=True)

    def step(i: Any, z: Any) -> Any:
        with tf.variable_scope("", reuse=True):
            return i + 1, tf.nn.relu(slim.batch_norm(z, is_training=False, scope="bn", scale=True)) - 0.5

    _, y = tf.while_loop(lambda i, z: i < 3, step, (0, y))
    return model(x, tf.layers.dense(y, 3))


def _counting(training: bool) -> Model:
    """A variable that is counted up in each step and read there."""
    x = vectors()
    count = tf.get_variable("count", [], initializer=tf.zeros_initializer(), use_resource=True, trainable=False)

    def step(i: Any, y: Any) -> Any:
        with tf.control_dependencies([count.assign_add(1.0)]):
            return i + 1, y * count.read_value()

    _, y = tf.while_loop(lambda i, y: i < 3, step, (0, tf.layers.dense(x, 6)), parallel_iterations=1)
    return Model(inputs=[x], outputs=[tf.layers.dense(y, 3)])


def _noisy(training: bool) -> Model:
    """Random numbers in each step, at inference too."""
    x = vectors()
    _, y = tf.while_loop(
        lambda i, y: i < 3, lambda i, y: (i + 1, y * tf.random_uniform(tf.shape(y))), (0, tf.layers.dense(x, 6))
    )
    return Model(inputs=[x], outputs=[tf.layers.dense(y, 3)])


def _ragged(training: bool) -> Model:
    """A TensorArray of tensors of different sizes, which are joined."""
    x = vectors()
    y = tf.layers.dense(x, 6)
    _, pieces = tf.while_loop(
        lambda i, pieces: i < 3,
        lambda i, pieces: (i + 1, pieces.write(i, y[: i + 1])),
        (0, tf.TensorArray(tf.float32, 3, infer_shape=False)),
    )
    return Model(inputs=[x], outputs=[tf.layers.dense(tf.reshape(pieces.concat(), [-1, 6]), 3)])


_LOOPS: dict[str, Build] = {
    "all_steps": _all_steps,
    "all_steps_and_lengths": _all_steps_and_lengths,
    "both_ways": _both_ways,
    "branching": _branching,
    "carried": _carried,
    "counted": _counted,
    "decoder": _decoder,
    "flagged": _flagged,
    "growing": _growing,
    "keras": _keras,
    "last_state": _last_state,
    "mapped": _mapped,
    "nested": _nested,
    "normalised": _normalised,
    "on_data": _on_data,
    "raw": _raw,
    "rewritten": _rewritten,
    "stacked": _stacked,
    "static": _static,
    "time_major": _time_major,
    "variational": _variational,
}

_OF_WHOLE_BATCH = frozenset({"branching", "carried", "decoder", "mapped", "on_data", "raw", "time_major"})
"""What one row gives depends on the others, or the first axis isn't the batch."""

_BATCH_NORMS = {"flagged": 1, "normalised": 2}

_REFUSED: dict[str, Callable[[bool], Model]] = {"counting": _counting, "noisy": _noisy, "ragged": _ragged}

CASES = (
    *(
        Case(
            f"loop_{name}{'_while' if version == 2 else ''}",
            build,
            _BATCH_NORMS.get(name, 0),
            kept=_BATCH_NORMS.get(name, 0),
            control_flow=version,
            resource=version == 2,
            any_batch=name not in _OF_WHOLE_BATCH,
            names=name == "static",
        )
        for name, build in _LOOPS.items()
        for version in ((2,) if name == "rewritten" else (1, 2))
    ),
    *(
        Case(
            f"loop_{name}{'_while' if version == 2 else ''}",
            partial(build),
            control_flow=version,
            resource=version == 2,
            refused="UnsupportedError",
        )
        for name, build in _REFUSED.items()
        for version in (1, 2)
    ),
)
