"""Operations between layers: `keras.ops` in Keras 3, TensorFlow functions in tf.keras."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exporter.errors import UnsupportedError
from exporter.lower.keras.driver import lower_keras
from exporter.sources.keras_config import read_model
from exporter.sources.keras_weights import KerasWeights
from tests.unit.lower_keras.oracle import Case, check, lower, parameters

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
    _three("concatenate-types", lambda o, x: o.concatenate([x, o.cast(x > 0, "bool"), o.ones_like(x, "float16")])),
    _three("half-and-float", lambda o, x: x + o.ones_like(x, "float16")),
    _three("stack", lambda o, x, y: o.stack([x, y], axis=1), _X, _X),
    _three("stack-types", lambda o, x: o.stack([o.cast(x, "int32"), x > 0], axis=-1)),
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

_HALF = np.random.default_rng(5).uniform(0.1, 0.9, (2, *_X)).astype(np.float32)
_SIGNED = np.random.default_rng(6).normal(size=(2, *_X)).astype(np.float32)

MORE = [
    *[
        _three(name, lambda o, x, name=name: getattr(o, name)(x), feeds=[_HALF])
        for name in ["arccos", "arcsin", "arctan", "arctanh", "arcsinh", "cosh", "sinh", "tan", "log10", "log2", "exp2"]
    ],
    *[
        _three(name, lambda o, x, name=name: getattr(o, name)(x))
        for name in [
            "glu",
            "hard_shrink",
            "soft_shrink",
            "sparse_plus",
            "sparsemax",
            "celu",
            "hard_silu",
            "hard_tanh",
            "tanh_shrink",
        ]
    ],
    *[
        _three(name, lambda o, x, name=name: getattr(o, name)(x))
        for name in [
            "log_sigmoid",
            "hard_sigmoid",
            "selu",
            "relu6",
            "squareplus",
            "sparse_sigmoid",
            "softsign",
            "elu",
            "log_softmax",
        ]
    ],
    _three("arccosh", lambda o, x: o.arccosh(x + 1.0), feeds=[_HALF]),
    _three("cumsum", lambda o, x: o.cumsum(x, axis=1)),
    _three("mod", lambda o, x: o.mod(x, 0.7)),
    _three("xor", lambda o, x, y: o.cast(o.logical_xor(x > 0, y > 0), "float32"), _X, _X),
    _three("nan", lambda o, x: o.cast(o.isnan(o.log(x)), "float32") + o.cast(o.isinf(1.0 / o.relu(x)), "float32")),
    _three("moveaxis", lambda o, x: o.moveaxis(x, 1, 2)),
    _three("repeat", lambda o, x: o.repeat(x, 3, axis=1)),
    _three("roll", lambda o, x: o.roll(x, 2, axis=2)),
    _three("norm", lambda o, x: o.norm(x, axis=-1, keepdims=True)),
    _three("top-k", lambda o, x: o.top_k(x, 3)[0]),
    _three("triangles", lambda o, x: o.tril(x) - o.triu(x, 1)),
    _three("unstack", lambda o, x: o.unstack(x, axis=2)[1]),
    _three("shrinks", lambda o, x: o.hard_shrink(x, threshold=0.2) + o.soft_shrink(x, 0.3) + o.threshold(x, 0.1, -1)),
    _two(
        "tf-trigonometry", lambda tf, x: tf.acos(x) + tf.asin(x) + tf.atan(x) + tf.atanh(x) + tf.tan(x), feeds=[_HALF]
    ),
    _two("tf-hyperbolic", lambda tf, x: tf.sinh(x) + tf.cosh(x) + tf.asinh(x) + tf.acosh(x + 1.0), feeds=[_HALF]),
    _two("tf-cumsum", lambda tf, x: tf.cumsum(x, axis=1, exclusive=True, reverse=True) + tf.cumsum(x, 2)),
    _two("tf-mod", lambda tf, x: tf.math.floormod(x, 0.7)),
    _two("tf-top-k", lambda tf, x: tf.math.top_k(x, k=3)[0]),
    _two("tf-unstack", lambda tf, x: tf.unstack(x, axis=2)[1]),
    _two("tf-slice", lambda tf, x: tf.slice(x, [0, 1, 2], [-1, 2, 3])),
    _two("tf-add-n", lambda tf, x, y: tf.add_n([x, y, x]), _X, _X),
    _two("tf-norm", lambda tf, x: tf.norm(x, axis=-1) + tf.math.reduce_euclidean_norm(x, 2)),
    _two("tf-roll", lambda tf, x: tf.roll(x, 2, axis=2)),
    _two("tf-repeat", lambda tf, x: tf.repeat(x, 3, axis=1)),
    _two("tf-bias", lambda tf, x: tf.nn.bias_add(x, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
    _two("tf-scalar", lambda tf, x: tf.scalar_mul(2.0, x) + tf.nn.l2_normalize(x, -1)),
    _two("tf-logic", lambda tf, x: tf.cast(tf.logical_or(x > 1.0, tf.logical_not(x > -1.0)), tf.float32)),
    _two("tf-operators", lambda tf, x: -x + abs(x) ** 2 / 3 - (x // 0.5) + x % 0.3),
    _two(
        "tf-compare", lambda tf, x: tf.cast((x >= 0.5) | (x < -0.5), tf.float32) + tf.cast(tf.equal(x, x), tf.float32)
    ),
    _two(
        "tf-activations",
        lambda tf, x: tf.nn.elu(x) + tf.nn.selu(x) + tf.nn.softplus(x) + tf.nn.swish(x) + tf.sigmoid(x),
    ),
    _two("tf-moments", lambda tf, x: tf.math.reduce_variance(x, 1) + tf.math.reduce_std(x, axis=1)),
    _two("tf-tile", lambda tf, x: tf.tile(x, [1, 2, 3])),
    _two("tf-reverse", lambda tf, x: tf.reverse(x, [1])),
    _two("tf-transposed", lambda tf, x, y: tf.matmul(x, y, transpose_a=True, transpose_b=True), _X, (6, 4)),
    _two("tf-tensordot", lambda tf, x: tf.tensordot(x, tf.ones([6, 2]), 1)),
    _three("log-softmax", lambda o, x: o.log_softmax(x) + o.tanh_shrink(x) + o.celu(x, 0.5) + o.squareplus(x, b=2)),
    _two("tf-gather", lambda tf, x: tf.gather(x, [2, 0], axis=1)),
    _two("tf-getitem", lambda tf, x: x[:, 1:3, ::2] + x[:, -1:, :3] + x[..., tf.newaxis][:, :2, 1:4, 0]),
    _two("tf-like", lambda tf, x: tf.ones_like(x) * 2.0 + tf.zeros_like(x)),
    _two("tf-argmax", lambda tf, x: tf.argmax(x, axis=-1)),
    _two("tf-one-hot", lambda tf, x: tf.one_hot(tf.cast(x > 0, tf.int32), 3)),
]


def _recorded(op: str, constants: dict[int, Any] | None = None, **attributes: Any) -> Callable[..., Any]:
    """An op as tf.keras 2.0 to 2.3 recorded it."""

    def build(keras: Any, *xs: Any) -> Any:
        layer = importlib.import_module("tf_keras.src.engine.base_layer").TensorFlowOpLayer
        count = len(xs) + len(constants or {})
        kinds = {"T": {"type": "DT_FLOAT"}, **attributes}
        node = {"name": op, "op": op, "input": [f"x{i}" for i in range(count)], "attr": kinds}
        arrays = {place: np.asarray(value) for place, value in (constants or {}).items()}
        return layer(node, op.lower(), arrays)(list(xs) if len(xs) > 1 else xs[0])

    return build


def _whole(places: Any) -> Any:
    return np.array(places, np.int32)


_INT = {"type": "DT_INT32"}
_CUT = {"Index": _INT, "begin_mask": {"i": "1"}, "end_mask": {"i": "1"}, "shrink_axis_mask": {"i": "2"}}

RECORDED = [
    *[
        Case(f"op-{op}", _recorded(op), [_X], majors=[2])
        for op in ("Abs", "Exp", "Relu", "Relu6", "Sigmoid", "Square", "Softmax", "Tanh", "Neg", "Floor", "Elu", "Erf")
    ],
    *[
        Case(f"op-{op}", _recorded(op), [_X, _X], majors=[2])
        for op in ("AddV2", "Sub", "Mul", "Maximum", "Minimum", "RealDiv", "SquaredDifference")
    ],
    Case("op-constant", _recorded("Sub", {0: np.float32(2)}), [_X], majors=[2]),
    Case("op-Reshape", _recorded("Reshape", {1: _whole([-1, 24])}, Tshape=_INT), [_X], majors=[2]),
    Case("op-ExpandDims", _recorded("ExpandDims", {1: _whole(1)}, Tdim=_INT), [_X], majors=[2]),
    Case("op-Squeeze", _recorded("Squeeze", squeeze_dims={"list": {"i": ["1"]}}), [(1, 3)], majors=[2]),
    Case("op-Transpose", _recorded("Transpose", {1: _whole([0, 2, 1])}, Tperm=_INT), [_X], majors=[2]),
    Case("op-ConcatV2", _recorded("ConcatV2", {2: _whole(-1)}, N={"i": "2"}, Tidx=_INT), [_X, _X], majors=[2]),
    Case("op-Pack", _recorded("Pack", N={"i": "2"}, axis={"i": "1"}), [_X, _X], majors=[2]),
    Case("op-Mean", _recorded("Mean", {1: _whole([1])}, Tidx=_INT, keep_dims={"b": True}), [_X], majors=[2]),
    Case("op-Sum", _recorded("Sum", {1: _whole([1, 2])}, Tidx=_INT, keep_dims={"b": False}), [_X], majors=[2]),
    Case("op-LeakyRelu", _recorded("LeakyRelu", alpha={"f": 0.3}), [_X], majors=[2]),
    Case("op-MatMul", _recorded("BatchMatMulV2", adj_x={"b": False}, adj_y={"b": True}), [_X, (3, 6)], majors=[2]),
    Case("op-Pad", _recorded("Pad", {1: _whole([[0, 0], [1, 2], [0, 1]])}, Tpaddings=_INT), [_X], majors=[2]),
    Case(
        "op-StridedSlice",
        _recorded("StridedSlice", {1: _whole([0, 1, 1]), 2: _whole([0, 2, 5]), 3: _whole([1, 1, 2])}, **_CUT),
        [_X],
        majors=[2],
    ),
]

CASES = [*OPERATORS, *KERAS_OPS, *TENSORFLOW, *MORE, *RECORDED]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
def test_same_as_keras(case: Case, major: int) -> None:
    """An operation between layers gives what Keras gives."""
    check(case, major)


def test_tensors_that_keras_leaves_out() -> None:
    """tf.keras writes only the equation of tf.einsum, so its own file can't be read by anyone: refused."""
    case = _two("tf-einsum", lambda tf, x, y: tf.einsum("bij,bjk->bik", x, y), _X, (6, 3))
    with pytest.raises(UnsupportedError, match="leaves out"):
        lower(case.model(2))


def test_other_recorded_ops_are_refused() -> None:
    """By the layer and the op."""
    config = {"name": "crop", "node_def": {"name": "c", "op": "CropAndResize", "attr": {}}, "constants": {}}
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 4]}},
        {"class_name": "TensorFlowOpLayer", "name": "tf_op_layer_crop", "config": config},
    ]
    model = read_model({"class_name": "Sequential", "config": layers})
    with pytest.raises(UnsupportedError, match=r"tf_op_layer_crop.*CropAndResize"):
        lower_keras(model, KerasWeights("nothing", {}), name="s")
