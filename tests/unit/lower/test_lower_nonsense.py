"""Whatever a graph says, lowering it ends in a model or in an error for people, soon."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest

from exporter.errors import ExportError
from exporter.lower.tf import OPS
from exporter.sources.model import VARIABLE_OPS
from tests.unit.lower.handmade import const, lower, node

VALUES: list[Any] = [
    *(0, 1, -1, 2, 3, 7, 9, 10**12, 1.5, None, True, False, "x"),
    *(b"SAME", b"VALID", b"EXPLICIT", b"NHWC", b"NCHW", b"REFLECT", b"ij,jk->ik"),
    *((), (1, 1, 1, 1), (1, 2, 2, 1), (1, 1, 2, 2), (0, 0, 0, 0), (-1, 2, 3, 4), (b"BiasAdd", b"Relu")),
]

NAMES = [
    *("strides", "padding", "data_format", "dilations", "explicit_paddings", "ksize", "axis", "num"),
    *("num_split", "N", "T", "DstT", "out_type", "transpose_a", "adj_x", "keep_dims", "epsilon"),
    *("is_training", "begin_mask", "end_mask", "ellipsis_mask", "shrink_axis_mask", "new_axis_mask"),
    *("squeeze_dims", "equation", "block_size", "batch_dims", "depth_radius", "ksizes", "rates", "mode"),
    *("align_corners", "half_pixel_centers", "k", "num_bits", "fused_ops", "value", "output_type"),
    *("num_partitions", "boundaries", "seq_dim", "batch_dim"),
]

CONSTANTS = [
    const("zero", np.array(0, np.int32)),
    const("pair", np.array([1, 2], np.int32)),
    const("order", np.array([0, 1, 2, 3], np.int32)),
    const("paddings", np.array([[0, 0], [1, 1], [2, 2], [0, 0]], np.int32)),
    const("kernel", np.ones((3, 3, 2, 4), np.float32)),
    const("matrix", np.ones((2, 3), np.float32)),
    const("half", np.array(0.5, np.float32)),
    const("vector", np.ones(4, np.float32)),
    const("truths", np.array([True, False])),
    const("negative", np.array([-1, -5], np.int32)),
    const("huge", np.array([2**31 - 1], np.int32)),
    const("nothing", np.zeros(0, np.int32)),
]

X, Y = np.ones((2, 4, 6, 2), np.float32), np.ones((2, 3), np.int32)

SHAPES: list[dict[str, Any]] = [{}, {"x": None}, {"x": (None,) * 4}, {"x": (None, 4, 6, 2), "y": (None, 3)}]


def _nonsense(choice: random.Random, op: str) -> Any:
    names = ["x", "x", "y", *(constant.name for constant in CONSTANTS)]
    inputs = [choice.choice(names) for _ in range(choice.randint(0, 5))]
    attributes = {name: choice.choice(VALUES) for name in choice.sample(NAMES, choice.randint(5, 25))}
    return node("z", op, *inputs, **attributes)


@pytest.mark.parametrize("seed", range(2))
def test_nonsense(seed: int) -> None:
    """Any op with any inputs and attributes is lowered, or refused with one of the errors for people; both happen."""
    choice = random.Random(seed)
    lowered = refused = 0
    for op in sorted(OPS.keys() - VARIABLE_OPS):
        for _ in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                try:
                    lower([*CONSTANTS, _nonsense(choice, op)], {"x": X, "y": Y}, ["z"], shapes=choice.choice(SHAPES))
                    lowered += 1
                except ExportError:
                    refused += 1
    assert lowered > 50
    assert refused > 50
