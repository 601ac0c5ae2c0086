"""Convolutions that TensorFlow dilates through SpaceToBatchND become dilated ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(4)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 9, 8, 4)
LINE = _floats(2, 9, 4)
W = _floats(3, 2, 4, 5)


def _through_batch(tf: Any, x: Any) -> Any:
    """A block shape with paddings and crops that differ, and more than a convolution in between."""
    y = tf.space_to_batch_nd(x, [3, 2], [[1, 2], [2, 0]])
    return tf.batch_to_space(tf.nn.relu(tf.nn.max_pool2d(y, 2, 1, "SAME")), [3, 2], [[2, 0], [1, 1]])


def _uneven(tf: Any, x: Any) -> Any:
    """Crops larger than the paddings."""
    y = tf.nn.conv2d(tf.space_to_batch_nd(x, [3, 2], [[0, 0], [0, 0]]), tf.constant(W), 1, "VALID")
    return tf.batch_to_space(y, [3, 2], [[1, 1], [0, 1]])


CONVOLUTIONS = [
    Case("same", lambda tf, x: tf.nn.convolution(x, tf.constant(W), padding="SAME", dilations=[2, 3]), [X]),
    Case("valid", lambda tf, x: tf.nn.convolution(x, tf.constant(W), padding="VALID", dilations=[2, 3]), [X]),
    Case("atrous", lambda tf, x: tf.nn.atrous_conv2d(x, tf.constant(W), 3, "SAME"), [X]),
    Case("one_axis", lambda tf, x: tf.nn.convolution(x, tf.constant(W), padding="SAME", dilations=[1, 3]), [X]),
    Case(
        "depthwise",
        lambda tf, x: tf.nn.depthwise_conv2d(x, tf.constant(W[..., :2]), [1] * 4, "SAME", dilations=[2, 2]),
        [X],
    ),
    Case(
        "line",
        lambda tf, x: tf.nn.convolution(x, tf.constant(W[:, 0]), padding="SAME", dilations=[3]),
        [LINE],
    ),
    Case(
        "causal",
        lambda tf, x: tf.nn.convolution(
            tf.pad(x, [[0, 0], [4, 0], [0, 0]]), tf.constant(W[:, 0]), padding="VALID", dilations=[2]
        ),
        [LINE],
    ),
]

BLOCKS = [
    Case("through_batch", _through_batch, [X[:, :, :6]]),
    Case("uneven", _uneven, [X]),
]


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: case.name)
def test_dilated_convolution(case: Case, knowledge: str) -> None:
    """The way through the batch disappears: one convolution is left, with its padding."""
    model = check(case, knowledge)
    assert [node.op_type for node in model.graph if node.op_type != "Pad" or case.name != "causal"] in (
        ["Conv"],
        ["Reshape", "Conv"],
    )


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize("case", BLOCKS, ids=lambda case: case.name)
def test_blocks(case: Case, knowledge: str) -> None:
    """What is no dilated convolution still computes TensorFlow's numbers."""
    check(case, knowledge)
