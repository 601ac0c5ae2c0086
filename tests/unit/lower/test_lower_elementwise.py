"""Functions of single elements are lowered to what TensorFlow computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(2)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = np.concatenate([_random.standard_normal(60) * 3, [0, 1e-6, -1e-6, 40, -40]]).astype(np.float32)
POSITIVE = np.abs(X) + np.float32(1e-3)
UNIT = _random.uniform(-0.95, 0.95, 40).astype(np.float32)
A = _floats(3, 4)
B = _floats(2, 1, 4)
INTS = np.array([[-7, 7, -8, 8], [5, -5, 0, 1]], np.int32)
DIVISORS = np.array([3, -3, 2, -2], np.int32)
BOOLS: Any = A > 0


def _call(name: str) -> Any:
    """`tf.math.name`, or a function of tf.nn."""

    def build(tf: Any, *inputs: Any) -> Any:
        function = getattr(tf.math, name, None) or getattr(tf.nn, name)
        return function(*inputs)

    return build


def _unary(names: str, x: Any, units: float = 16) -> list[Case]:
    return [Case(name, _call(name), [x], units) for name in names.split()]


def _binary(names: str, a: Any, b: Any, units: float = 4) -> list[Case]:
    return [Case(f"{name}_{a.dtype}", _call(name), [a, b], units) for name in names.split()]


UNARY = [
    *_unary("abs ceil floor negative rint sign square cos sin tanh erf sigmoid softplus expm1", X),
    *_unary("relu relu6 leaky_relu elu selu softsign softmax log_softmax erfc round", X),
    *_unary("log sqrt rsqrt reciprocal log1p", POSITIVE),
    *_unary("asin acos atan atanh asinh sinh cosh tan log1p expm1", UNIT),
    *_unary("acosh", POSITIVE + 1),
    *_unary("abs negative sign square", INTS),
    *_unary("logical_not", BOOLS),
    *_unary("is_nan is_inf is_finite", np.array([1, np.nan, np.inf, -np.inf, 0], np.float32)),
    Case("leaky_relu_alpha", lambda tf, x: tf.nn.leaky_relu(x, 0.3), [X]),
]

BINARY = [
    *_binary("add subtract multiply divide maximum minimum squared_difference floordiv floormod", A, B),
    *_binary("add subtract multiply maximum minimum squared_difference floordiv floormod", INTS, DIVISORS),
    *_binary("pow xlogy xdivy", np.abs(A), np.abs(B)),
    *_binary("divide_no_nan multiply_no_nan", A, np.where(B > 0, B, 0).astype(np.float32)),
    *_binary("greater greater_equal less less_equal equal not_equal", INTS, DIVISORS),
    *_binary("logical_and logical_or logical_xor", BOOLS, A < 0.5),
    Case("truncatediv", lambda tf, a, b: tf.raw_ops.TruncateDiv(x=a, y=b), [INTS, DIVISORS]),
    Case("truncatemod", lambda tf, a, b: tf.raw_ops.TruncateMod(x=a, y=b), [INTS, DIVISORS]),
    Case("truncatemod_floats", lambda tf, a, b: tf.raw_ops.TruncateMod(x=a, y=b), [A, B]),
    Case("mod_negative_floats", lambda tf, a, b: tf.raw_ops.FloorMod(x=a, y=b), [X, -POSITIVE], 64),
    Case("add_n", lambda tf, a, b: tf.add_n([a, b, a]), [A, A * 2]),
    Case("bitwise", lambda tf, a, b: (a & b, a | b, a ^ b, ~a), [INTS, DIVISORS]),
]

CHOICES = [
    Case("clip", lambda tf, x: tf.clip_by_value(x, -0.5, 1.25), [X]),
    Case("clip_raw", lambda tf, x: tf.raw_ops.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=1.0), [X]),
    Case("clip_tensor", lambda tf, x, y: tf.raw_ops.ClipByValue(t=x, clip_value_min=-y, clip_value_max=y), [A, abs(A)]),
    Case("select_same", lambda tf, c, a: tf.raw_ops.Select(condition=c, x=a, y=-a * 2), [BOOLS, A]),
    Case("select_rows", lambda tf, c, a: tf.raw_ops.Select(condition=c, x=a, y=-a * 2), [BOOLS[:, 0], A]),
    Case("select_scalar", lambda tf, a: tf.raw_ops.Select(condition=tf.constant(True), x=a, y=-a), [A]),
    Case("select_v2", lambda tf, c, a, b: tf.where(c, a, b), [BOOLS, A, B]),
]

BIAS = [
    Case("bias_add", lambda tf, x: tf.nn.bias_add(x, tf.constant([1.0, 2, 3, 4])), [A]),
    Case(
        "bias_add_first",
        lambda tf, x: tf.nn.bias_add(x, tf.constant([1.0, 2, 3]), data_format="NCHW"),
        [_floats(2, 3, 4, 5)],
        shapes=("static", "batch"),
    ),
]

CASTS = [
    Case(f"cast_{x.dtype}_{to}", lambda tf, x, to=to: tf.cast(x, to), [x])
    for x in (np.array([-1.7, -0.2, 0, 0.9, 2.5], np.float32), INTS, BOOLS, INTS.astype(np.int64))
    for to in ("float32", "float64", "int32", "int64", "uint8", "int8", "bool", "float16")
    if not (x.dtype == np.float32 and to == "uint8")
]


@pytest.mark.parametrize("knowledge", ["static", "none"])
@pytest.mark.parametrize("case", [*UNARY, *BINARY, *CHOICES, *BIAS, *CASTS], ids=lambda case: case.name)
def test_elementwise(case: Case, knowledge: str) -> None:
    """The op computes TensorFlow's numbers."""
    if knowledge in case.shapes or (knowledge == "none" and "batch" in case.shapes):
        check(case, knowledge if knowledge in case.shapes else "batch")
