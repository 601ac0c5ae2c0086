"""Noise is that of the coarsest arithmetic in a model, not of the types it stores weights or gives results in."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.builder import Builder
from exporter.verify.references.unfolded_model import reference_run

HALF, SINGLE, DOUBLE = ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE


def _model(stored: ir.DataType, computed: ir.DataType, result: ir.DataType) -> ir.Model:
    """A dense layer: its weights stored, computed and given in three types."""
    array = np.random.default_rng(0).normal(size=(32, 8)).astype(stored.numpy())
    b = Builder("model")
    x = b.op("Cast", b.input("x", SINGLE, ("N", 32)), to=computed.value)
    kernel = b.op("Cast", b.weight("kernel", stored, (32, 8), lambda: array), to=computed.value)
    return b.finish({"y": b.op("Cast", b.op("Tanh", b.op("Dense", x, kernel, None)), to=result.value)})


@pytest.mark.parametrize(
    ("stored", "computed", "result", "noisiest"),
    [
        (HALF, HALF, SINGLE, np.float16),
        (HALF, SINGLE, SINGLE, np.float32),
        (SINGLE, SINGLE, DOUBLE, np.float32),
        (HALF, HALF, HALF, np.float16),
    ],
)
def test_noise_is_that_of_the_coarsest_arithmetic(
    stored: ir.DataType, computed: ir.DataType, result: ir.DataType, noisiest: type[np.floating]
) -> None:
    """A few units in the last place of that type."""
    x = np.random.default_rng(1).normal(size=(16, 32)).astype(np.float32)
    noise = reference_run(_model(stored, computed, result), {"x": x}).noise["y"]
    eps = float(np.finfo(noisiest).eps)
    assert eps / 8 < noise < 64 * eps
