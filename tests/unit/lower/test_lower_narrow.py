"""Element types that onnxruntime lacks kernels for, and parts of computed sizes, as TensorFlow has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case

pytestmark = pytest.mark.tensorflow

NUMBERS = np.array([[1, -2, 3], [4, 5, -6]])
ONCE = ("static",)


def _extremes(tf: Any, x: Any, y: Any) -> Any:
    return [tf.maximum(x, y), tf.minimum(x, y), tf.argmax(x, 1), tf.argmin(x, 0), tf.clip_by_value(x, x[0, 1], x[1, 0])]


CASES = [
    *(Case(f"extremes_{kind}", _extremes, [NUMBERS.astype(kind)] * 2, 0, ONCE) for kind in ("int16", "uint16")),
    *(
        Case(f"where_{kind}", lambda tf, x: tf.where(x > x[:, ::-1], x, x + x), [NUMBERS.astype(kind)], 0, ONCE)
        for kind in ("int8", "int16", "uint8", "uint16", "uint32")
    ),
    Case("where_bool", lambda tf, x: tf.where(x[:, :1], x, tf.logical_not(x)), [NUMBERS > 0], 0, ONCE),
    Case("one_hot_bool", lambda tf, x: tf.one_hot(x, 4, True, False, dtype=tf.bool), [np.array([1, 9, -1])], 0, ONCE),
    *(
        Case(f"relu_{kind}", lambda tf, x: tf.nn.relu(x), [NUMBERS.astype(kind)], 0, ONCE)
        for kind in ("int8", "int16", "int32", "int64", "uint8")
    ),
    *(
        Case(f"sums_{kind}", lambda tf, x: tf.cumsum(x * 40, 1), [NUMBERS.astype(kind)], 0, ONCE)
        for kind in ("int8", "int16")
    ),
    Case("sums_uint8", lambda tf, x: tf.cumsum(x * 60, 0, reverse=True), [NUMBERS.astype("uint8")], 0, ONCE),
    Case(
        "split_computed",
        lambda tf, x, sizes: tf.split(x, sizes, 1, num=2),
        [NUMBERS.astype(np.float32), np.array([1, 2], np.int32)],
        0,
    ),
    Case(
        "split_rest",
        lambda tf, x, sizes: tf.split(x, sizes, -1, num=3),
        [NUMBERS.astype(np.float32), np.array([1, -1, 1], np.int64)],
        0,
    ),
]


@pytest.mark.parametrize(
    ("case", "shapes"), [(c, s) for c in CASES for s in c.shapes], ids=lambda value: getattr(value, "name", value)
)
def test_narrow(case: Case, shapes: str) -> None:
    """Bit for bit."""
    check_everywhere(case, shapes)
