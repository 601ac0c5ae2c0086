"""Axes, orders of axes, strides and amounts that the model computes, and narrow types, are what TensorFlow has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(15)
X = _random.standard_normal((3, 4, 2)).astype(np.float32)
ROWS = np.array([[2, 3], [0, 2], [2, 3]], np.int32)
PIXELS = _random.integers(-(2**31), 2**31, (1, 4, 6, 2)).astype(np.int32)
TEXT = np.array(["b", "a", "b", "ä"], object)


def _int(*numbers: int) -> Any:
    return np.array(numbers if len(numbers) > 1 else numbers[0], np.int32)


def _scatter(kind: Any) -> Case:
    """Updates of one row twice, which 8 and 16 bits wrap around."""
    x, updates = np.full((3, 2), 100, kind), np.full((3, 2), 60, kind)
    indices = np.array([[0], [2], [0]], np.int32)
    return Case(f"scatter_add_{np.dtype(kind).name}", _scattered, [x, indices, updates], 4, ("static",))


def _scattered(tf: Any, x: Any, indices: Any, updates: Any) -> Any:
    total = tf.tensor_scatter_nd_add(x, indices, updates)
    return total, tf.tensor_scatter_nd_max(x, indices, updates), tf.math.segment_sum(updates, [0, 0, 2])


CASES = [
    Case("transpose", lambda tf, x, p: tf.transpose(x, p), [X, _int(2, 0, 1)], 0),
    Case("transpose_negative", lambda tf, x, p: tf.transpose(x, p - 3), [X, _int(1, 2, 0)], 0, ("static",)),
    Case("concat", lambda tf, x, a: tf.concat([x, 2 * x], a), [X, _int(1)], 0),
    Case("split", lambda tf, x, a: tf.split(x, 2, a), [X, _int(-1)], 0, ("static",)),
    Case("split_sizes", lambda tf, x, a: tf.split(x, [2, 0], a), [X, _int(2)], 0, ("static",)),
    Case("gather", lambda tf, x, i, a: tf.gather(x, i, axis=a), [X, np.abs(ROWS) % 2, _int(2)], 0),
    Case("gather_one", lambda tf, x, i, a: tf.gather(x, i, axis=a), [X, _int(1), _int(-2)], 0, ("static",)),
    Case("gather_int16", lambda tf, x, i: tf.gather(x, i), [X, np.array([2, 0], np.int16)], 0, ("static",)),
    Case("gather_nothing", lambda tf, x: tf.gather_nd(x, tf.zeros([2, 0], tf.int32)), [X], 0),
    Case("argmax", lambda tf, x, a: tf.argmax(x, a), [X, _int(1)], 0),
    Case("argmin_bool", lambda tf, x: tf.argmin(x > 0, 1), [X], 0, ("static",)),
    Case("cumprod", lambda tf, x, a: tf.math.cumprod(x, a, exclusive=True), [X, _int(1)]),
    Case("cumprod_int8", lambda tf, x: tf.math.cumprod(x, 1), [np.full((2, 5), 7, np.int8)], 0, ("static",)),
    Case("max_int16", lambda tf, x: tf.reduce_max(x, 1), [ROWS.astype(np.int16)], 0, ("static",)),
    Case("stride", lambda tf, x, s: x[:, ::s], [X, _int(3)], 0),
    Case("stride_back", lambda tf, x, s: x[:, 3:0:s], [X, _int(-2)], 0),
    Case("stride_all_back", lambda tf, x, s: x[::s], [X, _int(-1)], 0),
    Case("reverse", lambda tf, x, a: tf.reverse(x, a), [X, np.array([1, -1], np.int32)], 0),
    Case("reverse_none", lambda tf, x, a: tf.reverse(x, a), [X, np.zeros(0, np.int32)], 0, ("static",)),
    Case("roll", lambda tf, x, s, a: tf.roll(x, s, a), [X, _int(1, -6), _int(-1, 1)], 0),
    Case("symmetric", lambda tf, x, p: tf.pad(x, p, "SYMMETRIC"), [ROWS, np.array([[3, 1], [0, 2]], np.int32)], 0),
    Case("unique_rows", lambda tf, x: list(tf.raw_ops.UniqueV2(x=x, axis=[0])), [ROWS], 0, ("static",)),
    Case("unique_columns", lambda tf, x: list(tf.raw_ops.UniqueWithCountsV2(x=x, axis=[1])), [ROWS.T], 0, ("static",)),
    Case("finite_half", lambda tf, x: tf.math.is_finite(x), [np.array([1, np.inf, np.nan], np.float16)], 0),
    Case("pixels_int32", lambda tf, x: tf.nn.depth_to_space(tf.nn.space_to_depth(x, 2)[:, :1], 2), [PIXELS], 0),
    Case("pixels_uint8", lambda tf, x: tf.nn.space_to_depth(x, 2), [PIXELS.astype(np.uint8)], 0, ("static",)),
    *(_scatter(kind) for kind in (np.float16, np.int8, np.uint8, np.int16)),
]


@pytest.mark.parametrize(
    ("case", "knowledge"),
    [pytest.param(case, knowledge, id=f"{case.name}-{knowledge}") for case in CASES for knowledge in case.shapes],
)
def test_computed(case: Case, knowledge: str) -> None:
    """As TensorFlow, in NumPy and onnxruntime, whatever of the sizes is known."""
    check_everywhere(case, knowledge, opset=18)


def _texts(case: Case) -> None:
    check_everywhere(case, "static")


def test_strings_are_told_apart() -> None:
    """Two tensors of strings are compared place by place, with broadcasting, and their different ones found."""
    _texts(Case("equal", lambda tf, x, y: (tf.equal(x, y), tf.not_equal(x, y)), [TEXT, TEXT[::-1].copy()], 0))
    _texts(Case("broadcast", lambda tf, x, y: tf.equal(x[:, None], y), [TEXT, TEXT[:2].copy()], 0))
    _texts(Case("numbers", lambda tf, x: tf.unique(x)[1], [TEXT], 0))
