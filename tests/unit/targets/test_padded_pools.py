"""Zeros in front of a max pool survive onnxruntime's optimiser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.targets.onnx_file import onnx_model, onnx_writers


def _model(activation: str | None) -> ir.Model:
    b = Builder("padded")
    x = b.input("x", ir.DataType.FLOAT, ("N", 8, 8, 3))
    kernel = b.constant(np.random.default_rng(0).normal(0, 1, (3, 3, 3, 4)).astype(np.float32), "kernel")
    y = b.op("Conv", x, kernel, b.constant(np.full(4, -20, dtype=np.float32)))
    y = y if activation is None else b.op(activation, y)
    y = b.op("Pad", y, b.constant(np.array([0, 1, 1, 0, 0, 1, 1, 0], np.int64)), b.constant(np.array(0, np.float32)))
    return b.finish({"y": b.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2])})


@pytest.mark.parametrize("activation", [None, "Relu"])
def test_zeros_may_win(activation: str | None, tmp_path: Path) -> None:
    """A max pool over padded negative values gives the zeros, in onnxruntime with all optimisations."""
    model = _model(activation)
    x = np.random.default_rng(1).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
    expected = evaluate(model, {"x": x}, dtype=np.float32)["y"]
    standard = onnx_model(model)
    assert sum(node.op_type == "Max" for node in standard.graph) == (activation is None)
    path = tmp_path / "model.onnx"
    for file, write in onnx_writers(standard, path).items():
        write(file)
    (found,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-5 * float(np.abs(expected).max() + 1))
