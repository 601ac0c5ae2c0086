"""Diagonals, bands, inverses and determinants are TensorFlow's, in every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(6)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


def _number(value: int) -> Any:
    return np.array(value, np.int32)


NOT_FINITE = np.array([np.nan, np.inf, -0.0, 2], np.float32)
MATRICES, TALL, SQUARES = _floats(2, 5, 6), _floats(2, 6, 4), _floats(2, 5, 5)
REGULAR = SQUARES + 3 * np.eye(5, dtype=np.float32)
ALIGNMENTS = ("LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT")
SINGLE, BANDS = (0, 2, -3), ((-1, 1), (0, 2), (-3, -1), (-2, 3))


def _padded(low: int, high: int) -> Any:
    """Diagonals of a 5 x 5 matrix, in rows of the length of the longest."""
    return _floats(2, high - low + 1, 5 + min(high, 0) - max(low, 0))


DIAGONALS = [
    *(
        Case(f"diag_{k}", lambda tf, x, k=k: tf.linalg.diag(x, k=k, padding_value=7.0), [_floats(2, 4)], 0)
        for k in SINGLE
    ),
    *(
        Case(f"part_{k}", lambda tf, x, k=k: tf.linalg.diag_part(x, k=k), [x], 0)
        for k in SINGLE
        for x in (MATRICES, TALL)
    ),
    *(
        Case(f"set_{k}", lambda tf, x, d, k=k: tf.linalg.set_diag(x, d, k=k), [SQUARES, _floats(2, 5 - abs(k))], 0)
        for k in SINGLE
    ),
    *(
        Case(f"diag_{k}_{a}", lambda tf, x, k=k, a=a: tf.linalg.diag(x, k=k, align=a), [_padded(*k)], 0, ("static",))
        for k in BANDS
        for a in ALIGNMENTS
    ),
    *(
        Case(
            f"part_{k}_{a}",
            lambda tf, x, k=k, a=a: tf.linalg.diag_part(x, k=k, align=a, padding_value=9.0),
            [MATRICES],
            0,
            ("none",),
        )
        for k in BANDS
        for a in ALIGNMENTS
    ),
    *(
        Case(
            f"set_{k}_{a}",
            lambda tf, x, d, k=k, a=a: tf.linalg.set_diag(x, d, k=k, align=a),
            [SQUARES, _padded(*k)],
            0,
            ("static",),
        )
        for k in BANDS
        for a in ALIGNMENTS
    ),
    Case("not_finite", lambda tf, x: tf.linalg.diag(x), [NOT_FINITE], 0),
    Case("of_truths", lambda tf, x: tf.linalg.diag(x > 0), [NOT_FINITE], 0, ("static",)),
    Case(
        "of_size",
        lambda tf, x: tf.linalg.diag(x, k=(-1, 0), num_rows=6, num_cols=4),
        [_floats(2, 2, 4)],
        0,
        ("static",),
    ),
    Case("computed", lambda tf, x, k: tf.linalg.diag(x, k=k), [_floats(2, 4), _number(1)], 0, ("static",)),
    Case("part_computed", lambda tf, x, k: tf.linalg.diag_part(x, k=k), [MATRICES, _number(-2)], 0, ("static",)),
    *(
        Case(
            f"diag_sized_{rows}_{columns}",
            lambda tf, x, k, r, c: tf.raw_ops.MatrixDiagV3(
                diagonal=x, k=k, num_rows=r, num_cols=c, padding_value=np.float32(9)
            ),
            [_floats(2, 4), _number(-1), _number(rows), _number(columns)],
            0,
            ("static",),
        )
        for rows, columns in ((-1, -1), (5, -1), (-1, 6), (6, 4))
    ),
    Case(
        "set_computed",
        lambda tf, x, d, k: tf.linalg.set_diag(x, d, k=k),
        [SQUARES, _padded(-1, 2), np.array([-1, 2], np.int32)],
        0,
        ("static",),
    ),
    Case("set_wide", lambda tf, x, d: tf.linalg.set_diag(x, d), [TALL, _floats(2, 4)], 0),
    Case("version_1", lambda tf, x: tf.raw_ops.MatrixDiagPart(input=x), [TALL], 0),
    Case("version_2", lambda tf, x: tf.raw_ops.MatrixDiagPartV2(input=x, k=[-2, 1], padding_value=0.0), [TALL], 0),
    Case("tensor", lambda tf, x: tf.raw_ops.Diag(diagonal=x), [_floats(2, 3)], 0, ("static",)),
    Case("tensor_part", lambda tf, x: tf.raw_ops.DiagPart(input=x), [_floats(2, 3, 2, 3)], 0, ("static",)),
]

BANDED = [
    *(
        Case(f"band_{low}_{high}", lambda tf, x, a=low, b=high: tf.linalg.band_part(x, a, b), [MATRICES], 0, ("none",))
        for low, high in ((0, -1), (-1, 0), (1, 2), (-1, -1), (0, 0))
    ),
    Case(
        "band_computed",
        lambda tf, x, a, b: tf.linalg.band_part(x, a, b),
        [MATRICES, _number(1), _number(-1)],
        0,
        ("static",),
    ),
]

SOLVED = [
    *(
        Case(f"inverse_{n}", lambda tf, x: tf.linalg.inv(x), [REGULAR[:, :n, :n]], 256, ("static", "batch"))
        for n in (1, 2, 3, 5)
    ),
    Case("inverse_swaps", lambda tf, x: tf.linalg.inv(x), [np.eye(4, dtype=np.float32)[[2, 0, 3, 1]]], 0, ("static",)),
    Case("inverse_adjoint", lambda tf, x: tf.linalg.inv(x, adjoint=True), [REGULAR], 256, ("static",)),
    Case("solve", lambda tf, a, b: tf.linalg.solve(a, b), [REGULAR, MATRICES], 256, ("static",)),
    Case("triangular", lambda tf, a, b: tf.linalg.triangular_solve(a, b), [REGULAR, MATRICES], 256, ("static",)),
    Case("determinant", lambda tf, x: tf.linalg.det(x), [REGULAR], 64, ("static", "batch")),
    Case(
        "cholesky",
        lambda tf, x: tf.linalg.cholesky(tf.matmul(x, x, transpose_b=True) + tf.eye(5)),
        [SQUARES],
        256,
        ("static",),
    ),
]

CASES = [*DIAGONALS, *BANDED, *SOLVED]


@pytest.mark.parametrize(
    ("case", "shapes"), [(c, s) for c in CASES for s in c.shapes], ids=lambda value: getattr(value, "name", value)
)
def test_matrices(case: Case, shapes: str) -> None:
    """Whatever is known of the sizes; moved elements bit for bit."""
    check_everywhere(case, shapes)
