"""Arithmetic of sparse tensors is TensorFlow's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(16)
VALUES = _random.standard_normal(4).astype(np.float32)
DENSE = _random.standard_normal((3, 5)).astype(np.float32)
SETS = np.array([[1, 2, 2, 0], [3, 3, 3, 3]], np.int64)
OTHERS = np.array([[2, 5, 0], [4, 4, 4]], np.int64)


def _x(tf: Any, values: Any) -> Any:
    return tf.SparseTensor([[0, 1], [0, 4], [2, 0], [2, 3]], values, [3, 5])


def _y(tf: Any, values: Any) -> Any:
    return tf.SparseTensor([[0, 1], [1, 2], [2, 2], [2, 3]], -2 * values, [3, 5])


def _all(*tensors: Any) -> list[Any]:
    return [part for x in tensors for part in (x.indices, x.values, x.dense_shape)]


CASES = [
    Case("add", lambda tf, v: _all(tf.sparse.add(_x(tf, v), _y(tf, v))), [VALUES]),
    Case("add_above", lambda tf, v: _all(tf.sparse.add(_x(tf, v), _y(tf, v), threshold=0.5)), [VALUES]),
    Case("add_dense", lambda tf, v, d: tf.sparse.add(d, _x(tf, v)), [VALUES, DENSE]),
    Case("maximum", lambda tf, v: _all(tf.sparse.maximum(_x(tf, v), _y(tf, v))), [VALUES], 0),
    Case("minimum", lambda tf, v: _all(tf.sparse.minimum(_x(tf, v), _y(tf, v))), [VALUES], 0),
    Case("times_dense", lambda tf, v, d: _all(_x(tf, v) * d, _x(tf, v) / d[:, :1]), [VALUES, DENSE]),
    Case("concat", lambda tf, v: _all(tf.sparse.concat(-1, [_x(tf, v), _y(tf, v)])), [VALUES], 0),
    Case("concat_rows", lambda tf, v: _all(tf.sparse.concat(0, [_x(tf, v), _y(tf, v), _x(tf, -v)])), [VALUES], 0),
    Case("transpose", lambda tf, v: _all(tf.sparse.transpose(_x(tf, v))), [VALUES], 0),
    Case("slice", lambda tf, v: _all(tf.sparse.slice(_x(tf, v), [0, 1], [2, 9])), [VALUES], 0),
    Case("slice_of_nothing", lambda tf, v: _all(tf.sparse.slice(_x(tf, v), [1, 0], [1, 5])), [VALUES], 0),
    Case("split", lambda tf, v: _all(*tf.sparse.split(sp_input=_x(tf, v), num_split=2, axis=1)), [VALUES], 0),
    Case("softmax", lambda tf, v: _all(tf.sparse.softmax(_x(tf, v))), [VALUES]),
    Case("set_size", lambda tf, a, b: tf.sets.size(tf.sets.intersection(a, b)), [SETS, OTHERS], 0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sparse(case: Case) -> None:
    """Places, values and shape as TensorFlow's, in NumPy and onnxruntime."""
    check_everywhere(case, "batch")
