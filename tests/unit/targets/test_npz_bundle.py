"""The bundle's writer: what it writes is what the runtime reads and computes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

import runtime
from exporter.errors import UnsupportedError
from exporter.ir.builder import Builder
from exporter.targets.npz_bundle import write_bundle

RANDOM = np.random.default_rng(0)
KERNEL: Any = RANDOM.standard_normal((3, 3, 2, 4)).astype(np.float32)
X: Any = RANDOM.standard_normal((2, 5, 5, 2)).astype(np.float32)


def convolution() -> ir.Model:
    """A convolution and an activation with an infinite attribute."""
    b = Builder("model")
    x = b.input("x", ir.DataType.FLOAT, ("N", None, None, 2))
    w = b.weight("conv/kernel", ir.DataType.FLOAT, KERNEL.shape, lambda: KERNEL)
    with b.source("conv"):
        y = b.op("Conv", x, w, None, strides=[1, 1], pads=[1, 1, 1, 1])
    return b.finish({"y": b.op("ThresholdedRelu", y, alpha=float("-inf"))})


def load(model: ir.Model, path: Path, **more: Any) -> runtime.Net:
    write_bundle(model, path / "model.npz", **more)
    return runtime.load(path / "model.npz")


def test_written_models_run(tmp_path: Path) -> None:
    """Inputs, outputs and results are the model's; weights have their own names under plain NumPy."""
    net = load(convolution(), tmp_path, metadata={"folded": 1})
    assert net.inputs == (runtime.Value("x", "float32", ("N", None, None, 2)),)
    assert net.metadata == {"folded": 1}
    (expected,) = runtime.kernels.KERNELS["Conv"]([X, KERNEL], {"pads": [1] * 4})
    np.testing.assert_array_equal(net(X), expected)
    with np.load(tmp_path / "model.npz") as plain:
        np.testing.assert_array_equal(plain["conv/kernel"], KERNEL)


def test_same_model_same_bytes(tmp_path: Path) -> None:
    """Neither the time nor the run shows in the file."""
    for name in ("a.npz", "b.npz"):
        write_bundle(convolution(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_members_are_stored_and_dated_1980(tmp_path: Path) -> None:
    """Nothing is compressed, and the plan is last."""
    write_bundle(convolution(), tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == ["conv/kernel.npy", "__plan__.npy"]
    assert all(info.compress_type == 0 and info.date_time[0] == 1980 for info in infos)


def test_probes_are_kept(tmp_path: Path) -> None:
    """A probe comes back as it was and can be run."""
    y = load(convolution(), tmp_path).run({"x": X})["y"]
    net = load(convolution(), tmp_path, probes=[runtime.Probe({"x": X}, {"y": y}, {"y": 1e-6})])
    np.testing.assert_array_equal(net.probes[0].outputs["y"], y)
    (deviation,) = net.check()
    assert deviation == runtime.Deviation(0, "y", 0.0, 1e-6)


@pytest.mark.parametrize("name", ["../../evil", "a:b", "__plan__", "ünï", "a//b", "%41", "a\0b", " "])
def test_names_survive(tmp_path: Path, name: str) -> None:
    """Whatever the name of a weight, the member is a safe relative path and the model runs."""
    b = Builder("model")
    x = b.input("x", ir.DataType.FLOAT, (3,))
    w = b.weight(name, ir.DataType.FLOAT, (3,), lambda: np.ones(3, np.float32))
    net = load(b.finish({"y": b.op("Add", x, w)}), tmp_path)
    np.testing.assert_array_equal(net([1, 2, 3]), [2, 3, 4])
    with zipfile.ZipFile(tmp_path / "model.npz") as archive:
        assert all(not member.startswith(("/", "..")) and member.isascii() for member in archive.namelist())


def test_subgraphs_are_kept(tmp_path: Path) -> None:
    """An If whose branches use the same inner names for other things."""

    def branch(op: str, value: float) -> ir.Graph:
        constant = ir.Value(name="inner", const_value=ir.tensor(np.full(3, value, np.float32)))
        node = ir.Node("", op, [x, constant], num_outputs=1)
        node.outputs[0].name = "result"
        return ir.Graph([], node.outputs, nodes=[node], initializers=[constant], name=op)

    x = ir.Value(name="x", shape=ir.Shape([3]), type=ir.TensorType(ir.DataType.FLOAT))
    c = ir.Value(name="c", shape=ir.Shape([]), type=ir.TensorType(ir.DataType.BOOL))
    branches = [
        ir.AttrGraph("then_branch", branch("Add", 10.0)),
        ir.AttrGraph("else_branch", branch("Mul", 2.0)),
    ]
    node = ir.Node("", "If", [c], branches, num_outputs=1)
    node.outputs[0].name, node.outputs[0].type = "result", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph([x, c], node.outputs, nodes=[node], opset_imports={"": 18}, name="g")
    net = load(ir.Model(graph, ir_version=8), tmp_path)
    np.testing.assert_array_equal(net.run({"x": [1, 2, 3], "c": True})["result"], [11, 12, 13])
    np.testing.assert_array_equal(net.run({"x": [1, 2, 3], "c": False})["result"], [2, 4, 6])


def test_weights_of_any_layout_and_type(tmp_path: Path) -> None:
    """Transposed views, scalars, empty arrays, half precision and booleans."""
    arrays: list[Any] = [
        KERNEL.T,
        np.float32(3.0),
        np.zeros((0, 4), np.float32),
        np.array([1, 2], np.float16),
        np.array([True]),
    ]
    b = Builder("model")
    b.input("x", ir.DataType.FLOAT, (1,))
    outputs = {f"y{i}": b.constant(array, f"w{i}") for i, array in enumerate(arrays)}
    found = load(b.finish(outputs), tmp_path).run({"x": [0]})
    for array, (_, y) in zip(arrays, found.items(), strict=True):
        assert y.dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(y, array)


def test_tensor_attributes_are_kept(tmp_path: Path) -> None:
    """A tensor in an attribute is stored like a weight."""
    b = Builder("model")
    x = b.input("x", ir.DataType.INT64, (2,))
    y = b.op("ConstantOfShape", x, value=np.array([7], np.int32))
    np.testing.assert_array_equal(load(b.finish({"y": y}), tmp_path)([2, 3]), np.full((2, 3), 7, np.int32))


def test_everything_unsupported_is_in_one_error(tmp_path: Path) -> None:
    """Operators, attributes and element types that the runtime hasn't are all named, and no file is made."""
    x = ir.Value(name="x", shape=ir.Shape([3]), type=ir.TensorType(ir.DataType.COMPLEX64))
    first = ir.Node("", "Abracadabra", [x], num_outputs=1)
    second = ir.Node("", "Relu", first.outputs, [ir.AttrInt64("leak", 1)], num_outputs=1)
    second.outputs[0].name, second.outputs[0].type = "y", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph([x], second.outputs, nodes=[first, second], opset_imports={"": 18}, name="g")
    with pytest.raises(UnsupportedError, match=r"leak of Relu.*complex64 of 'x'.*Abracadabra"):
        write_bundle(ir.Model(graph, ir_version=8), tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())
