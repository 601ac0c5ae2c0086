"""The file: the same bytes each time, names and notes as promised, weights inside or beside it, memory bounded."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from exporter._version import __version__
from exporter.ir.builder import Builder
from exporter.targets.atomic import write_files
from exporter.targets.onnx_file import INPUT_ORDERS, check_model, data_files, onnx_model, onnx_writers
from exporter.targets.onnx_wire import write_onnx
from tests.unit.targets.networks import Array, Net, feeds, run_onnx


def _network() -> ir.Model:
    net = Net()
    y = net.op("Relu", net.conv(net.input("image", "N", 8, 8, 3), 16))
    with net.b.source("logits"):
        y = net.dense(net.op("Reshape", y, net.ints(-1, 1024)), 10)
    return net.finish(logits=y)


def _bytes(model: ir.Model) -> bytes:
    file = io.BytesIO()
    write_onnx(model, file)
    return file.getvalue()


def test_the_same_model_gives_the_same_bytes() -> None:
    """Written twice from one IR, and from two that were built alike."""
    model = _network()
    content = _bytes(onnx_model(model, metadata={"b": "2", "a": "1"}))
    assert _bytes(onnx_model(model, metadata={"a": "1", "b": "2"})) == content
    assert _bytes(onnx_model(_network(), metadata={"a": "1", "b": "2"})) == content


def test_names_and_notes() -> None:
    """Producer, metadata, inputs, outputs and weights as they are called in the IR; a transposed input is noted."""
    proto = onnx.load_from_string(
        _bytes(onnx_model(_network(), metadata={"source": "model.ckpt"}, input_layout="nchw"))
    )
    assert (proto.producer_name, proto.producer_version) == ("ckpt2onnx", __version__)
    assert [value.name for value in proto.graph.input] == ["image"]
    assert [value.name for value in proto.graph.output] == ["logits"]
    assert {"w1", "w2", "w3", "w4"} <= {tensor.name for tensor in proto.graph.initializer}
    notes = {entry.key: entry.value for entry in proto.metadata_props}
    assert notes.keys() == {"source", INPUT_ORDERS}
    assert json.loads(notes[INPUT_ORDERS]) == {"image": [0, 3, 1, 2]}


def test_nothing_is_written_that_is_not_used() -> None:
    """No initializer without a user, and no Transpose of a weight at run time."""
    proto = onnx.load_from_string(_bytes(onnx_model(_network())))
    used = {name for node in proto.graph.node for name in node.input}
    assert {tensor.name for tensor in proto.graph.initializer} <= used
    assert [node.op_type for node in proto.graph.node] == ["Transpose", "Conv", "Relu", "Reshape", "Gemm"]


def test_the_same_as_by_protobuf() -> None:
    """What is streamed is the message that onnx itself would write: parsed and compared field by field."""
    model = onnx_model(_network())
    ours, theirs = onnx.load_from_string(_bytes(model)), ir.serde.serialize_model(model)
    theirs.graph.ClearField("value_info")
    assert ours == theirs


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8, np.bool_, np.uint16, np.str_])
def test_constants_of_every_type(dtype: type) -> None:
    """Elements come back as they were, strings too."""
    net = Net()
    held: Array = np.array([[0, 1], [1, 0]]).astype(dtype)
    if dtype is np.str_:
        held = np.array([[b"a", b"\xc3\xa9"]], object)
    tensor = ir.StringTensor(held, name="c") if dtype is np.str_ else ir.tensor(held, name="c")
    value = ir.Value(name="c", shape=ir.Shape(held.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    net.b.graph.register_initializer(value)
    node = ir.node("Identity", [value], name="copy")
    node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = "copied", value.type, value.shape
    net.b.graph.append(node)
    proto = onnx.load_from_string(_bytes(onnx_model(net.finish(y=node.outputs[0]))))
    (stored,) = [t for t in proto.graph.initializer if t.name == "c"]
    if dtype is np.str_:
        assert list(stored.string_data) == held.ravel().tolist()
    else:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(stored), held)


def test_large_weights_go_into_a_file_beside(tmp_path: Path) -> None:
    """Above the limit: a plain file name, offsets at multiples of 64, and the same numbers in onnxruntime."""
    net = Net()
    y = net.dense(net.op("Relu", net.dense(net.input("x", "N", 30), 37)), 23)
    model = net.finish(y=y)
    standard, target = onnx_model(model), tmp_path / "model.onnx"
    writers = onnx_writers(standard, target, largest_inline=1000)
    write_files(writers)
    assert list(writers) == [target, *data_files(target)]
    (data,) = data_files(target)
    assert data.name == f"model.onnx.{hashlib.blake2b(data.read_bytes(), digest_size=16).hexdigest()}.data"
    proto = onnx.load(target, load_external_data=False)
    outside = [t for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert [t.name for t in outside] == ["w1", "w3"]
    for tensor in outside:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        assert entries["location"] == data.name
        assert int(entries["offset"]) % 64 == 0
        assert int(entries["length"]) == 4 * np.prod(tensor.dims)
    onnx.checker.check_model(str(target), full_check=True)
    given = feeds(model)
    session = ort.InferenceSession(target)
    np.testing.assert_allclose(session.run(None, given)[0], run_onnx(_bytes(standard), given)["y"], rtol=1e-6)
    assert list(onnx_writers(standard, target)) == [target]


def test_a_wrong_model_is_caught() -> None:
    """The check has onnx's shape inference behind it: a wrong shape doesn't get through."""
    model = onnx_model(_network())
    model.graph.outputs[0].shape = ir.Shape(["N", 11])
    with pytest.raises(onnx.shape_inference.InferenceError):
        check_model(model)


def test_memory_stays_small(tmp_path: Path) -> None:
    """120 MB of weights, read on demand and transposed while they are written, cost less than 250 MB in all."""
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from exporter.targets.onnx_file import onnx_model, onnx_writers
        from exporter.targets.atomic import write_files
        from tests.unit.targets.networks import FLOAT, Net
        net = Net()
        x = y = net.input("x", "N", 8, 8, 1024)
        for i in range(3):
            kernel = net.b.weight(f"k{i}", FLOAT, (3, 3, 1024, 1024), lambda: np.ones((3, 3, 1024, 1024), np.float32))
            y = net.op("Conv", y, kernel, None, pads=[1, 1, 1, 1])
        model = net.finish(y=y)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        write_files(onnx_writers(onnx_model(model), Path(sys.argv[1])))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    target = tmp_path / "model.onnx"
    done = subprocess.run([sys.executable, "-c", script, target], capture_output=True, text=True, check=True)
    assert target.stat().st_size > 110e6
    assert int(done.stdout) * 1024 < 250e6


@pytest.mark.parametrize("shape", [("N", 4), ("N", 3, 3, 4)], ids=str)
def test_a_batch_norm_of_doubles_keeps_the_digits_of_its_epsilon(shape: tuple[int | str, ...]) -> None:
    """ONNX's epsilon is a float32: taken as it is, results would be off by 1e-8 where the variance is small."""
    b, random = Builder("m"), np.random.default_rng(0)
    parts = [random.uniform(1e-4, 1e-3, 4) for _ in range(4)]
    x = b.input("x", ir.DataType.DOUBLE, shape)
    y = b.op("BatchNormalization", x, *(b.constant(part) for part in parts), epsilon=1e-3)
    model = b.finish({"y": y})
    given = random.standard_normal([2 if isinstance(size, str) else size for size in shape])
    truth = (given - parts[2]) / np.sqrt(parts[3] + 1e-3) * parts[0] + parts[1]
    session = ort.InferenceSession(
        ir.to_proto(onnx_model(model)).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {"x": given})[0]
    assert np.abs(found - truth).max() < 1e-14 * np.abs(truth).max()
    rounded = (given - parts[2]) / np.sqrt(parts[3] + float(np.float32(1e-3))) * parts[0] + parts[1]
    assert np.abs(rounded - truth).max() > 1e-10 * np.abs(truth).max()
