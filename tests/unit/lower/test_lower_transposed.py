"""Transposed convolutions are lowered to what TensorFlow computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check, lower_case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(1)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 4, 5, 3)


def _back(kernel: Any, out: list[int], **options: Any) -> Any:
    return lambda tf, x: tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.constant(out), filter=tf.constant(kernel), out_backprop=x, **options
    )


def _keras_style(kernel: Any, stride: int, padding: str) -> Any:
    """The output size from `tf.shape`, as tf.layers writes it."""
    height, width, filters, _ = kernel.shape

    def build(tf: Any, x: Any) -> Any:
        shape = tf.shape(x)
        grown = [0, 0] if padding == "SAME" else [max(size - stride, 0) for size in (height, width)]
        out = tf.stack([shape[0], shape[1] * stride + grown[0], shape[2] * stride + grown[1], filters])
        return tf.nn.conv2d_transpose(x, tf.constant(kernel), out, [1, stride, stride, 1], padding)

    return build


def _twice(tf: Any, x: Any) -> Any:
    """A size that is not a multiple: the shape of another tensor."""
    other = tf.nn.max_pool2d(tf.repeat(tf.repeat(x, 2, 1), 2, 2), 2, 1, "VALID")
    return tf.nn.conv2d_transpose(x, tf.constant(_floats(3, 3, 3, 3)), tf.shape(other), [1, 2, 2, 1], "SAME")


SAME = {"strides": [1, 2, 2, 1], "padding": "SAME"}

STATIC = [
    Case("same_even", _back(_floats(3, 3, 6, 3), [2, 8, 10, 6], **SAME), [X]),
    Case("same_odd", _back(_floats(5, 4, 6, 3), [2, 7, 9, 6], **SAME), [X]),
    Case("same_small_kernel", _back(_floats(1, 2, 6, 3), [2, 8, 10, 6], **SAME), [X]),
    Case("same_small_kernel_odd", _back(_floats(1, 1, 6, 3), [2, 7, 9, 6], **SAME), [X]),
    Case("valid", _back(_floats(3, 2, 6, 3), [2, 9, 10, 6], strides=[1, 2, 2, 1], padding="VALID"), [X]),
    Case("valid_more", _back(_floats(3, 2, 6, 3), [2, 10, 11, 6], strides=[1, 2, 2, 1], padding="VALID"), [X]),
    Case(
        "explicit",
        _back(
            _floats(3, 3, 6, 3),
            [2, 8, 9, 6],
            strides=[1, 2, 2, 1],
            padding="EXPLICIT",
            explicit_paddings=[0, 0, 1, 0, 1, 1, 0, 0],
        ),
        [X],
    ),
    Case(
        "depthwise",
        lambda tf, x: tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=tf.constant([2, 8, 10, 2]),
            filter=tf.constant(_floats(3, 3, 2, 2)),
            out_backprop=x,
            strides=[1, 2, 2, 1],
            padding="SAME",
        ),
        [_floats(2, 4, 5, 4)],
    ),
    Case(
        "volume",
        lambda tf, x: tf.nn.conv3d_transpose(
            x, tf.constant(_floats(3, 3, 3, 4, 3)), [2, 4, 6, 8, 4], [1, 2, 2, 2, 1], "SAME"
        ),
        [_floats(2, 2, 3, 4, 3)],
    ),
]

DYNAMIC = [
    Case("keras_same", _keras_style(_floats(3, 3, 4, 3), 2, "SAME"), [X]),
    Case("keras_same_stride_3", _keras_style(_floats(2, 5, 4, 3), 3, "SAME"), [X]),
    Case("keras_valid", _keras_style(_floats(3, 4, 4, 3), 2, "VALID"), [X]),
    Case("keras_valid_small_kernel", _keras_style(_floats(1, 2, 4, 3), 3, "VALID"), [X]),
]

CUT = Case("shape_of_another", _twice, [X])


@pytest.mark.parametrize("case", STATIC, ids=lambda case: case.name)
def test_static_size(case: Case) -> None:
    """With a constant output size the transposed convolution computes TensorFlow's numbers."""
    check(case, "static")


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize("case", [*DYNAMIC, CUT], ids=lambda case: case.name)
def test_size_from_shape(case: Case, knowledge: str) -> None:
    """With an output size out of tf.shape too, whatever is known of the input's sizes."""
    check(case, knowledge)


@pytest.mark.parametrize("case", DYNAMIC, ids=lambda case: case.name)
def test_size_arithmetic_disappears(case: Case) -> None:
    """A size that is a multiple of the input's leaves nothing but the transposed convolution."""
    model, _, _ = lower_case(case, "none")
    assert [node.op_type for node in model.graph] == ["ConvTranspose"]
