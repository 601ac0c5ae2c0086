"""Boxes, sparse tensors and decoded sequences are TensorFlow's, in every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.errors import UnsupportedError
from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case, lower_case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(9)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


def _boxes(count: int) -> Any:
    """Boxes on a grid of eighths, of which some are equal and some touch."""
    corners = np.sort(_random.integers(0, 8, (count, 2, 2)) / 8, axis=1).reshape(count, 4)
    return np.asarray(corners + np.array([0, 0, 0.0625, 0.0625]), np.float32)


BOXES, SCORES = _boxes(30), (_random.integers(0, 10, 30) / 10).astype(np.float32)
SWAPPED = BOXES[:, [2, 3, 0, 1]]
KNOWN = ("static",)


def _raw(op: str, **options: Any) -> Any:
    return lambda tf, b, s: getattr(tf.raw_ops, op)(boxes=b, scores=s, max_output_size=8, **options)


LIMITS = {"iou_threshold": 0.3, "score_threshold": 0.1}
PADDED = {**LIMITS, "pad_to_max_output_size": True}

SUPPRESSED = [
    Case("first", _raw("NonMaxSuppression"), [BOXES, SCORES], 0),
    Case("v2", _raw("NonMaxSuppressionV2", iou_threshold=0.3), [BOXES, SCORES], 0),
    Case("v3", _raw("NonMaxSuppressionV3", **LIMITS), [BOXES, SCORES], 0),
    Case("v3_swapped", _raw("NonMaxSuppressionV3", **LIMITS), [SWAPPED, SCORES], 0),
    Case("v3_nothing", _raw("NonMaxSuppressionV3", iou_threshold=0.3, score_threshold=2.0), [BOXES, SCORES], 0),
    Case("v4", _raw("NonMaxSuppressionV4", **LIMITS), [BOXES, SCORES], 0),
    Case("v4_padded", _raw("NonMaxSuppressionV4", **PADDED), [BOXES[:6], SCORES[:6]], 0),
    Case("v5_padded", _raw("NonMaxSuppressionV5", soft_nms_sigma=0.0, **PADDED), [BOXES[:6], SCORES[:6]], 0),
    Case(
        "computed",
        lambda tf, b, s, n: tf.image.non_max_suppression(b, s, n, 0.4),
        [BOXES, SCORES, np.array(5, np.int32)],
        0,
        KNOWN,
    ),
]

CLASSES = _random.permutation(72).reshape(2, 12, 3).astype(np.float32) / 72
SHARED = np.stack([_boxes(12), _boxes(12)])[:, :, None]
OWN = SHARED + np.array([0, 0.1, 0.2], np.float32).reshape(3, 1)


def _combined(per_class: bool, clip: bool, total: int) -> Any:
    return lambda tf, b, s: tf.image.combined_non_max_suppression(
        b, s, 4, total, 0.4, 0.3, pad_per_class=per_class, clip_boxes=clip
    )


COMBINED = [
    Case(f"combined_{boxes.shape[2]}_{per_class}_{total}", _combined(per_class, clip, total), [boxes, CLASSES], 0)
    for boxes in (SHARED, OWN)
    for per_class, clip, total in ((False, True, 7), (True, False, 40), (False, False, 40))
]

LOGITS, LENGTHS = _floats(9, 3, 4), np.array([9, 4, 7], np.int32)


def _decoded(**options: Any) -> Any:
    def build(tf: Any, x: Any, lengths: Any) -> Any:
        (found,), score = tf.nn.ctc_greedy_decoder(x, lengths, **options)
        return found.indices, found.values, found.dense_shape, score

    return build


PLACES = np.array([[0, 1], [0, 3], [2, 0], [3, 2]], np.int64)
VALUES, SHAPE = _floats(4), np.array([5, 4], np.int64)


def _dense(tf: Any, places: Any, values: Any, shape: Any) -> Any:
    return tf.raw_ops.SparseToDense(sparse_indices=places, output_shape=shape, sparse_values=values, default_value=2.0)


def _filled(tf: Any, places: Any, values: Any, shape: Any) -> Any:
    return tf.raw_ops.SparseFillEmptyRows(indices=places, values=values, dense_shape=shape, default_value=9.0)


def _times(tf: Any, places: Any, values: Any, b: Any, first: bool, second: bool) -> Any:
    adjoints = {"adjoint_a": first, "adjoint_b": second}
    return tf.raw_ops.SparseTensorDenseMatMul(a_indices=places, a_values=values, a_shape=SHAPE, b=b, **adjoints)


def _embedded(tf: Any, places: Any, numbers: Any) -> Any:
    table = tf.constant(VALUES.reshape(4, 1) * np.array([1, 2, 3], np.float32))
    return tf.nn.safe_embedding_lookup_sparse(table, tf.SparseTensor(places, numbers, SHAPE))


def _line(tf: Any, places: Any) -> Any:
    return tf.raw_ops.SparseToDense(sparse_indices=places, output_shape=[6], sparse_values=1.0, default_value=0.0)


def _reshaped(tf: Any, places: Any, shape: Any) -> Any:
    return tf.raw_ops.SparseReshape(input_indices=places, input_shape=shape, new_shape=[-1, 2, 2])


SPARSE = [
    Case("ctc", _decoded(), [LOGITS, LENGTHS], 4, KNOWN),
    Case("ctc_repeats", _decoded(merge_repeated=False, blank_index=0), [LOGITS, LENGTHS], 4, KNOWN),
    Case("dense", _dense, [PLACES, VALUES, SHAPE], 0, KNOWN),
    Case("dense_line", _line, [np.array([1, 4])], 0),
    Case("reshaped", _reshaped, [PLACES, SHAPE], 0, KNOWN),
    Case("filled", _filled, [PLACES, VALUES, SHAPE], 0, KNOWN),
    Case("embedded", _embedded, [PLACES, np.array([1, 2, 0, 3])], 4, KNOWN),
    *(
        Case(
            f"times_{first}_{second}",
            lambda tf, i, v, b, f=first, s=second: _times(tf, i, v, b, f, s),
            [PLACES, VALUES, _floats(*((3, size) if second else (size, 3)))],
            4,
            KNOWN,
        )
        for first, size in ((False, 4), (True, 5))
        for second in (False, True)
    ),
]

CASES = [*SUPPRESSED, *COMBINED, *SPARSE]


@pytest.mark.parametrize(
    ("case", "shapes"),
    [(case, shapes) for case in CASES for shapes in dict.fromkeys(("static", *case.shapes[1:2]))],
    ids=lambda value: getattr(value, "name", value),
)
def test_detection(case: Case, shapes: str) -> None:
    """The same boxes in the same order, also of equal scores; the same places and values."""
    check_everywhere(case, shapes)


def test_fading_scores_are_refused() -> None:
    """ONNX's suppression has no scores that fade with the overlap."""
    fading = Case("fading", _raw("NonMaxSuppressionV5", soft_nms_sigma=0.5, **LIMITS), [BOXES, SCORES])
    with pytest.raises(UnsupportedError, match="soft_nms_sigma"):
        lower_case(fading, "static")
