"""Ops that move data: reshape with shape arithmetic, slices, joins, pads, resizes, gathers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Model
from tests.corpus.blocks import fit, model
from tests.corpus.case import Case

__all__ = ["CASES"]

Move = Callable[[Any], Any]


def _net(training: bool, move: Move) -> Model:
    """Convolution, batch norm, ReLU, the op under test, flatten, dense."""
    x = tf.placeholder(tf.float32, [None, 6, 6, 3], "images")
    y = tf.layers.conv2d(x, 4, 3, padding="same", use_bias=False)
    y = tf.nn.relu(tf.layers.batch_normalization(y, training=training, momentum=0.7))
    y = move(y)
    width = int(np.prod(y.shape.as_list()[1:]))
    return model(x, tf.layers.dense(tf.reshape(y, [-1, width]), 3, name="logits"))


def _end(training: bool, move: Move) -> Model:
    """The same as the model's last op; what comes out may be integers."""
    x = tf.placeholder(tf.float32, [None, 6, 6, 3], "images")
    y = tf.layers.conv2d(x, 4, 3, padding="same", use_bias=False)
    y = tf.layers.batch_normalization(y, training=training, momentum=0.7)
    trained = fit(y)
    return Model(inputs=[x], outputs=[move(y)], train=trained)


def _reshaped(y: Any) -> Any:
    shape = tf.shape(y)
    return tf.reshape(y, [shape[0], shape[1] * shape[2], 4])


def _reshaped_stack(y: Any) -> Any:
    batch = tf.shape(y)[0]
    out = tf.reshape(y, tf.stack([batch, -1]))
    out.set_shape([None, 144])
    return out


def _reshaped_product(y: Any) -> Any:
    shape = tf.shape(y)
    width = tf.reduce_prod(shape[1:])
    out = tf.reshape(y, tf.concat([shape[:1], [width]], 0))
    out.set_shape([None, 144])
    return out


def _static(y: Any) -> Any:
    height, width, channels = y.get_shape().as_list()[1:]
    return tf.reshape(y, [-1, height * width * channels])


def _doubled_size(y: Any) -> Any:
    size = tf.shape(y)[1:3] * 2
    out = tf.image.resize_nearest_neighbor(y, size)
    out.set_shape([None, 12, 12, 4])
    return out


def _tiled(y: Any) -> Any:
    pooled = tf.reduce_mean(y, [1, 2], keepdims=True)
    return tf.concat([y, tf.tile(pooled, [1, 6, 6, 1])], 3)


def _channel_shuffle(y: Any) -> Any:
    y = tf.reshape(y, [-1, 6, 6, 2, 2])
    return tf.reshape(tf.transpose(y, [0, 1, 2, 4, 3]), [-1, 6, 6, 4])


def _unstacked(y: Any) -> Any:
    return tf.stack(tf.unstack(y, axis=1)[::-1], axis=2)


def _broadcast_mask(y: Any) -> Any:
    mask = tf.constant(np.tri(6, dtype=np.float32))
    return y * mask[None, :, :, None]


def _positions(y: Any) -> Any:
    """CoordConv: coordinates made in the graph from the input's shape."""
    rows = tf.range(tf.shape(y)[1])
    grid = tf.tile(tf.reshape(tf.to_float(rows), [1, 6, 1, 1]), [tf.shape(y)[0], 1, 6, 1])
    return tf.concat([y, grid / 5.0], 3)


def _one_hot(y: Any) -> Any:
    chosen = tf.argmax(y, axis=3, output_type=tf.int32)
    return y * tf.one_hot(chosen, 4, on_value=2.0, off_value=0.5)


def _attention(y: Any) -> Any:
    tokens = tf.reshape(y, [-1, 36, 4])
    scores = tf.nn.softmax(tf.matmul(tokens, tokens, transpose_b=True) / 2.0)
    return tf.matmul(scores, tokens)


def _gram(y: Any) -> Any:
    tokens = tf.reshape(y, [-1, 36, 4])
    return tf.matmul(tokens, tokens, transpose_a=True) / 36.0


