"""Ragged tensors, sums of sparse ones and operations on sets are TensorFlow's, in every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(5)

SPLITS = np.array([0, 2, 2, 6], np.int64)
VALUES = _random.standard_normal(6).astype(np.float32)
PAIRS = _random.standard_normal((6, 2)).astype(np.float32)
PLACES = np.array([[0, 1], [1, 0], [1, 3]], np.int64)
FIRST = np.array([[3, 1, 3, 2], [4, 4, 4, 4], [-1, 5, 0, 2]], np.int32)
SECOND = np.array([[3, 9, 9], [4, 4, 1], [7, 8, 6]], np.int32)


def _tensor(kinds: list[str], shape: Any, default: Any) -> Any:
    def build(tf: Any, values: Any, *partitions: Any) -> Any:
        return tf.raw_ops.RaggedTensorToTensor(
            shape=np.array(shape, np.int64),
            values=values,
            default_value=default,
            row_partition_tensors=list(partitions),
            row_partition_types=kinds,
        )

    return build


def _range(tf: Any, starts: Any, limits: Any, deltas: Any) -> Any:
    return list(tf.raw_ops.RaggedRange(starts=starts, limits=limits, deltas=deltas, Tsplits=tf.int32))


def _gather(tf: Any, splits: Any, values: Any, indices: Any) -> Any:
    found = tf.raw_ops.RaggedGather(
        params_nested_splits=[splits], params_dense_values=values, indices=indices, OUTPUT_RAGGED_RANK=1
    )
    return [found.output_nested_splits[0], found.output_dense_values]


def _sparse(tf: Any, splits: Any, values: Any) -> Any:
    return list(tf.raw_ops.RaggedTensorToSparse(rt_nested_splits=[splits], rt_dense_values=values))


def _two_levels(tf: Any, outer: Any, inner: Any, values: Any) -> Any:
    found = tf.raw_ops.RaggedTensorToSparse(rt_nested_splits=[outer, inner], rt_dense_values=values)
    kinds = ["ROW_SPLITS", "ROW_SPLITS"]
    return [*found, _tensor(kinds, [-1, -1, -1], np.float32(7))(tf, values, outer, inner)]


def _reduced(axes: Any, *, keep: bool) -> Any:
    def build(tf: Any, values: Any) -> Any:
        given = {"input_indices": PLACES, "input_shape": np.array([3, 4], np.int64), "reduction_axes": axes}
        return [
            op(input_values=values, keep_dims=keep, **given)
            for op in (tf.raw_ops.SparseReduceSum, tf.raw_ops.SparseReduceMax)
        ]

    return build


def _sets(operation: str) -> Any:
    return lambda tf, a, b: list(tf.raw_ops.DenseToDenseSetOperation(set1=a, set2=b, set_operation=operation))


STATIC = ("static",)
ROWIDS = ["FIRST_DIM_SIZE", "VALUE_ROWIDS"]

CASES = [
    Case("tensor", _tensor(["ROW_SPLITS"], [-1, -1], np.float32(9)), [VALUES, SPLITS], 0, ("static", "batch")),
    Case("tensor_any_shape", _tensor(["ROW_SPLITS"], -1, np.float32(0)), [VALUES, SPLITS], 0, STATIC),
    Case("tensor_wider", _tensor(["ROW_SPLITS"], [-1, 5], np.float32(0)), [VALUES, SPLITS], 0, STATIC),
    Case("tensor_cut", _tensor(["ROW_SPLITS"], [2, 3], np.float32(0)), [VALUES, SPLITS], 0, STATIC),
    Case("tensor_of_pairs", _tensor(["ROW_SPLITS"], [-1, -1, 2], np.float32(1)), [PAIRS, SPLITS], 0, STATIC),
    Case(
        "tensor_of_rows",
        _tensor(ROWIDS, [-1, -1], np.float32(3)),
        [VALUES, np.array(4, np.int64), np.array([0, 0, 2, 2, 2, 3], np.int64)],
        0,
        STATIC,
    ),
    Case("tensor_of_nothing", _tensor(["ROW_SPLITS"], [-1, -1], np.float32(9)), [VALUES[:0], SPLITS * 0], 0, STATIC),
    Case("two_levels", _two_levels, [np.array([0, 1, 1, 3]), SPLITS, VALUES], 0, STATIC),
    Case("sparse", _sparse, [SPLITS, VALUES], 0, STATIC),
    Case("gather", _gather, [SPLITS, PAIRS, np.array([2, 0, 1, 2], np.int32)], 0, STATIC),
    Case("range", _range, [np.array([0, 3, 9]), np.array([5, 3, 2]), np.array([2, 1, -3])], 0, ("static", "batch")),
    Case("range_one_step", _range, [np.array([0, 3]), np.array([5, 8]), np.array(2)], 0, STATIC),
    Case(
        "range_of_fractions",
        _range,
        [
            np.array([0, 1, 9, 2], np.float32),
            np.array([2.6, 1, 2, 1], np.float32),
            np.array([0.5, 1, -2, 3], np.float32),
        ],
        4,
    ),
    Case("sums", _reduced(np.array([1], np.int32), keep=False), [VALUES[:3]], 4, STATIC),
    Case("sums_kept", _reduced(np.array([0], np.int32), keep=True), [VALUES[:3]], 4, STATIC),
    Case("sums_of_all", _reduced(np.zeros(0, np.int32), keep=False), [VALUES[:3]], 4, STATIC),
    *(Case(f"set_{name}", _sets(name), [FIRST, SECOND], 0, STATIC) for name in ("a-b", "b-a", "intersection", "union")),
]


@pytest.mark.parametrize(
    ("case", "shapes"), [(c, s) for c in CASES for s in c.shapes], ids=lambda value: getattr(value, "name", value)
)
def test_ragged(case: Case, shapes: str) -> None:
    """Bit for bit, but for sums."""
    check_everywhere(case, shapes, opset=18)
