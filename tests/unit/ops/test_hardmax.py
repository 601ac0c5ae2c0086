"""Hardmax: 1 in the place of the first largest element along an axis, else 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.ir.opset import record_of
from tests.unit.ops.everywhere import run_everywhere
from tests.unit.targets.networks import Array


def _meaning(x: Array, axis: int) -> Array:
    first = np.cumsum(x == x.max(axis=axis, keepdims=True), axis=axis)
    return np.asarray((x == x.max(axis=axis, keepdims=True)) & (first == 1), np.float32)


@pytest.mark.parametrize("axis", [-1, 1, 2, 0])
def test_it_is_the_same_everywhere(axis: int, tmp_path: Path) -> None:
    """In ONNX along the axis that is the channels there, by the kernels, and by the engine, which knows the batch."""
    ran = run_everywhere(lambda builder, x: builder.op("Hardmax", x, axis=axis), lambda x: _meaning(x, axis), tmp_path)
    ran.onnx.assert_same()
    assert ran.onnx.ops["Hardmax"] == 1
    assert ran.onnx.ops["Transpose"] == 4  # of the input and the three outputs, none between
    assert np.array_equal(ran.result, ran.truth)
    np.testing.assert_allclose(ran.engine, ran.plain, rtol=1e-4, atol=1e-5)
    assert ran.folds[0].into == "conv"


def test_it_is_known_by_its_signature() -> None:
    """The kernel alone says that it works along an axis."""
    assert record_of("Hardmax").axis == -1
    assert record_of("Hardmax").elementwise is None
