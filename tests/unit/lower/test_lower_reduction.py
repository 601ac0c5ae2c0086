"""Pools, reductions, products and normalisations are lowered to what TensorFlow computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check, lower_case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(5)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 7, 8, 4)
VOLUME = _floats(2, 5, 6, 7, 3)
A = _floats(3, 4, 5)
M = _floats(4, 5)
W = _floats(5, 6)
INTS = _random.integers(-4, 4, (3, 4, 5)).astype(np.int32)
GAMMA, BETA, MEAN = _floats(3, 4)
VARIANCE = np.abs(_floats(4))

POOLS = [
    Case("max", lambda tf, x: tf.nn.max_pool2d(x, 2, 2, "VALID"), [X], 0),
    Case("max_same", lambda tf, x: tf.nn.max_pool2d(x, [3, 2], [2, 3], "SAME"), [X], 0),
    Case("max_same_stride_1", lambda tf, x: tf.nn.max_pool2d(x, 3, 1, "SAME"), [X - 10], 0),
    Case(
        "max_explicit",
        lambda tf, x: tf.nn.max_pool2d(x, 3, 2, [[0, 0], [1, 0], [1, 1], [0, 0]]),
        [X - 10],
        0,
    ),
    Case(
        "max_v2",
        lambda tf, x: tf.raw_ops.MaxPoolV2(input=x, ksize=[1, 2, 3, 1], strides=[1, 2, 1, 1], padding="SAME"),
        [X],
        0,
    ),
    Case("max_argmax", lambda tf, x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[0], [X], 0),
    Case("max_volume", lambda tf, x: tf.nn.max_pool3d(x, [2, 3, 1], 2, "SAME"), [VOLUME], 0),
    Case("average", lambda tf, x: tf.nn.avg_pool2d(x, [2, 3], 2, "VALID"), [X], 4),
    Case("average_same", lambda tf, x: tf.nn.avg_pool2d(x, [3, 2], [2, 3], "SAME"), [X], 4),
    Case("average_same_stride_1", lambda tf, x: tf.nn.avg_pool2d(x, 3, 1, "SAME"), [X], 4),
    Case("average_volume", lambda tf, x: tf.nn.avg_pool3d(x, [2, 3, 1], 2, "SAME"), [VOLUME], 4),
    Case("max_line", lambda tf, x: tf.nn.max_pool1d(x, 3, 2, "SAME"), [A], 0),
]

REDUCTIONS = [
    *(
        Case(f"{name}{suffix}", lambda tf, x, name=name, options=options: getattr(tf, name)(x, **options), [A], 8)
        for name in ("reduce_mean", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod")
        for suffix, options in {
            "": {},
            "_axis": {"axis": 1},
            "_keep": {"axis": [0, -1], "keepdims": True},
            "_none": {"axis": []},
        }.items()
    ),
    *(
        Case(f"{name}_ints", lambda tf, x, name=name: getattr(tf, name)(x, 1), [INTS])
        for name in ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_mean")
    ),
    Case("all", lambda tf, x: (tf.reduce_all(x > -1, 2), tf.reduce_any(x > 1), tf.reduce_all(x > 9, [])), [A]),
    Case(
        "truths_of_nothing",
        lambda tf, x: (tf.reduce_any(x[:, :0] > 0, 1), tf.reduce_all(x[:, :0] > 0, 1), tf.reduce_any(x[:0] > 0)),
        [A],
    ),
    Case("norm", lambda tf, x: (tf.raw_ops.EuclideanNorm(input=x, axis=[1]), tf.norm(x, axis=2)), [A], 8),
    Case("norm_of_nothing", lambda tf, x: tf.raw_ops.EuclideanNorm(input=x, axis=[]), [A]),
    Case("dynamic_axes", lambda tf, x, i: tf.reduce_sum(x, tf.reshape(i, [-1])), [A, np.array([2], np.int32)], 8),
    Case("log_sum_exp", lambda tf, x: tf.reduce_logsumexp(x, 1), [A], 8),
    Case("std", lambda tf, x: (tf.math.reduce_std(x, [0, 1]), tf.math.reduce_variance(x)), [A], 16),
    Case("moments", lambda tf, x: tf.nn.moments(x, [0, 1]), [A], 16),
    Case("argmax", lambda tf, x: (tf.argmax(x, 1), tf.argmin(x, -1), tf.argmax(x, 0, tf.int32)), [INTS]),
    Case("top_k", lambda tf, x: tf.math.top_k(x, 3), [INTS]),
    Case("cumsum", lambda tf, x: (tf.cumsum(x, 1), tf.cumsum(x, -1, exclusive=True, reverse=True)), [A], 8),
    Case("cumprod", lambda tf, x: (tf.math.cumprod(x, 1), tf.math.cumprod(x, 0, exclusive=True)), [A], 8),
    Case("cumprod_reverse", lambda tf, x: tf.math.cumprod(x, -1, exclusive=True, reverse=True), [A], 8),
]

PRODUCTS = [
    Case("matmul", lambda tf, a: tf.matmul(a, tf.constant(W)), [M]),
    Case("matmul_transposed", lambda tf, a: tf.matmul(a, tf.constant(W.T.copy()), transpose_b=True), [M]),
    Case(
        "matmul_both",
        lambda tf, a: tf.matmul(a, tf.constant(W.T.copy()), transpose_a=True, transpose_b=True),
        [M.T.copy()],
    ),
    Case("matmul_data", lambda tf, a, b: tf.matmul(a, b), [M, W]),
    Case("batch", lambda tf, a, b: tf.matmul(a, b), [A, _floats(3, 5, 2)]),
    Case("batch_adjoint", lambda tf, a, b: tf.matmul(a, b, adjoint_a=True, transpose_b=True), [A, _floats(3, 2, 4)]),
    Case("batch_broadcast", lambda tf, a: tf.matmul(a, tf.constant(W)), [A]),
    Case("batch_weights", lambda tf, a: tf.raw_ops.BatchMatMulV2(x=a, y=W.T.copy(), adj_y=True), [A]),
    Case("tensordot", lambda tf, a: tf.tensordot(a, tf.constant(W), 1), [A]),
    Case("tensordot_axes", lambda tf, a: tf.tensordot(a, tf.constant(_floats(4, 6)), [[1], [0]]), [A]),
    Case("einsum_dense", lambda tf, a: tf.einsum("abc,cd->abd", a, tf.constant(W)), [A]),
    Case("einsum_heads", lambda tf, a: tf.einsum("abc,cde->abde", a, tf.constant(_floats(5, 2, 3))), [A]),
    Case("einsum_ellipsis", lambda tf, a: tf.einsum("...c,cd->...d", a, tf.constant(W)), [A]),
    Case("einsum_attention", lambda tf, a, b: tf.einsum("bqd,bkd->bqk", a, b), [A, _floats(3, 2, 5)]),
    Case("l2_normalize", lambda tf, x: tf.math.l2_normalize(x, -1), [A]),
]


def _fused(**options: Any) -> Any:
    def build(tf: Any, x: Any) -> Any:
        parameters = dict(zip(("scale", "offset", "mean", "variance"), (GAMMA, BETA, MEAN, VARIANCE), strict=True))
        if options.get("is_training"):
            parameters |= {"mean": np.zeros(0, np.float32), "variance": np.zeros(0, np.float32)}
        return tf.raw_ops.FusedBatchNormV3(x=x, **parameters, **options).y

    return build


NORMALIZATIONS = [
    Case("fused", _fused(is_training=False, epsilon=0.01), [X]),
    Case("fused_half", _fused(is_training=False), [X.astype(np.float16)], 2),
    Case("own_statistics", _fused(is_training=True, epsilon=0.01), [X], 32),
    Case("own_statistics_first", _fused(is_training=True, data_format="NCHW"), [X.transpose(0, 3, 1, 2).copy()], 32),
    Case(
        "old_fused",
        lambda tf, x: (
            tf.raw_ops.FusedBatchNorm(x=x, scale=GAMMA, offset=BETA, mean=MEAN, variance=VARIANCE, is_training=False).y
        ),
        [X],
    ),
    Case("arithmetic", lambda tf, x: tf.nn.batch_normalization(x, MEAN, VARIANCE, BETA, GAMMA, 0.01), [X]),
    Case("response", lambda tf, x: tf.nn.lrn(x, 2, bias=1.5, alpha=0.3, beta=0.75), [_floats(2, 3, 4, 9)]),
    Case("response_default", lambda tf, x: tf.nn.lrn(x), [_floats(2, 3, 4, 9)]),
]


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize("case", [*POOLS, *REDUCTIONS, *PRODUCTS, *NORMALIZATIONS], ids=lambda case: case.name)
def test_sums(case: Case, knowledge: str) -> None:
    """The op computes TensorFlow's numbers, whatever is known of its input's sizes."""
    if knowledge in case.shapes:
        check(case, knowledge)


DENSE = ["matmul", "matmul_transposed", "batch_broadcast", "batch_weights", "tensordot", "einsum_dense"]


def _only(case: Case, op_type: str, knowledge: str) -> None:
    model, _, _ = lower_case(case, knowledge)
    assert op_type in {node.op_type for node in model.graph}, case.name
    assert not {"MatMul", "Einsum"} & {node.op_type for node in model.graph}, case.name


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize(
    "name", ["matmul", "matmul_transposed", "batch_broadcast", "batch_weights", "tensordot", "einsum_dense"]
)
def test_weights_make_a_dense(name: str, knowledge: str) -> None:
    """A product with a matrix of weights over the last axis becomes `Dense`."""
    _only(next(case for case in PRODUCTS if case.name == name), "Dense", knowledge)
