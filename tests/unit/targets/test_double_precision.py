"""What is said of ops that onnxruntime doesn't compute in float64 is true of it."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernelError

from exporter.targets.double_precision import note_on_doubles
from exporter.targets.onnx_file import onnx_model, onnx_writers
from tests.unit.passes.nets import Build, network

_SHAPE: tuple[int | str, ...] = ("N", 8, 8, 3)

_NETWORKS: dict[str, tuple[Build, bool]] = {
    "Conv": (lambda net, x: net.conv(x), True),
    "AveragePool": (lambda net, x: net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), True),
    "Elu": (lambda net, x: net.op("Elu", x), True),
    "Softplus": (lambda net, x: net.op("Softplus", x), True),
    "dense": (lambda net, x: net.dense(x, bias=True), False),
    "Tanh": (lambda net, x: net.op("Tanh", x), False),
}


def _written(name: str, dtype: ir.DataType) -> ir.Model:
    model = network(_NETWORKS[name][0], _SHAPE, dtype=dtype)
    return onnx_model(model, opset=17, input_layout="nhwc")


@pytest.mark.parametrize("name", _NETWORKS)
def test_the_note_says_what_onnxruntime_refuses(name: str, tmp_path: Path) -> None:
    """It names the op; of what runs, and of float32, it says nothing."""
    refused = _NETWORKS[name][1]
    model = _written(name, ir.DataType.DOUBLE)
    notes = note_on_doubles(model)
    assert (f"no {name} of float64" in " ".join(notes)) == refused
    assert not note_on_doubles(_written(name, ir.DataType.FLOAT))
    for file, write in onnx_writers(model, tmp_path / "model.onnx").items():
        write(file)
    if refused:
        with pytest.raises(NoKernelError):
            onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    else:
        onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
