"""Outputs whose rank only the data tell: ONNX files of them are valid all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import exporter
import runtime
from exporter.targets.output_ranks import give_output_ranks

pytestmark = pytest.mark.tensorflow


def _reshaped(folder: Path) -> Path:
    """`reshape(2 x, s)`, with any number of sizes in `s`."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
        sizes = tf.compat.v1.placeholder(tf.int32, [None], name="s")
        tf.reshape(2 * x, sizes, name="y")
    path = folder / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_an_output_has_the_rank_of_the_example(tmp_path: Path) -> None:
    """The checker takes the file, the report says where the rank is from, and other ranks still run."""
    report = exporter.export(_reshaped(tmp_path), tmp_path / "m.onnx")
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    assert [note for note in report.notes if "rank of y" in note]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), options)
    net = runtime.load(tmp_path / "m.npz")
    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    for shape in ([16], [2, 8], [2, 2, 2, 2]):
        feed = {"x": x, "s": np.array(shape, np.int32)}
        for outputs in (session.run(None, feed), [net.run(feed)["y"]]):
            np.testing.assert_array_equal(outputs[0], (2 * x).reshape(shape))


def test_an_output_has_some_rank_without_an_example() -> None:
    """Where no example ran, the rank is that of the tensor it is made of, and the note says so."""
    x = ir.Value(name="x", shape=ir.Shape([2, 3]), type=ir.TensorType(ir.DataType.FLOAT))
    node = ir.node("Reshape", [x, ir.Value(name="s")])
    (y,) = node.outputs
    y.name = "y"
    model = ir.Model(ir.Graph([x], [y], nodes=[node]), ir_version=8)
    (note,) = give_output_ranks(model, ())
    assert y.shape is not None and len(y.shape) == 2
    assert "example" in note


def _with_diagonals(folder: Path) -> Path:
    """`diag_part(x, k)` and `diag(d, k)`, with any range of diagonals in `k`."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [2, 5, 6], name="x")
        d = tf.compat.v1.placeholder(tf.float32, [2, None, None], name="d")
        k = tf.compat.v1.placeholder(tf.int32, [None], name="k")
        tf.identity(tf.linalg.diag_part(x, k=k, padding_value=7.0, align="LEFT_RIGHT"), name="y")
        tf.identity(tf.linalg.diag(d, k=k), name="z")
    path = folder / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.mark.parametrize("band", [(-1, 1), (0, 2), (-3, -1), (1, 1)])
def test_ranges_of_diagonals_may_be_computed(tmp_path: Path, band: tuple[int, int]) -> None:
    """Diagonals have an axis of their own if they are several, as in TensorFlow."""
    import tensorflow as tf

    exporter.export(_with_diagonals(tmp_path), tmp_path / "m.onnx", outputs=["y", "z"], force=True)
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    x, d = (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for shape in ((2, 5, 6), (2, 3, 4)))
    feed = {"x": x, "d": d, "k": np.array(band, np.int32)}
    expected = [
        tf.linalg.diag_part(x, k=band, padding_value=7.0, align="LEFT_RIGHT").numpy(),
        tf.linalg.diag(d, k=band).numpy(),
    ]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), options)
    by_numpy = runtime.load(tmp_path / "m.npz").run(feed)
    for outputs in (session.run(["y", "z"], feed), [by_numpy["y"], by_numpy["z"]]):
        for actual, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(actual, wanted)
