"""Resizes and block moves are lowered to what TensorFlow computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.lower.oracle import Case, check

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(6)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


X = _floats(2, 6, 5, 3)
SIZES = [[12, 10], [6, 5], [9, 7], [4, 3], [18, 5], [3, 11], [1, 1], [13, 49]]
GRIDS = [{}, {"align_corners": True}, {"half_pixel_centers": True}]
METHODS = {"Bilinear": 16, "NearestNeighbor": 0, "Bicubic": 16}


def _resize(method: str, size: list[int], options: dict[str, bool]) -> Any:
    return lambda tf, x: getattr(tf.raw_ops, f"Resize{method}")(images=x, size=size, **options)


def _by_shape(method: str, options: dict[str, bool]) -> Any:
    """Twice the size, out of tf.shape, as a feature pyramid does it."""
    return lambda tf, x: getattr(tf.raw_ops, f"Resize{method}")(images=x, size=tf.shape(x)[1:3] * 2, **options)


RESIZES = [
    Case(
        f"{method}_{'_'.join(options) or 'legacy'}_{size[0]}x{size[1]}",
        _resize(method, size, options),
        [X],
        units,
        ("static", "batch") if method == "Bicubic" else ("static", "batch", "none"),
    )
    for method, units in METHODS.items()
    for options in GRIDS
    for size in SIZES
]

UPSCALES = [
    Case(
        f"{method}_{'_'.join(options) or 'legacy'}_twice",
        _by_shape(method, options),
        [X],
        units,
        ("static", "batch") if method == "Bicubic" else ("static", "batch", "none"),
    )
    for method, units in METHODS.items()
    for options in GRIDS
]

BLOCKS = [
    Case("depth_to_space", lambda tf, x: tf.nn.depth_to_space(x, 2), [_floats(2, 3, 4, 8)], 0),
    Case("space_to_depth", lambda tf, x: tf.nn.space_to_depth(x, 2), [_floats(2, 4, 6, 3)], 0),
    Case("bytes", lambda tf, x: tf.raw_ops.ResizeBilinear(images=x, size=[9, 9]), [np.uint8(X * 50 + 128)]),
    Case("bytes_nearest", lambda tf, x: tf.raw_ops.ResizeNearestNeighbor(images=x, size=[9, 9]), [np.uint8(X * 50)]),
    Case("image_resize", lambda tf, x: tf.image.resize(x, [8, 9]), [X]),
    Case("image_resize_nearest", lambda tf, x: tf.image.resize(x, [8, 9], "nearest"), [X], 0),
]


@pytest.mark.parametrize("knowledge", ["static", "batch", "none"])
@pytest.mark.parametrize("case", [*RESIZES, *UPSCALES, *BLOCKS], ids=lambda case: case.name)
def test_resize(case: Case, knowledge: str) -> None:
    """Each pixel has TensorFlow's value, whatever is known of the image's size."""
    if knowledge in case.shapes:
        check(case, knowledge)
