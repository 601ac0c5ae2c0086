"""Outputs whose rank only the data tell: ONNX files of them are valid all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import exporter
import runtime

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
