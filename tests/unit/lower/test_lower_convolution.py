"""Convolutions are lowered to what TensorFlow computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check, lower_case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(0)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 7, 8, 4)
X_FIRST = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
VOLUME = _floats(2, 5, 6, 7, 3)
W = _floats(3, 2, 4, 6)


def _conv(**options: Any) -> Any:
    return lambda tf, x: tf.raw_ops.Conv2D(input=x, filter=tf.constant(W), **options)


CASES = [
    Case("same", _conv(strides=[1, 1, 1, 1], padding="SAME"), [X]),
    Case("valid_strides", _conv(strides=[1, 2, 3, 1], padding="VALID"), [X]),
    Case("same_strides", _conv(strides=[1, 2, 2, 1], padding="SAME"), [X]),
    Case("same_dilations", _conv(strides=[1, 1, 1, 1], padding="SAME", dilations=[1, 2, 3, 1]), [X]),
    Case(
        "explicit",
        _conv(strides=[1, 2, 1, 1], padding="EXPLICIT", explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0]),
        [X],
    ),
    Case(
        "grouped",
        lambda tf, x: tf.raw_ops.Conv2D(input=x, filter=tf.constant(W[:, :, :2]), strides=[1, 1, 1, 1], padding="SAME"),
        [X],
    ),
    Case(
        "one_by_one_strides",
        lambda tf, x: tf.nn.conv2d(x, tf.constant(W[:1, :1]), [1, 2, 2, 1], "SAME"),
        [X],
    ),
    Case(
        "depthwise",
        lambda tf, x: tf.nn.depthwise_conv2d(x, tf.constant(W[..., :1]), [1, 1, 1, 1], "SAME"),
        [X],
    ),
    Case(
        "depthwise_multiplier",
        lambda tf, x: tf.nn.depthwise_conv2d(x, tf.constant(W[..., :3]), [1, 2, 2, 1], "SAME"),
        [X],
    ),
    Case(
        "separable",
        lambda tf, x: tf.nn.separable_conv2d(
            x, tf.constant(W[..., :2]), tf.constant(_floats(1, 1, 8, 5)), [1, 1, 1, 1], "SAME"
        ),
        [X],
    ),
    Case(
        "volume",
        lambda tf, x: tf.nn.conv3d(x, tf.constant(_floats(2, 3, 3, 3, 4)), [1, 1, 2, 2, 1], "SAME"),
        [VOLUME],
    ),
    Case(
        "volume_dilations",
        lambda tf, x: tf.raw_ops.Conv3D(
            input=x,
            filter=tf.constant(_floats(2, 2, 3, 3, 4)),
            strides=[1, 1, 1, 1, 1],
            padding="VALID",
            dilations=[1, 1, 1, 1, 1],
        ),
        [VOLUME],
    ),
    Case("line", lambda tf, x: tf.nn.conv1d(x, tf.constant(_floats(3, 4, 5)), 2, "SAME"), [_floats(2, 9, 4)]),
    Case("line_valid", lambda tf, x: tf.nn.conv1d(x, tf.constant(_floats(3, 4, 5)), 1, "VALID"), [_floats(2, 9, 4)]),
]

KNOWLEDGE = ["static", "batch", "none"]


@pytest.mark.parametrize("knowledge", KNOWLEDGE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_convolution(case: Case, knowledge: str) -> None:
    """A convolution computes TensorFlow's numbers, whatever is known of its input's sizes."""
    model = check(case, knowledge)
    assert sum(node.op_type == "Conv" for node in model.graph) >= 1


def test_same_padding_is_resolved_when_the_size_is_known() -> None:
    """`auto_pad` is left only where the padding depends on an unknown size."""
    for index, knowledge, automatic in [(0, "none", False), (2, "batch", False), (2, "none", True), (6, "none", False)]:
        model, _, _ = lower_case(CASES[index], knowledge)
        conv = next(node for node in model.graph if node.op_type == "Conv")
        assert ("auto_pad" in conv.attributes) == automatic, CASES[index].name