_MOVES: dict[str, Move] = {
    "reshape_shape": _reshaped,
    "reshape_stack": _reshaped_stack,
    "reshape_product": _reshaped_product,
    "reshape_static": _static,
    "flatten": lambda y: tf.layers.flatten(y),
    "transpose": lambda y: tf.transpose(y, [0, 3, 1, 2]),
    "transpose_space": lambda y: tf.transpose(y, [0, 2, 1, 3]),
    "squeeze": lambda y: tf.squeeze(tf.reduce_mean(y, [1, 2], keepdims=True), [1, 2]),
    "expand": lambda y: tf.expand_dims(y, 1) + tf.expand_dims(tf.expand_dims(y, -2), 1)[:, :, :, :, 0],
    "mean_space": lambda y: tf.reduce_mean(y, axis=[1, 2]),
    "mean_channel": lambda y: tf.reduce_mean(y, axis=3),
    "max_space": lambda y: tf.reduce_max(y, axis=[1, 2]),
    "slice": lambda y: tf.slice(y, [0, 1, 2, 0], [-1, 4, 3, 4]),
    "strided": lambda y: y[:, 1:-1, ::2, 1:3],
    "strided_negative": lambda y: y[:, ::-1, -3:, ::-1],
    "strided_ellipsis": lambda y: y[..., 2],
    "strided_new_axis": lambda y: y[:, 2, None, :, 1:],
    "split": lambda y: tf.concat(tf.split(y, 2, axis=3)[::-1], 3),
    "split_sizes": lambda y: tf.concat(tf.split(y, [1, 3], axis=3)[::-1], 3),
    "split_space": lambda y: tf.concat(tf.split(y, 3, axis=1), 3),
    "concat_space": lambda y: tf.concat([y, 2 * y], 1),
    "unstack": _unstacked,
    "pad": lambda y: tf.pad(y, [[0, 0], [1, 2], [0, 1], [0, 0]]),
    "pad_value": lambda y: tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=0.5),
    "pad_channels": lambda y: tf.pad(y, [[0, 0], [0, 0], [0, 0], [1, 2]]),
    "pad_reflect": lambda y: tf.pad(y, [[0, 0], [2, 1], [1, 2], [0, 0]], "REFLECT"),
    "pad_symmetric": lambda y: tf.pad(y, [[0, 0], [2, 1], [1, 2], [0, 0]], "SYMMETRIC"),
    "tile": _tiled,
    "gather_channels": lambda y: tf.gather(y, [2, 0, 0], axis=3),
    "gather_nd": lambda y: tf.transpose(tf.gather_nd(tf.transpose(y, [1, 2, 0, 3]), [[0, 1], [3, 2]]), [1, 0, 2]),
    "reverse": lambda y: tf.reverse(y, [1, 3]),
    "channel_shuffle": _channel_shuffle,
    "mask": _broadcast_mask,
    "positions": _positions,
    "one_hot": _one_hot,
    "attention": _attention,
    "gram": _gram,
    "cumsum": lambda y: tf.cumsum(y, axis=1, exclusive=True, reverse=True),
    "resize_nearest": lambda y: tf.image.resize_nearest_neighbor(y, [9, 4]),
    "resize_nearest_aligned": lambda y: tf.image.resize_nearest_neighbor(y, [9, 4], align_corners=True),
    "resize_nearest_centred": lambda y: tf.image.resize_nearest_neighbor(y, [9, 4], half_pixel_centers=True),
    "resize_bilinear": lambda y: tf.image.resize_bilinear(y, [9, 4]),
    "resize_bilinear_aligned": lambda y: tf.image.resize_bilinear(y, [9, 4], align_corners=True),
    "resize_bilinear_centred": lambda y: tf.image.resize_bilinear(y, [9, 4], half_pixel_centers=True),
    "resize_bicubic": lambda y: tf.image.resize_bicubic(y, [9, 4]),
    "resize_bicubic_centred": lambda y: tf.image.resize_bicubic(y, [9, 4], half_pixel_centers=True),
    "resize_dynamic": _doubled_size,
    "up_sampling": lambda y: tf.keras.layers.UpSampling2D(2)(y),
    "crop": lambda y: tf.image.crop_to_bounding_box(y, 1, 1, 4, 3),
    "flip": lambda y: tf.image.flip_left_right(y),
    "depth_to_space": lambda y: tf.depth_to_space(y, 2),
    "space_to_depth": lambda y: tf.space_to_depth(y, 3),
}
_ENDS: dict[str, Move] = {
    "argmax": lambda y: tf.argmax(tf.reduce_mean(y, [1, 2]), 1),
    "argmax_int32": lambda y: tf.argmax(tf.nn.softmax(y), 3, output_type=tf.int32, name="classes"),
    "cast_uint8": lambda y: tf.cast(tf.clip_by_value(y * 64 + 128, 0, 255), tf.uint8),
    "cast_half": lambda y: tf.cast(tf.cast(y, tf.float64) * 2, tf.float32),
    "top_k": lambda y: tf.nn.top_k(tf.reduce_mean(y, [1, 2]), 2).values,
    "greater": lambda y: tf.reduce_mean(y, [1, 2]) > 0.05,
    "size": lambda y: y * tf.cast(tf.size(y), tf.float32) / tf.cast(tf.shape(y)[0], tf.float32),
}

CASES = (
    *(Case(f"shape_{name}", partial(_net, move=move), 1) for name, move in _MOVES.items()),
    *(Case(f"end_{name}", partial(_end, move=move), 1) for name, move in _ENDS.items()),
)
