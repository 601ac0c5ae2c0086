"""The rarer ops are lowered to what TensorFlow computes: quantisation, patches, segments, diagonals, partitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(8)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 6, 5, 3)
M = _floats(4, 6)
ROWS = _floats(6, 3)
NOT_FINITE = np.array([np.nan, np.inf, -np.inf, 0.5, -0.0], np.float32)
SQUARES = _floats(2, 4, 4)
IDS = np.array([0, 0, 2, 2, 2, 3], np.int32)
LOOSE = np.array([3, 0, -1, 3, 1, 0], np.int32)


def _fake(name: str, *range_: Any, **options: Any) -> Any:
    return lambda tf, x: getattr(tf.quantization, name)(x, *range_, **options)


def _rounded(version: str, **options: Any) -> Any:
    low, high = np.float32(-1.3), np.float32(1.7)
    if version == "V3":
        options["num_bits"] = 5
    op = f"QuantizeAndDequantize{version}"
    return lambda tf, x: getattr(tf.raw_ops, op)(input=x, input_min=low, input_max=high, **options)


def _dequantized(kind: str, mode: str, **options: Any) -> Any:
    """A matrix of stored integers, times x."""
    axis = options.get("axis", -1)
    low, high = (-1.3, 1.7) if axis < 0 else ([-1.3, -0.2, -2.0], [1.7, 0.9, 0.1])

    def build(tf: Any, x: Any) -> Any:
        stored = np.random.default_rng(3).integers(*_LIMITS[kind], (3, 3)).astype(_PLAIN[kind])
        integers = tf.constant(stored.view(getattr(tf, kind).as_numpy_dtype))
        weights = tf.raw_ops.Dequantize(input=integers, min_range=low, max_range=high, mode=mode, **options)
        return tf.linalg.matmul(x, weights)

    return build


_PLAIN = {"quint8": np.uint8, "qint8": np.int8, "quint16": np.uint16, "qint16": np.int16}
_LIMITS = {"quint8": (0, 256), "qint8": (-128, 128), "quint16": (0, 65536), "qint16": (-32768, 32768)}

QUANTISATION = [
    *(
        Case(f"dequantize_{kind}_{mode}".lower(), _dequantized(kind, mode), [ROWS])
        for kind in _PLAIN
        for mode in ("MIN_COMBINED", "MIN_FIRST", "SCALED")
    ),
    Case("dequantize_narrow", _dequantized("qint8", "SCALED", narrow_range=True), [ROWS]),
    Case("dequantize_per_channel", _dequantized("qint8", "SCALED", axis=1), [ROWS]),
    Case("args", _fake("fake_quant_with_min_max_args", -1.0, 2.0), [X]),
    Case("args_narrow", _fake("fake_quant_with_min_max_args", -1.0, 2.0, num_bits=4, narrow_range=True), [X]),
    Case("vars", _fake("fake_quant_with_min_max_vars", -0.7, 1.9), [X]),
    Case("vars_positive", _fake("fake_quant_with_min_max_vars", 0.5, 1.9), [X]),
    Case(
        "vars_per_channel",
        _fake("fake_quant_with_min_max_vars_per_channel", [-0.7, -2.0, -0.1], [1.9, 0.4, 0.1]),
        [X],
    ),
    Case("rounded", _rounded("V2", range_given=True), [X]),
    Case("rounded_up", _rounded("V2", range_given=True, round_mode="HALF_UP", num_bits=6), [X]),
    Case("rounded_unsigned", _rounded("V2", range_given=True, signed_input=False), [np.abs(X)]),
    Case("rounded_narrow", _rounded("V2", range_given=True, narrow_range=True), [X]),
    Case("rounded_own_range", _rounded("V2", range_given=False), [X]),
    Case("rounded_v3", _rounded("V3", range_given=True), [X]),
    Case("rounded_v4", _rounded("V4", range_given=True), [X]),
]

BOXES = np.array([[0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], [0.8, 0.7, 0.2, 0.1], [-0.3, 0.4, 1.2, 1.5]], np.float32)


def _crop(size: list[int], **options: Any) -> Any:
    return lambda tf, x, boxes: tf.image.crop_and_resize(x, boxes, [0, 1, 1, 0], size, **options)


PATCHES = [
    Case("patches", lambda tf, x: tf.image.extract_patches(x, [1, 3, 2, 1], [1, 2, 1, 1], [1] * 4, "SAME"), [X], 0),
    Case(
        "patches_rates", lambda tf, x: tf.image.extract_patches(x, [1, 2, 2, 1], [1] * 4, [1, 2, 3, 1], "VALID"), [X], 0
    ),
    Case("crops", _crop([4, 3]), [X, BOXES], 32),
    Case("crops_of_one", _crop([1, 1], extrapolation_value=7.0), [X, BOXES], 32),
    Case("crops_nearest", _crop([5, 4], method="nearest", extrapolation_value=-1.0), [X, BOXES], 0),
    Case("area_down", lambda tf, x: tf.raw_ops.ResizeArea(images=x, size=[3, 5]), [X], 4, ("static", "batch")),
    Case("area_up", lambda tf, x: tf.raw_ops.ResizeArea(images=x, size=[12, 15]), [X], 16, ("static", "batch")),
]

KINDS = ("sum", "mean", "max", "min", "prod")

SEGMENTS = [
    *(
        Case(f"segment_{kind}", lambda tf, x, i, k=kind: getattr(tf.math, f"segment_{k}")(x, i), [ROWS, IDS])
        for kind in KINDS
    ),
    *(
        Case(
            f"unsorted_segment_{kind}",
            lambda tf, x, i, k=kind: getattr(tf.math, f"unsorted_segment_{k}")(x, i, 5),
            [ROWS, LOOSE],
        )
        for kind in ("sum", "max", "min", "prod", "mean", "sqrt_n")
    ),
    Case("unsorted_matrix", lambda tf, x: tf.math.unsorted_segment_sum(x, [[0, 2, 1], [2, 2, 0]], 4), [M[:2, :3]]),
    *(
        Case(
            f"sparse_segment_{kind}",
            lambda tf, x, i, k=kind: getattr(tf.sparse, f"segment_{k}")(x, [5, 0, 1, 1, 2, 4], i, num_segments=6),
            [ROWS, IDS],
        )
        for kind in ("sum", "mean", "sqrt_n")
    ),
    Case("sparse_segment_short", lambda tf, x, i: tf.sparse.segment_mean(x, [5, 0, 1, 1, 2, 4], i), [ROWS, IDS]),
    Case("partition", lambda tf, x, i: tf.dynamic_partition(x, i, 4), [ROWS, IDS], 0),
    Case(
        "stitch",
        lambda tf, x, i: tf.dynamic_stitch(
            tf.dynamic_partition(tf.range(6), i, 4), [part * 2 for part in tf.dynamic_partition(x, i, 4)]
        ),
        [ROWS, IDS],
        0,
    ),
    Case(
        "partitioned_embedding",
        lambda tf, i: tf.compat.v1.nn.embedding_lookup([tf.constant(ROWS), tf.constant(-ROWS[:5])], i, "div"),
        [np.array([[3, 10, 0], [5, 6, 9]], np.int32)],
        0,
    ),
    Case("bucketize", lambda tf, x: tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.5]), [M]),
    Case(
        "bucketize_float64",
        lambda tf, x: tf.raw_ops.Bucketize(input=x, boundaries=[0.5]),
        [np.array([0.5, 0.5 - 1e-9])],
    ),
    Case(
        "bounds",
        lambda tf, rows, x: [tf.searchsorted(rows, x, side) for side in ("left", "right")],
        [np.sort(M), np.concatenate([M[:, :2], np.sort(M)[:, 1:2]], 1)],
    ),
    Case(
        "bounds_int64",
        lambda tf, x: tf.searchsorted(tf.constant([1, 2, 2, 5], x.dtype), x, "right", tf.int64),
        [np.array([2, 0, 7, 5])],
    ),
    Case("bucketize_nan", lambda tf, x: tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.5]), [NOT_FINITE]),
    Case(
        "bounds_nan",
        lambda tf, x: [tf.searchsorted(tf.constant([-1.0, 0.5, 2.0]), x, side) for side in ("left", "right")],
        [NOT_FINITE],
    ),
    Case("cross", lambda tf, a, b: tf.linalg.cross(a, b), [ROWS, ROWS[::-1].copy()]),
]

DIAGONALS = [
    Case("diag", lambda tf, x: tf.linalg.diag(x), [M], 0),
    Case("diag_old", lambda tf, x: tf.raw_ops.MatrixDiag(diagonal=x), [M], 0),
    Case("diag_part", lambda tf, x: tf.linalg.diag_part(x), [M], 0),
    Case("diag_part_tall", lambda tf, x: tf.linalg.diag_part(x), [ROWS], 0),
    Case("set_diag", lambda tf, x, d: tf.linalg.set_diag(x, d), [SQUARES, M[:2, :4]], 0, ("static", "batch")),
    Case("trace", lambda tf, x: tf.linalg.trace(x), [SQUARES], 4),
]

OTHERS = [
    Case("roll", lambda tf, x: tf.roll(x, [2, -1], [1, 0]), [M], 0),
    Case("reverse_old", lambda tf, x: tf.raw_ops.Reverse(tensor=x, dims=[False, True]), [M], 0),
    Case("l2_loss", lambda tf, x: tf.nn.l2_loss(x), [M], 8),
    Case("atan2", lambda tf, y, x: tf.math.atan2(y, x), [M, np.where(abs(M) < 0.3, 0, -M[:, ::-1]).astype(np.float32)]),
    Case("approximate_equal", lambda tf, x: tf.raw_ops.ApproximateEqual(x=x, y=x + 0.01, tolerance=0.02), [M]),
    Case("sparse_matmul", lambda tf, a, b: tf.raw_ops.SparseMatMul(a=a, b=b, transpose_b=True), [M, M]),
    Case("batch_matmul_v3", lambda tf, a: tf.raw_ops.BatchMatMulV3(x=a, y=a, Tout=np.float32), [SQUARES]),
    Case("accumulate", lambda tf, a: tf.math.accumulate_n([a, a, a]), [M]),
]


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize("case", [*QUANTISATION, *PATCHES, *SEGMENTS, *DIAGONALS, *OTHERS], ids=lambda case: case.name)
def test_rarer(case: Case, knowledge: str) -> None:
    """The op computes TensorFlow's numbers, whatever is known of its input's sizes."""
    if knowledge in case.shapes:
        check(case, knowledge)
