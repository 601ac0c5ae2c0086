"""Boxes chosen by their scores."""

from __future__ import annotations

import numpy as np

from runtime.kernels.base import Array, Function

__all__ = ["OPS"]


def non_max_suppression(
    boxes: Array,
    scores: Array,
    max_output_boxes_per_class: Array | None = None,
    iou_threshold: Array | None = None,
    score_threshold: Array | None = None,
    *,
    center_point_box: int = 0,
) -> Array:
    """Of boxes [b, n, 4] with scores [b, c, n] the best of each class that don't overlap a better one, [m, 3] int64.

    Each row is the number of an image, of a class and of a box; of equal scores the first is better. A box counts if
    its score is above the threshold; it overlaps another if the area in both is more than the IoU threshold's share
    of the area in either. Boxes are y1, x1, y2, x2, any two opposite corners, or x, y, width, height around a centre.
    """
    if boxes.ndim != 3 or boxes.shape[2] != 4 or scores.ndim != 3:
        raise ValueError(f"boxes {boxes.shape} and scores {scores.shape}, expected [b, n, 4] and [b, c, n]")
    most = 0 if max_output_boxes_per_class is None else int(max_output_boxes_per_class.reshape(-1)[0])
    limit = np.float32(0 if iou_threshold is None else iou_threshold.reshape(-1)[0])
    lowest = None if score_threshold is None else score_threshold.reshape(-1)[0]
    found = []
    for image in range(boxes.shape[0]):
        corners = _corners(boxes[image], center_point_box)
        for kind in range(scores.shape[1]):
            own = scores[image, kind]
            order = np.argsort(-own, kind="stable")
            order = order if lowest is None else order[own[order] > lowest]
            found += [(image, kind, box) for box in _kept(corners, order, most, limit)]
    return np.array(found, np.int64).reshape(-1, 3)


def _corners(boxes: Array, centred: int) -> Array:
    """Lower and higher y and x of each box, [4, n]."""
    a, b, c, d = boxes.T
    if centred:
        return np.stack([b - d / 2, a - c / 2, b + d / 2, a + c / 2])
    return np.stack([np.minimum(a, c), np.minimum(b, d), np.maximum(a, c), np.maximum(b, d)])


def _kept(corners: Array, order: Array, most: int, limit: np.float32) -> list[int]:
    kept: list[int] = []
    top, left, bottom, right = corners
    area = (bottom - top) * (right - left)
    while order.size and len(kept) < most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        height = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order])
        width = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order])
        common = np.maximum(height, 0) * np.maximum(width, 0)
        either = area[best] + area[order] - common
        real = (area[best] > 0) & (area[order] > 0)
        order = order[~(real & (common / np.where(real, either, 1) > limit))]
    return kept


OPS: dict[str, Function] = {"NonMaxSuppression": non_max_suppression}
