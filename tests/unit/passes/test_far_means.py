"""Batch norms that aren't folded: a mean far from 0 is subtracted first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from exporter.ir.evaluate import evaluate
from exporter.passes.pipeline import run
from exporter.targets.onnx_file import onnx_model, onnx_writers
from tests.unit.passes.nets import Array, Net, network


def _model(mean: float) -> ir.Model:
    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.batch_norm(x, given={"mean": mean, "variance": 400.0})

    return network(build, ["N", 8, 8, 3], dtype=ir.DataType.FLOAT)


def _in_onnxruntime(model: ir.Model, x: Array, path: Path) -> Array:
    for file, write in onnx_writers(onnx_model(model, opset=17, input_layout="nhwc"), path).items():
        write(file)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize(("mean", "ops"), [(30.0, ["BatchNormalization"]), (3e4, ["Sub", "BatchNormalization"])])
def test_a_far_mean_costs_no_digits(mean: float, ops: list[str], tmp_path: Path) -> None:
    """In onnxruntime, which multiplies first; other batch norms are as they were."""
    x = (mean + 20 * np.random.default_rng(0).normal(size=(2, 8, 8, 3))).astype(np.float32)
    truth = evaluate(_model(mean), {"x": x})["y"]
    model = _model(mean)
    run(model, fold=False)
    assert [node.op_type for node in model.graph] == ops
    assert np.abs(_in_onnxruntime(model, x, tmp_path / "a.onnx") - truth).max() <= 1e-6 * np.abs(truth).max()
    as_it_was = np.abs(_in_onnxruntime(_model(mean), x, tmp_path / "b.onnx") - truth).max()
    assert (as_it_was > 1e-5 * np.abs(truth).max()) == (len(ops) > 1)
