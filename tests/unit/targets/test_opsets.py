"""Every opset from 13 to the newest: the same numbers, a sound file, or an error that names all that can't be said."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from exporter.errors import UnsupportedError, UsageError
from exporter.ir.builder import Builder
from exporter.targets.layout.standard import in_standard_ops
from exporter.targets.onnx_file import onnx_model
from exporter.targets.onnx_wire import write_onnx
from exporter.targets.opsets import OLDEST_OPSET, ir_version, newest_opset
from tests.unit.targets.networks import FLOAT, Net, export

NEWEST_OF_ONNXRUNTIME = 26

Build = Callable[[Net, ir.Value], ir.Value]


def _network(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Relu", net.conv(x, 6, strides=[2, 2]))
    y = net.pool(net.op("Concat", y, net.conv(y, 4), axis=-1), "AveragePool")
    return net.op("Softmax", net.dense(net.op("ReduceMean", y, net.ints(1, 2), keepdims=0), 5))


def _reductions(net: Net, x: ir.Value) -> ir.Value:
    parts = [
        net.op(f"Reduce{name}", x, net.ints(1, -1), keepdims=0)
        for name in ["L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
    ]
    whole = [net.op(f"Reduce{name}", x, keepdims=1) for name in ("Max", "Sum", "Mean")]
    kept = net.op("ReduceMax", x, noop_with_empty_axes=0)
    y = net.op("Concat", *parts, axis=1)
    return net.op("Add", y, net.op("Reshape", net.op("Sum", *whole, kept), net.ints(1, 1)))


def _split(net: Net, x: ir.Value) -> ir.Value:
    even = net.b.op_n("Split", 2, x, axis=1, num_outputs=2)
    uneven = net.b.op_n("Split", 2, even[1], axis=-1, num_outputs=2)
    return net.op("Concat", net.op("Concat", *uneven[::-1], axis=-1), even[0], axis=1)


def _pad(net: Net, x: ir.Value) -> ir.Value:
    y = net.raw("Pad", x, net.ints(1, 2, 0, 1), net.b.constant(np.float32(2)), net.ints(2, -3), shape=(4, 9, 7, 3))
    return net.raw("Pad", y, net.ints(1, 1), None, net.ints(-2), mode="reflect", shape=(4, 9, 9, 3))


def _resize(net: Net, x: ir.Value) -> ir.Value:
    scales = net.b.constant(np.array([2, 1.5], np.float32))
    y = net.raw("Resize", x, None, scales, axes=[1, 2], mode="nearest", antialias=0, shape=(4, 12, 9, 3))
    policy = "stretch"
    sizes = net.ints(5, 7)
    return net.raw(
        "Resize", y, None, None, sizes, axes=[2, 1], mode="linear", keep_aspect_ratio_policy=policy, shape=(4, 7, 5, 3)
    )


def _layer_normalization(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("LayerNormalization", x, net.const(3), net.const(3), epsilon=1e-3)
    return net.op("LayerNormalization", y, net.const(6, 6, 3), axis=1)


def _activations(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Mish", net.op("HardSwish", x))
    return net.op("Add", net.raw("Gelu", y), net.raw("Gelu", net.op("Add", y, x), approximate="tanh"))


def _shape(net: Net, x: ir.Value) -> ir.Value:
    """Of an input whose sizes are open: the product of the sizes in the middle, of all but the first, and of all."""
    sizes = [net.op("Shape", x, start=1, end=-1), net.op("Shape", x, start=1), net.op("Shape", x)]
    numbers = [net.op("Cast", net.op("ReduceProd", s, keepdims=0), to=FLOAT.value) for s in sizes]
    return net.op("Sum", x, *numbers)


def _cast_like(net: Net, x: ir.Value) -> ir.Value:
    half = net.op("Cast", x, to=ir.DataType.FLOAT16.value)
    return net.op("CastLike", net.op("Floor", x), net.op("CastLike", half, x))


def _trilu(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Trilu", net.op("Transpose", x, perm=[0, 3, 1, 2]), net.b.constant(np.int64(1)))
    return net.op("Add", y, net.op("Trilu", y, upper=0))


def _sparse_updates(net: Net, x: ir.Value) -> ir.Value:
    indices = net.b.constant(np.array([[0, 2], [1, 0]]))
    return net.op("ScatterND", x, indices, net.const(2, 6, 3), reduction="none")


def _lstm(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Squeeze", net.op("Slice", x, net.ints(0), net.ints(1), net.ints(1)), net.ints(1))
    return net.b.op_n("LSTM", 1, y, net.w(1, 16, 3), net.w(1, 16, 4), net.w(1, 32), hidden_size=4, layout=0)[0]


BUILDS: list[Build] = [
    _network,
    _reductions,
    _split,
    _pad,
    _resize,
    _layer_normalization,
    _activations,
    _shape,
    _cast_like,
    _trilu,
    _sparse_updates,
    _lstm,
]


def _model(build: Build) -> ir.Model:
    net = Net()
    shape = ("N", None, None, 3) if build is _shape else (4, 6, 6, 3)
    return net.finish(y=build(net, net.input("x", *shape)))


@pytest.mark.parametrize("opset", range(OLDEST_OPSET, NEWEST_OF_ONNXRUNTIME + 1))
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.strip("_"))
def test_every_opset_means_the_same(build: Build, opset: int) -> None:
    """Ops that came or changed between opsets, by onnxruntime."""
    exported = export(_model(build), opset=opset)
    exported.assert_same()
    assert [o.version for o in exported.proto.opset_import] == [opset]
    assert exported.proto.ir_version == ir_version(opset)


@pytest.mark.parametrize("opset", range(NEWEST_OF_ONNXRUNTIME + 1, newest_opset() + 1))
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.strip("_"))
def test_opsets_newer_than_onnxruntime_are_sound(build: Build, opset: int) -> None:
    """What onnxruntime can't load yet passes onnx's checker with shape inference."""
    file = io.BytesIO()
    write_onnx(onnx_model(_model(build), opset=opset), file)
    onnx.checker.check_model(onnx.load_from_string(file.getvalue()), full_check=True)


@pytest.mark.parametrize(
    ("opset", "version"), [(13, 7), (14, 7), (15, 8), (17, 8), (18, 8), (19, 9), (21, 10), (23, 11)]
)
def test_the_file_format_is_the_oldest_that_will_do(opset: int, version: int) -> None:
    """A file says no more than it needs to, so that older readers take it."""
    assert ir_version(opset) == version


@pytest.mark.parametrize("opset", [12, newest_opset() + 1])
def test_other_opsets_are_refused(opset: int) -> None:
    """With the range that is possible."""
    with pytest.raises(UsageError, match=rf"opset {opset} can't be written, only 13 to {newest_opset()}"):
        in_standard_ops(_model(_network), opset=opset)


def test_everything_that_an_opset_lacks_is_named_at_once() -> None:
    """Ops, attributes and element types, each with the nodes that have them."""
    b = Builder("m")
    x, i = b.input("x", FLOAT, (1, 4, 4, 2)), b.input("i", ir.DataType.INT8, (3,))
    with b.source("bits"):
        bits = b.op("BitwiseAnd", i, i)
    with b.source("smooth"):
        sizes = b.constant(np.array([1, 2, 2, 2]))
        small = b.op("Resize", x, None, None, sizes, mode="linear", antialias=1)
    with b.source("sum"):
        total = b.op("Add", i, i)
    model = b.finish({"bits": bits, "small": small, "total": total})
    with pytest.raises(UnsupportedError) as caught:
        in_standard_ops(model, opset=13)
    message = str(caught.value)
    assert message.startswith("opset 13 has no ")
    for part in ("BitwiseAnd (node bits/", "attribute antialias of Resize (node smooth/", "Add of int8 (node sum/"):
        assert part in message
    in_standard_ops(model, opset=18)


def test_values_younger_than_their_attribute_are_named() -> None:
    """A schema doesn't tell that `wrap` came at opset 19."""
    net = Net()
    x = net.input("x", 2, 5)
    model = net.finish(y=net.op("Relu", net.raw("Pad", x, net.ints(0, 1, 0, 1), mode="wrap", shape=(2, 7))))
    with pytest.raises(UnsupportedError, match="mode=wrap of Pad"):
        in_standard_ops(model, opset=18)
    in_standard_ops(model, opset=19)
