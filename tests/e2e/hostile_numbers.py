"""Models of which TensorFlow keeps every digit and a careless fold doesn't: masks, far means, shifts that cancel.

Each is a function of TensorFlow, of inputs by name and of `w`, which makes a weight of an array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["MODELS", "Model"]

Weight = Callable[[Any], Any]
Build = Callable[[Any, Weight, Mapping[str, Any]], Any]

N, T, C = 3, 7, 6


@dataclass(frozen=True)
class Model:
    """A function and its inputs, the first axis of each of which is the batch."""

    build: Build
    feeds: Mapping[str, Any]


_random = np.random.default_rng(0)


def _normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape) / np.sqrt(max(1.0, float(np.prod(shape[:-1]))))


def _around(mean: float, deviation: float, *shape: int) -> Any:
    return (mean + deviation * _random.normal(size=(N, *shape))).astype(np.float32)


_KEPT = (np.arange(T) < np.array([[2], [T], [5]])).astype(np.float32)
_X = _around(0, 1, T, C)
_MASKED = {"x": _X, "m": _KEPT}


def _dense(tf: Any, w: Weight, x: Any, out: int = 5) -> Any:
    return tf.linalg.matmul(tf.reshape(x, [-1, int(x.shape[-1])]), w(_normal(int(x.shape[-1]), out))) + w(_normal(out))


def _conv(tf: Any, w: Weight, x: Any, padding: str = "VALID", out: int = 5) -> Any:
    return tf.nn.conv2d(x, w(_normal(3, 3, int(x.shape[-1]), out)), [1, 1, 1, 1], padding)


def _hidden(x: Any, m: Any, far: float) -> Any:
    m = m[..., None]
    return x * m + (1.0 - m) * -far


def _pooled(far: float, end: Build) -> Model:
    def build(tf: Any, w: Weight, given: Mapping[str, Any]) -> Any:
        return end(tf, w, {"x": tf.reduce_max(_hidden(given["x"], given["m"], far), 1)})

    return Model(build, _MASKED)


def _attention(tf: Any, w: Weight, given: Mapping[str, Any], logits: Callable[[Any, Any, Any], Any]) -> Any:
    x, m = given["x"], given["m"]
    q, k, v = (tf.linalg.matmul(x, w(_normal(C, 4) * (i + 1))) for i in range(3))
    scores = tf.linalg.matmul(q, k, transpose_b=True)
    return tf.linalg.matmul(tf.nn.softmax(logits(tf, scores, m[:, None, :])), v)


def _attending(logits: Callable[[Any, Any, Any], Any]) -> Model:
    return Model(lambda tf, w, given: _attention(tf, w, given, logits), _MASKED)


def _far(mean: float, deviation: float, build: Build, *shape: int) -> Model:
    return Model(build, {"x": _around(mean, deviation, *(shape or (C,)))})


def _statistics(w: Weight, mean: float, deviation: float, channels: int) -> tuple[Any, Any, Any, Any]:
    means = mean + deviation * _normal(channels)
    variances = deviation**2 * np.linspace(0.5, 2, channels)
    return w(means), w(variances), w(np.linspace(0.7, 1.3, channels)), w(_normal(channels))


def _batch_norm(tf: Any, w: Weight, x: Any, mean: float, deviation: float) -> Any:
    """Subtracts first, as batch norms by hand and fused ones do."""
    means, variances, gamma, beta = _statistics(w, mean, deviation, int(x.shape[-1]))
    return (x - means) * (tf.math.rsqrt(variances + 1e-3) * gamma) + beta


def _table_difference(tf: Any, w: Weight, given: Mapping[str, Any]) -> Any:
    table = w(52_000 + _normal(9, C))
    return _dense(tf, w, tf.gather(table, given["a"]) - tf.gather(table, given["b"]))


def _columns(tf: Any, w: Weight, given: Mapping[str, Any]) -> Any:
    x = given["x"]
    parts = [
        (x[:, :1] - w(101_325.0)) / w(800.0),
        (x[:, 1:2] - w(288.0)) / w(9.0),
        (x[:, 2:3] - w(1.7e9)) * w(1 / 2.6e6),
    ]
    return _dense(tf, w, tf.nn.relu(_dense(tf, w, tf.concat(parts, 1), 8)))


_COLUMNS = np.stack([101_325 + 800 * _normal(N), 288 + 9 * _normal(N), 1.7e9 + 2.6e6 * _normal(N)], 1)
_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)


def _whole(model: Model) -> Model:
    """With whole numbers for inputs, whose differences are exact."""
    return Model(model.build, {name: np.rint(array) for name, array in model.feeds.items()})


def _edges(tf: Any, w: Weight, x: Any, unit: float = 1.0) -> Any:
    filters = np.stack([_SOBEL * unit, _SOBEL.T * unit], -1)[:, :, None, :]
    return tf.nn.conv2d(x, w(filters), [1, 1, 1, 1], "VALID")


def _edges_normalised(tf: Any, w: Weight, given: Mapping[str, Any]) -> Any:
    means, variances, gamma, beta = _statistics(w, 0.0, 30.0, 2)
    return (_edges(tf, w, given["x"]) - means) * (tf.math.rsqrt(variances + 1e-3) * gamma) + beta


MODELS: dict[str, Model] = {
    "pooled mask, dense": _pooled(1e9, lambda tf, w, g: _dense(tf, w, g["x"])),
    "pooled mask of -1e4, dense": _pooled(1e4, lambda tf, w, g: _dense(tf, w, g["x"])),
    "pooled mask, batch norm, dense": _pooled(
        1e9, lambda tf, w, g: _dense(tf, w, _batch_norm(tf, w, g["x"], 0.0, 1.0))
    ),
    "pooled mask, temperature, gain, bias, concat, dense": _pooled(
        1e9,
        lambda tf, w, g: _dense(
            tf, w, tf.concat([g["x"] / w(0.7) * w(_normal(C)) + w(_normal(C)), tf.nn.relu(g["x"])], -1)
        ),
    ),
    "pooled mask, relu, dense": _pooled(1e9, lambda tf, w, g: _dense(tf, w, tf.nn.relu(g["x"] + w(_normal(C))))),
    "mask before the root": _attending(
        lambda tf, s, m: (s + (1.0 - m) * -1e9) / np.sqrt(4.0),
    ),
    "mask behind the root": _attending(lambda tf, s, m: s / np.sqrt(4.0) + (1.0 - m) * -1e9),
    "mask of (m - 1) * 1e9": _attending(lambda tf, s, m: s * m + (m - 1.0) * 1e9),
    "mask of m * 1e4 - 1e4": _attending(lambda tf, s, m: (s + (m * 1e4 - 1e4)) * 0.5),
    "two masks": _attending(lambda tf, s, m: (s + (1.0 - m) * -1e9 + (m - 1.0) * 1e9) / 2.0),
    "mask of truth values": _attending(
        lambda tf, s, m: (s - 1e9 * tf.cast(tf.equal(m, 0.0), s.dtype)) * 0.125,
    ),
    "mask from lengths": Model(
        lambda tf, w, g: _dense(
            tf, w, tf.reduce_max(_hidden(g["x"], tf.sequence_mask(g["n"], T, g["x"].dtype), 1e9), 1)
        ),
        {"x": _X, "n": np.array([2, T, 5], np.int32)},
    ),
    "masked mean": Model(
        lambda tf, w, g: _dense(
            tf, w, tf.reduce_sum(g["x"] * g["m"][..., None], 1) / tf.reduce_sum(g["m"], 1, keepdims=True)
        ),
        _MASKED,
    ),
    "masked log softmax": Model(
        lambda tf, w, g: g["m"] * tf.nn.log_softmax((tf.reduce_sum(g["x"], -1) + (1.0 - g["m"]) * -1e9) * 0.3), _MASKED
    ),
    "coordinates, dense": _far(5e5, 1e3, lambda tf, w, g: _dense(tf, w, (g["x"] - w(5e5)) / w(1e3))),
    "coordinates, gain and bias, dense": _far(
        5e5, 1e3, lambda tf, w, g: _dense(tf, w, (g["x"] - w(5e5)) / w(1e3) * w(2.0) + w(1.0))
    ),
    "coordinates, two differences": _far(5e5, 1e3, lambda tf, w, g: _dense(tf, w, (g["x"] - w(4e5) - w(1e5)) / w(1e3))),
    "thermal image, VALID": _far(3e4, 20, lambda tf, w, g: _conv(tf, w, _batch_norm(tf, w, g["x"], 3e4, 20)), 9, 9, 2),
    "thermal image, SAME": _far(
        3e4, 20, lambda tf, w, g: _conv(tf, w, _batch_norm(tf, w, g["x"], 3e4, 20), "SAME"), 9, 9, 2
    ),
    "thermal image, pool, VALID": _far(
        3e4,
        20,
        lambda tf, w, g: _conv(tf, w, tf.nn.max_pool2d(_batch_norm(tf, w, g["x"], 3e4, 20), 2, 2, "VALID")),
        10,
        10,
        2,
    ),
    "thermal image, pads moved": _far(
        3e4, 20, lambda tf, w, g: _conv(tf, w, tf.pad(g["x"] - w(3e4), [[0, 0], [1, 1], [1, 1], [0, 0]])), 9, 9, 2
    ),
    "thermal image, padded with its mean": _far(
        3e4,
        20,
        lambda tf, w, g: _conv(
            tf, w, tf.pad(g["x"], [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=3e4) / w(16.0) - w(1875.0)
        ),
        9,
        9,
        2,
    ),
    "thermal image, clipped": _far(
        3e4,
        20,
        lambda tf, w, g: _conv(tf, w, (tf.clip_by_value(g["x"], 29_970.0, 30_030.0) - w(3e4)) * w(0.05)),
        9,
        9,
        2,
    ),
    "thermal image, transposed": _far(
        3e4,
        20,
        lambda tf, w, g: _conv(
            tf, w, tf.transpose(tf.transpose(g["x"] - w(3e4), [0, 3, 1, 2]) * w(0.05), [0, 2, 3, 1])
        ),
        9,
        9,
        2,
    ),
    "time, dense": _far(1.7e9, 7e5, lambda tf, w, g: _dense(tf, w, (g["x"] - w(1.7e9)) / w(86_400.0))),
    "columns": Model(_columns, {"x": _COLUMNS.astype(np.float32)}),
    "whole numbers": Model(
        lambda tf, w, g: _dense(tf, w, (tf.cast(g["x"], w(1.0).dtype) - w(2000.0)) / w(12.0)),
        {"x": (2000 + _random.integers(-20, 20, (N, C))).astype(np.int32)},
    ),
    "differences of entries": Model(
        _table_difference,
        {name: _random.integers(0, 9, (N, T)).astype(np.int32) for name in ("a", "b")},
    ),
    "shift and back": _far(
        0, 1, lambda tf, w, g: _dense(tf, w, tf.nn.relu(_dense(tf, w, g["x"], 8) + w(300.0)) - w(300.0))
    ),
    "edges, batch norm": _whole(_far(3e4, 20, _edges_normalised, 9, 9, 1)),
    "edges in eighths, gain": _whole(
        _far(3e4, 20, lambda tf, w, g: _edges(tf, w, g["x"], 0.125) * w([0.7, 1.3]) + w(_normal(2)), 9, 9, 1)
    ),
    "steps, gain": _far(
        3e4, 20, lambda tf, w, g: tf.linalg.matmul(g["x"], w(np.eye(C) - np.eye(C, k=1)))[:, 1:] * w(_normal(C - 1))
    ),
    "log, far": Model(
        lambda tf, w, g: _dense(tf, w, tf.math.log(g["x"]) * w(40.0) - w(400.0)), {"x": _around(22_026, 4000, C)}
    ),
}
"""By name."""
