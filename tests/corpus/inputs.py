"""Where the data comes from: placeholders of every shape, queues, iterators, decoders, parsers.

The model's input is the tensor that comes out of the pipeline; the inference graphs have a placeholder there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Model
from tests.corpus.blocks import conv_net, dense_net, fit, model
from tests.corpus.case import Case

__all__ = ["CASES"]

_RNG = np.random.default_rng(5)
_ROWS = _RNG.normal(size=(16, 6)).astype(np.float32)
_LABELS = _RNG.integers(0, 3, 16)


def _norm(training: bool) -> Any:
    return lambda z: tf.layers.batch_normalization(z, training=training, momentum=0.7)


def _dense(x: Any, training: bool) -> Any:
    return dense_net(x, _norm(training))


def _loss(y: Any, labels: Any) -> Any:
    loss = tf.losses.sparse_softmax_cross_entropy(labels, y)
    with tf.control_dependencies([tf.group(*tf.get_collection(tf.GraphKeys.UPDATE_OPS))]):
        return tf.train.GradientDescentOptimizer(0.05).minimize(loss)


def _placeholder(training: bool, shape: list[int | None] | None, dtype: str = "float32") -> Model:
    x = tf.placeholder(dtype, shape, "x")
    y = tf.cast(x, tf.float32)
    if shape is None:
        y = tf.reshape(y, [-1, 6])
    feed = {} if shape is not None and dtype != "int32" else {x: np.arange(48).reshape(8, 6) % 11}
    return model(x, _dense(y, training), feeds=feed)


def _fixed_batch(training: bool) -> Model:
    x = tf.placeholder(tf.float32, [4, 6], "x")
    return model(x, _dense(x, training))


def _default(training: bool) -> Model:
    """An input with a default value is an input all the same."""
    x = tf.placeholder_with_default(np.zeros([1, 6], np.float32), [None, 6], "x")
    y = _dense(x, training)
    feeds = {x: _ROWS[:8]}
    target = tf.placeholder(tf.float32, [None, 3], "target")
    with tf.control_dependencies([tf.group(*tf.get_collection(tf.GraphKeys.UPDATE_OPS))]):
        train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean(tf.square(y - target)))
    return Model(inputs=[x], outputs=[y], train=train, feeds={**feeds, target: np.ones([8, 3])})


def _queue_as_default(training: bool) -> Model:
    """A queue feeds the training; whoever uses the network feeds the placeholder in front of it."""
    if training:
        queue = tf.FIFOQueue(64, [tf.float32, tf.int64], shapes=[[6], []], name="queue")
        enqueue = queue.enqueue_many([tf.constant(_ROWS), tf.constant(_LABELS)])
        tf.train.add_queue_runner(tf.train.QueueRunner(queue, [enqueue]))
        rows, labels = queue.dequeue_many(8)
        x = tf.placeholder_with_default(rows, [None, 6], "x")
    else:
        x, labels = tf.placeholder(tf.float32, [None, 6]), tf.placeholder(tf.int64, [None])
    y = _dense(x, training)
    return Model(inputs=[x], outputs=[y], train=_loss(y, labels))


def _cached_activations(training: bool) -> Model:
    """Retraining the last layer: cached activations may be fed, by default the network computes them."""
    x = tf.placeholder(tf.float32, [None, 6], "x")
    y = tf.nn.relu(tf.layers.batch_normalization(tf.layers.dense(x, 5), training=False))
    y = tf.placeholder_with_default(y, [None, 5], "bottleneck") if training else y
    y = tf.layers.dense(y, 3, name="final")
    labels = tf.placeholder(tf.int64, [None], "labels")
    scores = tf.nn.softmax(y)
    predicted = tf.argmax(scores, 1)
    right = tf.equal(predicted, labels)
    tf.summary.scalar("accuracy", tf.reduce_mean(tf.cast(right, tf.float32)))
    feeds = {x: _ROWS, labels: _LABELS}
    return Model(inputs=[x], outputs=[scores, predicted], train=_loss(y, labels), feeds=feeds)


def _unknown_size(training: bool) -> Model:
    """A fully convolutional network: height and width are open too."""
    x = tf.placeholder(tf.float32, [None, None, None, 3], "images")
    y = tf.layers.conv2d(x, 4, 3, strides=2, padding="same", use_bias=False)
    y = tf.nn.relu(tf.layers.batch_normalization(y, training=training, momentum=0.7))
    y = tf.layers.dense(tf.reduce_mean(y, [1, 2]), 3)
    return model(x, y, feeds={x: _RNG.normal(size=(8, 9, 12, 3)).astype(np.float32)})


def _two(training: bool) -> Model:
    """An image and a vector, each normalised with constants before they meet."""
    image = tf.placeholder(tf.uint8, [None, 8, 8, 3], "image")
    extra = tf.placeholder(tf.float32, [None, 4], "extra")
    y = (tf.to_float(image) - 127.5) / 127.5
    y = tf.reduce_mean(tf.nn.relu(tf.layers.conv2d(y, 4, 3)), [1, 2])
    y = _dense(tf.concat([y, extra], 1), training)
    return Model(inputs=[image, extra], outputs=[y], train=fit(y))


def _scaled(training: bool) -> Model:
    """0..255 to -1..1 and channel means, in the graph."""
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], "images")
    red, green, blue = tf.split(x, 3, axis=3)
    y = tf.concat([blue - 103.939, green - 116.779, red - 123.68], axis=3) / 58.0
    return model(x, conv_net(y, _norm(training)), feeds={x: _RNG.integers(0, 255, (8, 8, 8, 3)).astype(np.float32)})


def _fifo(training: bool) -> Model:
    """FIFOQueue, filled by a queue runner."""
    if training:
        queue = tf.FIFOQueue(32, [tf.float32, tf.int64], shapes=[[6], []])
        enqueue = queue.enqueue_many([tf.constant(_ROWS), tf.constant(_LABELS)])
        tf.train.add_queue_runner(tf.train.QueueRunner(queue, [enqueue]))
        x, labels = queue.dequeue_many(8, name="dequeue")
    else:
        x, labels = tf.placeholder(tf.float32, [8, 6]), tf.placeholder(tf.int64, [8])
    y = _dense(x, training)
    return Model(inputs=[x], outputs=[y], train=_loss(y, labels))


def _batched(training: bool, shuffle: bool) -> Model:
    """tf.train.batch and shuffle_batch over slices of arrays."""
    if training:
        row, label = tf.train.slice_input_producer([tf.constant(_ROWS), tf.constant(_LABELS)], shuffle=False)
        if shuffle:
            x, labels = tf.train.shuffle_batch([row, label], 8, capacity=32, min_after_dequeue=8, seed=1)
        else:
            x, labels = tf.train.batch([row, label], 8, name="batch", dynamic_pad=False)
    else:
        x, labels = tf.placeholder(tf.float32, [8, 6]), tf.placeholder(tf.int64, [8])
    y = _dense(x, training)
    return Model(inputs=[x], outputs=[y], train=_loss(y, labels))


def _rows(x: Any) -> Any:
    """The batch, a number where the graph knows it: constants of the graph hold it then."""
    return x.shape[0].value or tf.shape(x)[0]


def _heads(x: Any, training: bool) -> Any:
    """Attention as BERT writes it: to matrices and back, and a mask made of ones for the batch."""
    rows = _rows(x)
    flat = tf.reshape(x, [rows * 3, 2])
    query, key = (tf.reshape(tf.layers.dense(flat, 4), [rows, 3, 2, 2]) for _ in range(2))
    query, key = tf.transpose(query, [0, 2, 1, 3]), tf.transpose(key, [0, 2, 1, 3])
    mask = tf.ones([rows, 3, 1]) * tf.reshape(tf.cast(x[:, :3] > -9.0, tf.float32), [rows, 1, 3])
    scores = tf.matmul(query, key, transpose_b=True) + tf.expand_dims((1.0 - mask) * -1e4, [1])
    mixed = tf.transpose(tf.matmul(tf.nn.softmax(scores), key), [0, 2, 1, 3])
    y = tf.reshape(mixed, [rows * 3, 4])
    return _dense(tf.reshape(y, [rows, 12]), training)


def _time_major(x: Any, training: bool) -> Any:
    """The batch in the middle: [time, batch, features] as one matrix, and back."""
    rows = _rows(x)
    y = tf.transpose(tf.reshape(x, [rows, 2, 3]), [1, 0, 2])
    y = tf.layers.dense(tf.reshape(y, [2 * rows, 3]), 4, tf.nn.relu)
    return _dense(tf.reshape(y, [2, rows, 4])[-1] * tf.fill([rows, 4], 0.5), training)


def _iterator(training: bool, kind: str, whole: bool = False, net: Callable[[Any, bool], Any] = _dense) -> Model:
    """`whole`: an incomplete batch would be dropped, so that the graph knows how large a batch is."""
    if training:
        data = tf.data.Dataset.from_tensor_slices({"x": _ROWS, "y": _LABELS}).repeat()
        data = data.map(lambda row: {"x": row["x"] * 1.0, "y": row["y"]}).batch(8, drop_remainder=whole).prefetch(1)
        if kind == "one_shot":
            iterator = tf.data.make_one_shot_iterator(data)
        else:
            iterator = tf.data.make_initializable_iterator(data)
            tf.add_to_collection(tf.GraphKeys.LOCAL_VARIABLES, _Initialised(iterator.initializer))
        batch = iterator.get_next()
        x, labels = batch["x"], batch["y"]
    else:
        x, labels = tf.placeholder(tf.float32, [None, 6]), tf.placeholder(tf.int64, [None])
    y = net(x, training)
    return Model(inputs=[x], outputs=[y], train=_loss(y, labels))


class _Initialised:
    """Lets an iterator start together with the local variables."""

    def __init__(self, initializer: Any) -> None:
        self.initializer = initializer


def _feedable(training: bool) -> Model:
    """A handle placeholder chooses between a training and a validation iterator."""
    if training:
        data = tf.data.Dataset.from_tensor_slices((_ROWS, _LABELS)).repeat().batch(8)
        first = tf.data.make_one_shot_iterator(data)
        handle = first.string_handle()
        chosen = tf.placeholder_with_default(handle, [], "handle")
        types, shapes = tf.data.get_output_types(data), tf.data.get_output_shapes(data)
        x, labels = tf.data.Iterator.from_string_handle(chosen, types, shapes).get_next()
    else:
        x, labels = tf.placeholder(tf.float32, [None, 6]), tf.placeholder(tf.int64, [None])
    y = _dense(x, training)
    return Model(inputs=[x], outputs=[y], train=_loss(y, labels))


def _decoded(training: bool, resize: bool) -> Model:
    """A JPEG string comes in; what the network needs begins at the decoder."""
    if training:
        jpeg = tf.placeholder(tf.string, [], "jpeg")
        image = tf.image.decode_jpeg(jpeg, channels=3, name="decode")
    else:
        image = tf.placeholder(tf.uint8, [None, None, 3])
    y = tf.expand_dims(tf.image.convert_image_dtype(image, tf.float32), 0)
    if resize:
        y = tf.image.resize_bilinear(y, [10, 10])
    y = (y - 0.5) * 2.0
    y.set_shape([1, None, None, 3])
    y = tf.nn.relu(_norm(training)(tf.layers.conv2d(y, 4, 3, use_bias=False)))
    y = tf.layers.dense(tf.reduce_mean(y, [1, 2]), 3)
    pixels = _RNG.integers(0, 255, (13, 11, 3)).astype(np.uint8)
    with tf.Graph().as_default(), tf.Session() as session:
        encoded = session.run(tf.image.encode_jpeg(pixels))
    feeds = {jpeg: encoded} if training else {image: pixels}
    return Model(inputs=[image], outputs=[y], train=fit(y), feeds=feeds)


def _parsed(training: bool) -> Model:
    """tf.parse_example: a dense vector and a label from serialised records."""
    features = {
        "label": tf.FixedLenFeature([], tf.int64),
        "vector": tf.FixedLenFeature([6], tf.float32),
    }
    if training:
        records = tf.placeholder(tf.string, [None], "examples")
        parsed = tf.parse_example(records, features)
        x, labels = parsed["vector"], parsed["label"]
    else:
        x, labels = tf.placeholder(tf.float32, [None, 6]), tf.placeholder(tf.int64, [None])
    y = _dense(x, training)
    examples = [_example(row, label) for row, label in zip(_ROWS[:8], _LABELS, strict=False)]
    feeds = {records: examples} if training else {}
    return Model(inputs=[x], outputs=[y], train=_loss(y, labels), feeds=feeds)


def _example(row: Any, label: int) -> bytes:
    vector = tf.train.Feature(float_list=tf.train.FloatList(value=row))
    number = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    example = tf.train.Example(features=tf.train.Features(feature={"vector": vector, "label": number}))
    return bytes(example.SerializeToString())


def _embedded(training: bool) -> Model:
    """Integer tokens into an embedding."""
    tokens = tf.placeholder(tf.int32, [None, 5], "tokens")
    table = tf.get_variable("embedding", [2, 6])
    y = tf.reshape(tf.nn.embedding_lookup(table, tokens), [-1, 30])
    return model(tokens, _dense(y, training))


CASES = (
    Case("input_batch", partial(_placeholder, shape=[None, 6]), 1),
    Case("input_unknown", partial(_placeholder, shape=None), 1, options={"inputs": {"x": (None, 6)}}),
    Case("input_float64", partial(_placeholder, shape=[None, 6], dtype="float64"), 1),
    Case("input_int32", partial(_placeholder, shape=[None, 6], dtype="int32"), 1),
    Case("input_uint8", partial(_placeholder, shape=[None, 6], dtype="uint8"), 1),
    Case("input_fixed_batch", _fixed_batch, 1, any_batch=False),
    Case("input_default", _default, 1),
    Case("input_queue_as_default", _queue_as_default, 1),
    Case("input_cached_activations", _cached_activations, 1, spare=1),
    Case("input_unknown_size", _unknown_size, 1),
    Case("input_two", _two, 1),
    Case("input_scaled", _scaled, 1),
    Case("input_fifo", _fifo, 1, any_batch=False),
    Case("input_train_batch", partial(_batched, shuffle=False), 1, any_batch=False),
    Case("input_shuffle_batch", partial(_batched, shuffle=True), 1, any_batch=False),
    Case("input_one_shot", partial(_iterator, kind="one_shot"), 1),
    Case("input_initializable", partial(_iterator, kind="initializable"), 1),
    Case("input_one_shot_whole", partial(_iterator, kind="one_shot", whole=True), 1),
    Case("input_initializable_whole", partial(_iterator, kind="initializable", whole=True), 1),
    Case("input_whole_heads", partial(_iterator, kind="one_shot", whole=True, net=_heads), 1),
    Case("input_whole_time_major", partial(_iterator, kind="one_shot", whole=True, net=_time_major), 1),
    Case("input_feedable", _feedable, 1),
    Case("input_jpeg", partial(_decoded, resize=False), 1, any_batch=False),
    Case("input_jpeg_resized", partial(_decoded, resize=True), 1, any_batch=False),
    Case("input_parsed", _parsed, 1),
    Case("input_tokens", _embedded, 1),
)
