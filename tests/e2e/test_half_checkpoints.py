"""Checkpoints in half precision, from TensorFlow's training graph to both files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import exporter
import runtime

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]

_EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def _variable(name: str, dtype: str, shape: tuple[int, ...], low: float, high: float) -> Any:
    random = np.random.default_rng(list(name.encode()))
    start = tf.constant(random.uniform(low, high, shape), dtype)
    return tf.compat.v1.get_variable(name, initializer=start)


def _norm(x: Any, dtype: str, kind: str) -> Any:
    statistics = dtype if kind == "same type" else "float32"
    values = [
        _variable(name, statistics, (8,), low, high)
        for name, low, high in (("mean", -1, 1), ("variance", 0.3, 2), ("beta", -1, 1), ("gamma", 0.5, 2))
    ]
    if kind == "fused":
        mean, variance, beta, gamma = values
        return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, 1e-3, is_training=False)[0]
    return tf.nn.batch_normalization(x, *(tf.cast(value, dtype) for value in values), 1e-3)


def _checkpoint(folder: Path, dtype: str, kind: str) -> tuple[Path, Any, Any]:
    """A saved network of two layers, an input for it, and what TensorFlow computes."""
    fed = np.random.default_rng(0).normal(size=(2, 9, 9, 3)).astype(tf.as_dtype(dtype).as_numpy_dtype)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(dtype, (None, 9, 9, 3), "x")
        y = tf.nn.conv2d(x, _variable("kernel", dtype, (3, 3, 3, 8), -0.4, 0.4), 1, "SAME")
        y = tf.reduce_max(tf.nn.relu(_norm(y, dtype, kind)), [1, 2])
        y = tf.identity(tf.matmul(y, _variable("weights", dtype, (8, 4), -0.6, 0.6)), "y")
        session.run(tf.compat.v1.global_variables_initializer())
        wanted = session.run(y, {x: fed})
        prefix = tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt"))
    return Path(prefix), fed, wanted.astype(np.float64)


@pytest.mark.parametrize("kind", ["same type", "float32 statistics", "fused"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_everywhere(dtype: str, kind: str, tmp_path: Path) -> None:
    """Float16 stays float16, folded where that isn't worse; bfloat16 becomes float32; and the report says so."""
    checkpoint, fed, wanted = _checkpoint(tmp_path, dtype, kind)
    report = exporter.export(checkpoint, tmp_path / "model.onnx", outputs=["y"])
    stored = "float16" if dtype == "float16" else "float32"
    assert [spec.dtype for spec in (*report.inputs, *report.outputs)] == [stored, stored]
    assert any("bfloat16" in note for note in report.notes) == (dtype == "bfloat16")
    model = onnx.load(tmp_path / "model.onnx")
    kept = [fold.reason for fold in report.folds if fold.reason is not None]
    if dtype == "float16" and kind != "float32 statistics":
        assert any("would be rounded to float16 once more" in reason for reason in kept)
    else:
        assert not kept
        assert not {node.op_type for node in model.graph.node} & {"BatchNormalization", "Cast", "Mul"}
    kernels = [i for i in model.graph.initializer if len(i.dims) > 1]
    assert {onnx.helper.tensor_dtype_to_np_dtype(i.data_type) for i in kernels} == {np.dtype(stored)}
    given = fed.astype(stored)
    session = ort.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    found = [session.run(None, {"x": given})[0], runtime.load(tmp_path / "model.npz")(given)]
    largest = float(np.abs(wanted).max())
    for array in found:
        assert array.dtype == np.dtype(stored)
        assert np.abs(array - wanted).max() <= 4 * _EPSILON[dtype] * largest


def test_float16_is_widened_on_request(tmp_path: Path) -> None:
    """Then float32 is all the noise there is, and `verify` builds the same model."""
    checkpoint, fed, wanted = _checkpoint(tmp_path, "float16", "float32 statistics")
    report = exporter.export(checkpoint, tmp_path / "model.onnx", outputs=["y"], dtype="float32")
    assert any("as asked for" in note for note in report.notes)
    found = np.asarray(runtime.load(tmp_path / "model.npz")(fed.astype(np.float32)))
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() <= 4 * _EPSILON["float16"] * np.abs(wanted).max()
    verdict = exporter.verify_model(tmp_path / "model.onnx", against=checkpoint)
    assert verdict.ok
    assert max(check.limit for check in verdict.checks) < 1e-3


@pytest.mark.parametrize("kind", ["same type", "float32 statistics", "fused"])
def test_folding_is_not_worse_than_leaving_it(kind: str, tmp_path: Path) -> None:
    """Against the unfolded model in float64, the folded export's error is at most the unfolded export's."""
    checkpoint, _, _ = _checkpoint(tmp_path, "float16", kind)
    errors = []
    for fold in (True, False):
        exporter.export(checkpoint, tmp_path / f"{fold}.onnx", outputs=["y"], fold=fold)
        checks = exporter.verify_model(tmp_path / f"{fold}.npz", against=checkpoint).checks
        errors.append(max(check.error for check in checks))
        assert all(check.error <= check.limit and check.noise > 0 for check in checks)
    assert errors[0] <= 1.05 * errors[1]
