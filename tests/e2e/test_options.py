"""Options of the export: each changes what it says, and never the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import exporter
import sample_ckpts
from exporter.errors import UsageError
from exporter.targets.opsets import OLDEST_OPSET, newest_opset
from tests.e2e.engines import ENGINES, onnx_session
from tests.e2e.recorded import Array, Recorded

_SAMPLES = Path(sample_ckpts.__file__).parent
_OUTPUTS = {"inception": "Predictions/Reshape_1", "gan_gamma": "generator/Tanh", "autoencoder": "dense_5/Sigmoid"}
_NEWEST = newest_opset()
_ENGINES = pytest.mark.parametrize("engine", ENGINES)


def _export(name: str, tmp_path: Path, **options: Any) -> tuple[Path, dict[str, Array], Recorded]:
    out = tmp_path / "model.onnx"
    exporter.export(_SAMPLES / name, out, outputs=[_OUTPUTS[name]], **options)
    recorded = Recorded.read(_SAMPLES / name)
    needed = {value.name for value in onnx.load(out).graph.input}
    return out, {key: value for key, value in recorded.inputs.items() if key in needed}, recorded


@pytest.mark.parametrize("opset", range(OLDEST_OPSET, _NEWEST + 1))
@pytest.mark.parametrize("name", _OUTPUTS)
def test_every_opset_means_the_same(name: str, opset: int, tmp_path: Path) -> None:
    """The file declares the opset asked for, is valid, and computes TensorFlow's numbers where onnxruntime knows it."""
    out, inputs, recorded = _export(name, tmp_path, opset=opset)
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == opset
    for engine in ENGINES.values() if _onnxruntime_knows(opset, tmp_path) else [ENGINES["numpy"]]:
        assert recorded.worst(engine(out, inputs, [_OUTPUTS[name]])) is None


def _onnxruntime_knows(opset: int, folder: Path) -> bool:
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    imports = [onnx.helper.make_opsetid("", opset)]
    ir_version = onnx.helper.find_min_ir_version_for(imports)
    onnx.save(onnx.helper.make_model(graph, opset_imports=imports, ir_version=ir_version), folder / "identity.onnx")
    try:
        onnx_session(folder / "identity.onnx", optimised=False)
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        return False
    return True


@pytest.mark.parametrize("opset", [OLDEST_OPSET - 1, _NEWEST + 1])
def test_an_opset_outside_the_range_is_refused(opset: int, tmp_path: Path) -> None:
    """The error names the range, and nothing is written."""
    with pytest.raises(UsageError, match=rf"{OLDEST_OPSET}.*{_NEWEST}"):
        _export("autoencoder", tmp_path, opset=opset)
    assert not list(tmp_path.iterdir())


@_ENGINES
def test_channels_first_inputs_need_no_transpose(engine: str, tmp_path: Path) -> None:
    """`input_layout="nchw"`: the image input is channels-first, and the last Transpose is gone."""
    out, inputs, recorded = _export("inception", tmp_path, input_layout="nchw")
    graph = onnx.load(out).graph
    assert "Transpose" not in [node.op_type for node in graph.node]
    assert [size.dim_value for size in graph.input[0].type.tensor_type.shape.dim][1:] == [3, 43, 43]
    images = np.ascontiguousarray(inputs["images"].transpose(0, 3, 1, 2)) if engine != "numpy" else inputs["images"]
    found = ENGINES[engine](out, {"images": images}, [_OUTPUTS["inception"]])
    assert recorded.worst(found) is None


def test_one_transpose_for_an_image(tmp_path: Path) -> None:
    """A convolutional network has a single Transpose, right behind its image input."""
    out, _, _ = _export("inception", tmp_path)
    nodes = onnx.load(out).graph.node
    assert [node.op_type for node in nodes].count("Transpose") == 1
    assert nodes[0].op_type == "Transpose"


@_ENGINES
@pytest.mark.parametrize("name", _OUTPUTS)
def test_without_folding_the_numbers_are_the_same(name: str, engine: str, tmp_path: Path) -> None:
    """`fold=False` keeps every batch norm as an op of its own, and the numbers."""
    out, inputs, recorded = _export(name, tmp_path, fold=False)
    assert "BatchNormalization" in {node.op_type for node in onnx.load(out).graph.node}
    assert recorded.worst(ENGINES[engine](out, inputs, [_OUTPUTS[name]])) is None


def test_names_may_end_in_a_port(tmp_path: Path) -> None:
    """`x:0` means `x`; the file says `x`."""
    exporter.export(_SAMPLES / "handmade", tmp_path / "model.onnx", inputs=["tf_x:0"], outputs=["layer_2/add:0"])
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert [value.name for value in (*graph.input, *graph.output)] == ["tf_x", "layer_2/add"]


def test_a_flag_can_be_set_to_training(tmp_path: Path) -> None:
    """`values` overrides what was decided: with the flag true, the batch's own statistics are used."""
    out = tmp_path / "model.onnx"
    exporter.export(_SAMPLES / "one_neuron", out, values={"training": True}, keep_batch_statistics=True)
    recorded = Recorded.read(_SAMPLES / "one_neuron")
    found = ENGINES["numpy"](out, recorded.inputs, list(recorded.outputs)[:1])
    assert recorded.worst(found) is not None


def test_a_shape_can_be_narrowed(tmp_path: Path) -> None:
    """An input with a shape given has that shape, in the file and in the report."""
    report = exporter.export(_SAMPLES / "handmade", tmp_path / "model.onnx", inputs={"tf_x": (5, 8)})
    assert report.inputs[0].shape == (5, 8)
    shape = onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape
    assert [size.dim_value for size in shape.dim] == [5, 8]
