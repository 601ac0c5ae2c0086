"""Sixteen Keras networks and thirty-odd TensorFlow functions, each with an affine op that can be folded, or can't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["KERAS", "PLAIN", "Pattern", "reseed"]

Array = npt.NDArray[Any]
Tensor = Any

L = keras.layers


@dataclass(frozen=True)
class Pattern:
    """One network.

    Attributes:
        build: Input tensor to output tensors; symbolic Keras tensors for a Keras pattern.
        shape: The input's shape without the batch.
        left: How many affine ops (Mul, Add, Sub, Div, BatchNormalization) are left of an exact fold: 0, unless the
            network has sums of its own, or a border of exactness leaves a shift or more.
        dtype: The input's type.
    """

    build: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]
    left: int = 0
    dtype: str = "float32"


def _bn(**options: Any) -> Any:
    return L.BatchNormalization(**options)


def _forward(x: Tensor, *layers: Any) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


IMAGE = (12, 12, 3)

KERAS: dict[str, Pattern] = {
    "Conv2D, BN": Pattern(lambda x: _forward(x, L.Conv2D(4, 3), _bn()), IMAGE),
    "Conv2D, BN(scale=False, center=False)": Pattern(
        lambda x: _forward(x, L.Conv2D(4, 3), _bn(scale=False, center=False)), IMAGE
    ),
    "Conv1D, BN": Pattern(lambda x: _forward(x, L.Conv1D(4, 3), _bn()), (12, 3)),
    "Conv3D, BN": Pattern(lambda x: _forward(x, L.Conv3D(4, 3), _bn()), (6, 6, 6, 3)),
    "DepthwiseConv2D(multiplier 2), BN": Pattern(
        lambda x: _forward(x, L.DepthwiseConv2D(3, depth_multiplier=2), _bn()), IMAGE
    ),
    "SeparableConv2D, BN": Pattern(lambda x: _forward(x, L.SeparableConv2D(4, 3), _bn()), IMAGE),
    "Conv2DTranspose, BN": Pattern(lambda x: _forward(x, L.Conv2DTranspose(4, 3, strides=2), _bn()), IMAGE),
    "Dense, BN": Pattern(lambda x: _forward(x, L.Dense(4), _bn()), (7,)),
    "Dense, ReLU, BN, Dense": Pattern(lambda x: _forward(x, L.Dense(4), L.ReLU(), _bn(), L.Dense(3)), (7,)),
    "BN, Conv2D valid": Pattern(lambda x: _forward(x, _bn(), L.Conv2D(4, 3)), IMAGE),
    "BN, Conv2D same": Pattern(lambda x: _forward(x, _bn(), L.Conv2D(4, 3, padding="same")), IMAGE, left=1),
    "Concat(Conv2D, Conv2D), BN": Pattern(
        lambda x: _bn()(L.Concatenate()([L.Conv2D(4, 3)(x), L.Conv2D(2, 3)(x)])), IMAGE
    ),
    "Conv2D, ZeroPadding2D, BN": Pattern(
        lambda x: _forward(x, L.Conv2D(4, 3), L.ZeroPadding2D(), _bn()), IMAGE, left=1
    ),
    "Conv2D, AveragePooling2D, BN": Pattern(lambda x: _forward(x, L.Conv2D(4, 3), L.AveragePooling2D(2), _bn()), IMAGE),
    "Conv2D, BN(axis=1)": Pattern(lambda x: _forward(x, L.Conv2D(4, 3), _bn(axis=1)), IMAGE, left=2),
    "TimeDistributed(Conv2D), BN": Pattern(
        lambda x: _forward(x, L.TimeDistributed(L.Conv2D(4, 3)), _bn()), (3, 8, 8, 3)
    ),
}
"""The patterns of the survey in which peers fold 8 of 16."""

_RANDOM = np.random.default_rng(0)


def reseed(name: str) -> None:
    """Makes the weights that are drawn next depend on nothing but a name."""
    _RANDOM.bit_generator.state = np.random.default_rng(list(name.encode())).bit_generator.state
    keras.utils.set_random_seed(len(name))


def _w(*shape: int) -> Tensor:
    scale = np.sqrt(max(1.0, float(np.prod(shape[:-1]))))
    return tf.constant((_RANDOM.normal(size=shape) / scale).astype(np.float32))


def _conv(x: Tensor, out: int = 4, k: int = 3, padding: str = "VALID", **options: Any) -> Tensor:
    rank = len(x.shape) - 2
    return tf.nn.convolution(x, _w(*[k] * rank, x.shape[-1], out), padding=padding, **options)


def _norm(x: Tensor, *, fused: bool = True, sign: float = 1.0) -> Tensor:
    c = x.shape[-1]
    gamma = tf.constant((sign * _RANDOM.uniform(0.5, 2, c)).astype(np.float32))
    beta, mean = _w(c), _w(c)
    variance = tf.constant(_RANDOM.uniform(0.3, 2, c).astype(np.float32))
    if not fused or len(x.shape) != 4 or x.dtype != tf.float32:
        parts = [tf.cast(part, x.dtype) for part in (mean, variance, beta, gamma)]
        return tf.nn.batch_normalization(x, *parts, 1e-3)
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=1e-3, is_training=False
    ).y


def _shared(x: Tensor) -> Tensor:
    kernel = _w(3, 3, 3, 4)
    left, right = (tf.nn.conv2d(x, kernel, 1, "VALID") for _ in range(2))
    return tf.concat([tf.nn.relu(left), _norm(right)], -1)


def _twice(x: Tensor) -> Tensor:
    y = _conv(x)
    return tf.concat([tf.nn.relu(y), _norm(y)], -1)


def _output(x: Tensor) -> Tensor:
    y = _conv(x)
    return y, tf.nn.relu(_norm(y))


def _transposes(x: Tensor) -> Tensor:
    return _norm(tf.transpose(tf.transpose(_conv(x), [0, 3, 1, 2]), [0, 2, 3, 1]))


def _half(x: Tensor) -> Tensor:
    left, right = tf.split(_conv(x), [1, 3], axis=-1)
    return tf.concat([_norm(right), left], -1)


def _matmul(x: Tensor, **options: Any) -> Tensor:
    shape = (5, x.shape[-1]) if options.get("transpose_b") else (x.shape[-1], 5)
    return tf.matmul(x, _w(*shape), **options)


def _pool(x: Tensor, kind: str) -> Tensor:
    return tf.nn.pool(x, [2, 2], kind, strides=[2, 2])


def _preprocessed(x: Tensor) -> Tensor:
    return x / 127.5 - 1.0


def _embedded(x: Tensor) -> Tensor:
    return _norm(tf.gather(_w(9, 4), x))


PLAIN: dict[str, Pattern] = {
    "conv, bias, BN": Pattern(lambda x: _norm(tf.nn.bias_add(_conv(x), _w(4))), IMAGE),
    "conv, add of [1, 1, 1, C], BN": Pattern(lambda x: _norm(_conv(x) + _w(1, 1, 1, 4)), IMAGE),
    "conv, mul, add": Pattern(lambda x: _conv(x) * _w(4) + _w(4), IMAGE),
    "conv, decomposed BN": Pattern(lambda x: _norm(_conv(x), fused=False), IMAGE),
    "conv, scalars": Pattern(lambda x: 3.0 - _conv(x) / 2.0, IMAGE),
    "dilated conv, BN": Pattern(lambda x: _norm(_conv(x, dilations=[2, 2])), IMAGE),
    "strided same conv, BN": Pattern(lambda x: _norm(_conv(x, padding="SAME", strides=[2, 2])), IMAGE),
    "grouped conv, BN": Pattern(lambda x: _norm(tf.nn.conv2d(_conv(x), _w(3, 3, 2, 6), 1, "VALID")), IMAGE),
    "conv 1-D, bias, BN": Pattern(lambda x: _norm(_conv(x) + _w(4)), (12, 3)),
    "transposed conv 3-D, BN": Pattern(
        lambda x: _norm(tf.nn.conv3d_transpose(x, _w(3, 3, 3, 4, 3), [2, 8, 8, 8, 4], 1, "VALID")), (6, 6, 6, 3)
    ),
    "matmul, BN": Pattern(lambda x: _norm(_matmul(x)), (7,)),
    "matmul(transpose_b), BN": Pattern(lambda x: _norm(_matmul(x, transpose_b=True)), (7,)),
    "matmul, add, BN": Pattern(lambda x: _norm(_matmul(x) + _w(5)), (7,)),
    "0.5 matmul + 2 b, BN": Pattern(lambda x: _norm(0.5 * _matmul(x) + 2.0 * _w(5)), (7,)),
    "matmul of rank 3, add, BN": Pattern(lambda x: _norm(tf.tensordot(x, _w(7, 5), 1) + _w(5)), (4, 7)),
    "einsum, add, BN": Pattern(lambda x: _norm(tf.einsum("btc,cd->btd", x, _w(7, 5)) + _w(5)), (4, 7), left=0),
    "embedding, BN": Pattern(_embedded, (4,), dtype="int32"),
    "conv, two transposes, BN": Pattern(_transposes, IMAGE),
    "conv, reshape, BN": Pattern(lambda x: _norm(tf.reshape(_conv(x), [-1, 100, 4])), IMAGE),
    "conv, max pool, BN (gamma > 0)": Pattern(lambda x: _norm(_pool(_conv(x), "MAX")), IMAGE),
    "conv, global mean, BN": Pattern(lambda x: _norm(tf.reduce_mean(_conv(x), [1, 2])), IMAGE),
    "conv, bilinear resize, BN": Pattern(lambda x: _norm(tf.image.resize(_conv(x), [20, 20])), IMAGE),
    "conv, depth to space, BN": Pattern(lambda x: _norm(tf.nn.depth_to_space(_conv(x, 8), 2)), IMAGE),
    "conv, split, BN of a half": Pattern(_half, IMAGE),
    "conv + conv, BN": Pattern(lambda x: _norm(_conv(x) + _conv(x)), IMAGE, left=1),
    "concat of dense layers, BN": Pattern(lambda x: _norm(tf.concat([_matmul(x), _matmul(x)], -1)), (7,)),
    "two BN in a row": Pattern(lambda x: _norm(_norm(_conv(x)), fused=False), IMAGE),
    "one kernel, two convs, one BN": Pattern(_shared, IMAGE),
    "relu, BN, matmul": Pattern(lambda x: _matmul(_norm(tf.nn.relu(x))), (7,)),
    "relu, BN, flatten, matmul": Pattern(lambda x: _matmul(tf.reshape(_norm(tf.nn.relu(x)), [-1, 432])), IMAGE),
    "relu, BN, max pool, conv valid": Pattern(lambda x: _conv(_pool(_norm(tf.nn.relu(x)), "MAX")), IMAGE),
    "relu, BN, two convs valid": Pattern(
        lambda x: (lambda y: tf.concat([_conv(y), _conv(y)], -1))(_norm(tf.nn.relu(x))), IMAGE
    ),
    "x / 127.5 - 1, conv valid": Pattern(lambda x: _conv(_preprocessed(x)), IMAGE),
    "x / 127.5 - 1, conv same": Pattern(lambda x: _conv(_preprocessed(x), padding="SAME"), IMAGE, left=1),
    "float16 conv, BN": Pattern(
        lambda x: tf.cast(
            _norm(tf.nn.conv2d(tf.cast(x, tf.float16), tf.cast(_w(3, 3, 3, 4), tf.float16), 1, "VALID")), tf.float32
        ),
        IMAGE,
    ),
    "conv, relu, BN": Pattern(lambda x: _norm(tf.nn.relu(_conv(x))), IMAGE, left=1),
    "conv, sigmoid, BN": Pattern(lambda x: _norm(tf.sigmoid(_conv(x))), IMAGE, left=2),
    "conv, max pool, BN (gamma < 0)": Pattern(lambda x: _norm(_pool(_conv(x), "MAX"), sign=-1.0), IMAGE, left=1),
    "conv with two users, BN": Pattern(_twice, IMAGE, left=2),
    "conv that is an output, BN": Pattern(_output, IMAGE, left=2),
}
"""The kind that graph optimisers are measured by, and the borders of exactness."""
