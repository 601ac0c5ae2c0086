"""Operations between layers: `keras.ops` in Keras 3, TensorFlow functions in tf.keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.lower_keras.oracle import Case, check, parameters

__all__ = ["CASES"]

pytestmark = pytest.mark.tensorflow

_X = (4, 6)


def _three(name: str, build: Callable[..., Any], *shapes: Any, **kwargs: Any) -> Case:
    return Case(name, lambda k, *xs: build(k.ops, *xs), shapes or [_X], majors=[3], **kwargs)


def _two(name: str, build: Callable[..., Any], *shapes: Any, **kwargs: Any) -> Case:
    def made(keras: Any, *xs: Any) -> Any:
        import tensorflow as tf

        return build(tf, *xs)

    return Case(name, made, shapes or [_X], majors=[2], **kwargs)


OPERATORS = [
    Case("arithmetic", lambda k, x, y: (x + y) * 2 - 1 / (y * y + 1.5) + 3 - x / 2, [_X, _X]),
    Case("constants-first", lambda k, x: 2.0 - x * -1, [_X]),
    Case("power", lambda k, x: x**2 + abs(x), [_X]),
    Case("slices", lambda k, x: x[:, 1:3, ::2] + x[:, -1:, 0:3], [_X]),
    Case("index", lambda k, x: x[:, 1] + x[:, -1], [_X]),
    Case("new-axis", lambda k, x: x[:, None, :, 2], [_X]),
    Case("ellipsis", lambda k, x: x[..., 1:], [_X]),
]

KERAS_OPS = [
    *[
        _three(name, lambda o, x, name=name: getattr(o, name)(x))
        for name in ["exp", "square", "sigmoid", "tanh", "relu"]
    ],
    *[
        _three(f"{name}-axis", lambda o, x, name=name: getattr(o, name)(x, axis=1, keepdims=True))
        for name in ["mean", "sum", "max", "min", "prod", "std", "var", "logsumexp"]
    ],
    _three("mean-all", lambda o, x: o.mean(x, axis=(1, 2))),
    _three("sqrt", lambda o, x: o.sqrt(o.abs(x) + 1.0) + o.rsqrt(o.square(x) + 1.0) + o.log(o.abs(x) + 1.0)),
    _three("clip", lambda o, x: o.clip(x, -0.5, 0.5)),
    _three("where", lambda o, x: o.where(x > 0, x, 0.5)),
    _three("compare", lambda o, x, y: o.cast(o.logical_and(x >= y, x != 0), "float32"), _X, _X),
    _three("maximum", lambda o, x: o.maximum(x, 0.1)),
    _three("matmul", lambda o, x, y: o.matmul(x, y), _X, (6, 3)),
    _three("einsum", lambda o, x, y: o.einsum("bij,bjk->bik", x, y), _X, (6, 3)),
    _three("concatenate", lambda o, x, y: o.concatenate([x, y], axis=-1), _X, _X),
    _three("stack", lambda o, x, y: o.stack([x, y], axis=1), _X, _X),
    _three("split", lambda o, x: o.split(x, 3, axis=-1)),
    _three("split-at", lambda o, x: o.split(x, [1, 4], axis=2)),
    _three("reshape", lambda o, x: o.reshape(x, (-1, 24))),
    _three("transpose", lambda o, x: o.transpose(x, (0, 2, 1))),
    _three("swapaxes", lambda o, x: o.swapaxes(x, 1, 2)),
    _three("squeeze", lambda o, x: o.squeeze(o.expand_dims(x, 1), 1)),
    _three("flip", lambda o, x: o.flip(x, axis=1)),
    _three("tile", lambda o, x: o.tile(x, (1, 2, 3))),
    _three("pad", lambda o, x: o.pad(x, ((0, 0), (1, 2), (0, 1)))),
    _three("softmax", lambda o, x: o.softmax(x, axis=1)),
    _three("gelu", lambda o, x: o.gelu(x) + o.gelu(x, approximate=False)),
    _three("leaky", lambda o, x: o.leaky_relu(x, negative_slope=0.3) + o.silu(x) + o.softplus(x)),
    _three(
        "take",
        lambda o, x, i: o.take(x, i, axis=1),
        (5, 2),
        (),
        feeds=[np.arange(20, dtype=np.float32).reshape(2, 5, 2), np.array([3, 1], np.int32)],
    ),
    _three("one-hot", lambda o, i: o.one_hot(i, 5), (3,), feeds=[np.array([[0, 4, 2], [1, 1, 3]], np.int32)]),
    _three("argmax", lambda o, x: o.argmax(x, axis=-1)),
    _three("resize", lambda o, x: o.image.resize(x, (5, 7)), (4, 6, 2)),
]

TENSORFLOW = [
    _two("tf-arithmetic", lambda tf, x, y: tf.subtract(tf.multiply(x, y), 3.0) / tf.maximum(y * y, 1.0), _X, _X),
    _two("tf-reduce", lambda tf, x: tf.reduce_mean(x, 1) + tf.reduce_sum(x, axis=[1]) - tf.reduce_max(x, axis=1)),
    _two("tf-unary", lambda tf, x: tf.exp(x) + tf.sqrt(tf.square(x)) + tf.abs(x) + tf.math.rsqrt(x * x + 1.0)),
    _two("tf-nn", lambda tf, x: tf.nn.relu6(x) + tf.nn.leaky_relu(x, alpha=0.1) + tf.nn.softmax(x) + tf.nn.gelu(x)),
    _two("tf-concat", lambda tf, x, y: tf.concat([x, y], axis=-1), _X, _X),
    _two("tf-stack", lambda tf, x, y: tf.stack([x, y], axis=1), _X, _X),
    _two("tf-shapes", lambda tf, x: tf.transpose(tf.squeeze(tf.expand_dims(x, 1), 1), [0, 2, 1])),
    _two("tf-reshape", lambda tf, x: tf.reshape(x, [-1, 24])),
    _two("tf-dynamic", lambda tf, x: tf.reshape(x, [tf.shape(x)[0], 2, -1])),
    _two("tf-split", lambda tf, x: tf.split(x, [1, 2, 3], axis=-1)),
    _two("tf-cast", lambda tf, x: tf.cast(x > 0, tf.float32)),
    _two("tf-clip", lambda tf, x: tf.clip_by_value(x, -0.5, 0.5)),
    _two("tf-matmul", lambda tf, x, y: tf.matmul(x, y), _X, (6, 3)),
    _two("tf-pad", lambda tf, x: tf.pad(x, [[0, 0], [1, 2], [0, 1]])),
    _two("tf-resize", lambda tf, x: tf.image.resize(x, [5, 7]), (4, 6, 2)),
    _two("tf-normalise", lambda tf, x: tf.math.l2_normalize(x, axis=-1)),
    _two("tf-depth", lambda tf, x: tf.nn.depth_to_space(x, 2), (4, 6, 8)),
    _two("tf-where", lambda tf, x: tf.where(x > 0.0, x, x * 0.1)),
]


CASES = [*OPERATORS, *KERAS_OPS, *TENSORFLOW]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
def test_same_as_keras(case: Case, major: int) -> None:
    """An operation between layers gives what Keras gives."""
    check(case, major)
