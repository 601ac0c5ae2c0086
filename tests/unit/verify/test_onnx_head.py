"""An ONNX file without its weights, and with more outputs, whether it is small or large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from exporter.verify import onnx_head as module
from exporter.verify.engines import onnx_engine
from exporter.verify.onnx_head import onnx_head, with_more_outputs

_SHAPES = {"first": (64, 100), "second": (100, 30), "small": (30,), "whole": (2,)}


def _model() -> onnx.ModelProto:
    """Two products and a bias; what isn't float32 stays where it is."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in _SHAPES.items()}
    arrays["whole"] = np.array([-1, 30], np.int64)
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"]),
        helper.make_node("MatMul", ["a", "second"], ["b"]),
        helper.make_node("Add", ["b", "small"], ["c"]),
        helper.make_node("Reshape", ["c", "whole"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in (("x", 64), ("y", 30))
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(params=[False, True], ids=["small", "large"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as small, or as large with two large weights."""
    if request.param:
        monkeypatch.setattr(module, "_LARGE_FILE", 0)
        monkeypatch.setattr(module, "_LARGE", 4000)
    path = tmp_path / "m.onnx"
    onnx.save(_model(), path)
    return path


def test_the_head_is_all_but_the_contents(path: Path) -> None:
    """Nodes, ends, and initializers with their names, types and shapes."""
    head, whole = onnx_head(path), _model()
    assert list(head.graph.node) == list(whole.graph.node)
    assert [(t.name, t.data_type, tuple(t.dims)) for t in head.graph.initializer] == [
        (t.name, t.data_type, tuple(t.dims)) for t in whole.graph.initializer
    ]
    assert not any(t.raw_data for t in head.graph.initializer)


def test_more_outputs_change_none(path: Path) -> None:
    """All tensors are given, and the outputs are what they were, bit for bit."""
    x = {"x": np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)}
    usual = onnx_engine(path, optimised=False).run(x)
    found = onnx_engine(path, optimised=False, also=["a", "b", "c", "missing", "y"]).run(x)
    assert sorted(found) == ["a", "b", "c", "y"]
    np.testing.assert_array_equal(found["y"], usual["y"])
    first = numpy_helper.to_array(_model().graph.initializer[0])
    np.testing.assert_allclose(found["a"], x["x"] @ first, rtol=1e-4, atol=1e-4)
    assert len(with_more_outputs(path, ["a"])[1]) == (2 if module._LARGE == 4000 else 0)


def test_what_is_no_model_is_refused(path: Path) -> None:
    """However large: cut short, and bytes of anything else."""
    content = path.read_bytes()
    for bad in (content[:-1000], b"\xff" * 5000):
        path.write_bytes(bad)
        with pytest.raises(DecodeError):
            onnx_head(path)
