"""Convolutional networks come out with one Transpose at the image input, or none, and compute the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.targets.networks import Net, export, feeds

Build = Callable[[Net, ir.Value], ir.Value]


def _residual(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Relu", net.conv(x, 6))
    return net.op("ReduceMean", net.op("Add", y, net.conv(y, 6)), net.ints(1, 2), keepdims=0)


def _inception(net: Net, x: ir.Value) -> ir.Value:
    parts = [net.conv(x, 4, k=1), net.pool(net.conv(x, 3), "AveragePool", 1), net.op("Relu", net.conv(x, 5, k=5))]
    joined = net.op("Concat", *parts, axis=3)
    return net.op("ReduceMax", net.conv(joined, 4, strides=[2, 2]), net.ints(1, 2), keepdims=0)


def _squeeze_and_excite(net: Net, x: ir.Value) -> ir.Value:
    y = net.conv(x, 8)
    s = net.op("ReduceMean", y, net.ints(1, 2), keepdims=0)
    s = net.op("Sigmoid", net.dense(net.op("Relu", net.dense(s, 3)), 8))
    y = net.op("Mul", y, net.op("Reshape", s, net.ints(-1, 1, 1, 8)))
    return net.op("ReduceMean", net.conv(y, 4), net.ints(1, 2), keepdims=0)


def _excite_with_convolutions(net: Net, x: ir.Value) -> ir.Value:
    y = net.conv(x, 8)
    s = net.op("ReduceMean", y, net.ints(1, 2), keepdims=1)
    s = net.op("HardSigmoid", net.conv(net.op("Relu", net.conv(s, 2, k=1)), 8, k=1))
    return net.op("Squeeze", net.op("ReduceMean", net.op("Mul", s, y), net.ints(1, 2)), net.ints(1, 2))


def _pads_and_slices(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Pad", net.conv(x, 6), net.ints(0, 1, 2, 0, 0, 0, 1, 0), net.b.constant(np.float32(0.5)))
    y = net.op("Slice", y, net.ints(1, 0), net.ints(100, -1), net.ints(1, -1), net.ints(2, 1))
    return net.op("ReduceSum", net.conv(y, 3), net.ints(1, 2), keepdims=0)


def _channel_split(net: Net, x: ir.Value) -> ir.Value:
    a, b = net.b.op_n("Split", 2, net.conv(x, 8), net.ints(3, 5), axis=-1)
    y = net.op("Concat", net.conv(b, 4), a, axis=-1)
    y = net.op("Gather", y, net.ints(6, 0, 3, 3), axis=3)
    return net.op("ReduceMean", net.conv(y, 4), net.ints(1, 2), keepdims=0)


def _constants_of_every_rank(net: Net, x: ir.Value) -> ir.Value:
    y = net.conv(x, 4)
    for shape in [(4,), (), (1,), (8, 4), (8, 1), (1, 8, 1), (8, 8, 4), (1, 1, 1, 4), (1, 8, 1, 4)]:
        y = net.op("Add", net.op("Mul", y, net.const(*shape)), net.const(*shape))
    return net.op("ReduceMean", y, net.ints(1, 2), keepdims=0)


def _flatten_and_dense(net: Net, x: ir.Value) -> ir.Value:
    y = net.pool(net.op("Relu", net.conv(x, 4)))
    return net.dense(net.op("Relu", net.dense(net.op("Reshape", y, net.ints(-1, 64)), 7)), 3)


def _flatten_with_more_before_dense(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Reshape", net.pool(net.conv(x, 4)), net.ints(0, -1))
    y = net.op("Add", net.op("Mul", net.op("Tanh", y), net.const(64)), net.const(1, 64))
    statistics = [net.const(64), net.const(64), net.const(64), net.b.constant(np.linspace(1, 2, 64, dtype=np.float32))]
    y = net.op("BatchNormalization", y, *statistics, epsilon=1e-3)
    return net.op("Add", net.dense(y, 5), net.dense(net.op("Clip", y, net.b.constant(np.float32(0))), 5))


def _pointwise_dense(net: Net, x: ir.Value) -> ir.Value:
    """Dense layers on images between convolutions are convolutions of size 1."""
    y = net.conv(x, 4, group=1)
    z = net.dense(net.raw("Gelu", net.dense(y, 6)), 4, bias=False)
    return net.op("ReduceMean", net.conv(net.op("Add", y, z), 4, group=4), net.ints(1, 2), keepdims=0)


def _every_sensitive_op(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("LRN", net.conv(x, 8), size=3, alpha=0.3, beta=0.75, bias=1.5)
    y = net.op("DepthToSpace", y, blocksize=2)
    y = net.op("SpaceToDepth", net.op("SpaceToDepth", y, blocksize=2), blocksize=2)
    y = net.conv(y, 6, k=1)
    variance = net.b.constant(np.linspace(0.5, 2, 6, dtype=np.float32))
    y = net.op("BatchNormalization", y, net.const(6), net.const(6), net.const(6), variance, epsilon=1e-3)
    sizes = net.ints(3, 7, 9, 6)
    y = net.op("Resize", y, None, None, sizes, mode="linear", coordinate_transformation_mode="half_pixel")
    kernel = net.w(3, 3, 2, 6)
    y = net.op("ConvTranspose", y, kernel, None, strides=[2, 2], pads=[1, 0, 0, 1], output_padding=[1, 0], group=2)
    return net.op("ReduceMean", y, net.ints(1, 2), keepdims=0)


def _axes_of_other_ops(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Softmax", net.conv(x, 4), axis=-1)
    y = net.op("CumSum", y, net.b.constant(np.int64(2)))
    values, _ = net.b.op_n("TopK", 2, y, net.ints(3), axis=2)
    y = net.op("Tile", values, net.ints(1, 2, 1, 1))
    y = net.op("PRelu", net.op("LogSoftmax", y, axis=1), net.const(4))
    y = net.op("Where", net.op("Greater", y, net.const(4)), y, net.const(1, 1, 3, 4))
    return net.op("ReduceLogSumExp", net.conv(y, 4), net.ints(1, 2), keepdims=0)


def _a_lower_rank_operand(net: Net, x: ir.Value) -> ir.Value:
    """A vector that the network computes itself is broadcast over channels."""
    y = net.conv(x, 4)
    mean = net.op("ReduceMean", y, net.ints(0, 1, 2), keepdims=0)
    rows = net.op("ReduceMean", y, net.ints(0, 2), keepdims=0)
    y = net.op("Mul", net.op("Sub", y, mean), net.op("Unsqueeze", rows, net.ints(1)))
    return net.op("ReduceMean", net.conv(y, 3), net.ints(1, 2), keepdims=0)


def _labels_of_pixels(net: Net, x: ir.Value) -> ir.Value:
    return net.op("ArgMax", net.conv(x, 5), axis=-1, keepdims=0)


BUILDS: list[Build] = [
    _residual,
    _inception,
    _squeeze_and_excite,
    _excite_with_convolutions,
    _pads_and_slices,
    _channel_split,
    _constants_of_every_rank,
    _flatten_and_dense,
    _flatten_with_more_before_dense,
    _pointwise_dense,
    _every_sensitive_op,
    _axes_of_other_ops,
    _a_lower_rank_operand,
]


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.strip("_"))
def test_one_transpose_at_the_image_input(build: Build, opset: int) -> None:
    """Between the image and features nothing is transposed, whatever the network consists of."""
    net = Net()
    exported = export(net.finish(y=build(net, net.input("x", "N", 8, 8, 3))), opset=opset)
    exported.assert_same()
    assert exported.ops["Transpose"] == 1
    assert exported.proto.graph.node[0].op_type == "Transpose"


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.strip("_"))
def test_no_transpose_for_channels_first_inputs(build: Build) -> None:
    """With `nchw` the input's shape changes instead, and the order says how."""
    net = Net()
    exported = export(net.finish(y=build(net, net.input("x", "N", 8, 8, 3))), input_layout="nchw")
    exported.assert_same()
    assert exported.ops["Transpose"] == 0
    assert exported.orders == {"x": (0, 3, 1, 2)}
    dims = exported.proto.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value or d.dim_param for d in dims] == ["N", 3, 8, 8]


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.strip("_"))
def test_a_mistake_would_be_seen(build: Build) -> None:
    """The comparison fails if the first kernel of the ONNX model is a thousandth too large."""
    net = Net()
    exported = export(net.finish(y=build(net, net.input("x", "N", 8, 8, 3))), spoil="w1")
    assert exported.errors["y"] > exported.limits["y"]


def test_labels_need_no_transpose_at_the_output() -> None:
    """An argmax over the channels of an image has none left to put anywhere."""
    net = Net()
    model = net.finish(y=_labels_of_pixels(net, net.input("x", "N", 8, 8, 3)))
    exported = export(model)
    assert exported.errors["y"] == 0
    assert exported.ops["Transpose"] == 1


def test_images_at_the_output_are_transposed_once() -> None:
    """A segmentation network gives its scores in TensorFlow's layout: after everything, even the softmax."""
    net = Net()
    y = net.op("Softmax", net.conv(net.op("Relu", net.conv(net.input("x", "N", 8, 8, 3), 6)), 4), axis=-1)
    exported = export(net.finish(y=y))
    exported.assert_same()
    assert exported.ops["Transpose"] == 2
    assert exported.proto.graph.node[-1].op_type == "Transpose"


def test_a_generator_needs_no_transpose_after_its_dense_layer() -> None:
    """The columns of the matrix are permuted, and with them bias and batch norm, so that the reshape is free."""
    net = Net()
    y = net.dense(net.input("z", "N", 10), 4 * 4 * 6)
    variance = net.b.constant(np.linspace(0.5, 2, 96, dtype=np.float32))
    y = net.op("BatchNormalization", y, net.const(96), net.const(96), net.const(96), variance, epsilon=1e-5)
    y = net.op("Reshape", net.op("LeakyRelu", y, alpha=0.2), net.ints(-1, 4, 4, 6))
    y = net.op("ConvTranspose", y, net.w(5, 5, 3, 6), net.w(3), strides=[2, 2], pads=[1, 2, 2, 1])
    exported = export(net.finish(y=net.op("Tanh", y)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1
    assert exported.proto.graph.node[-1].op_type == "Transpose"


def test_one_channel_needs_no_transpose_at_all() -> None:
    """Where only axes of size 1 move, a reshape does it, and one that is there anyway takes it over."""
    net = Net()
    x = net.op("Reshape", net.input("x", "N", 64), net.ints(-1, 8, 8, 1))
    code = net.dense(net.op("Reshape", net.pool(net.conv(x, 4)), net.ints(-1, 64)), 3)
    y = net.op("Reshape", net.dense(code, 64), net.ints(-1, 4, 4, 4))
    y = net.op("ConvTranspose", y, net.w(3, 3, 1, 4), None, strides=[2, 2], pads=[0, 0, 1, 1])
    exported = export(net.finish(code=code, y=net.op("Reshape", net.op("Sigmoid", y), net.ints(-1, 64))))
    exported.assert_same()
    assert exported.ops["Transpose"] == 0
    assert exported.ops["Reshape"] == 4


@pytest.mark.parametrize("rank", [3, 4, 5])
def test_any_number_of_spatial_axes(rank: int) -> None:
    """1-D, 2-D and 3-D networks, grouped and dilated, flattened before a dense layer."""
    net = Net()
    space = [6, 5, 4][: rank - 2]
    y = net.conv(net.input("x", "N", *space, 4), 8, group=2)
    y = net.conv(net.op("Relu", y), 8, k=2, group=8, dilations=[2] * (rank - 2))
    y = net.op("AveragePool", y, kernel_shape=[2] * (rank - 2), pads=[1] * (rank - 2) + [0] * (rank - 2))
    y = net.op("ConvTranspose", y, net.w(*[2] * (rank - 2), 3, 8), net.w(3), strides=[2] * (rank - 2))
    assert y.shape is not None
    features = int(np.prod([int(str(size)) for size in y.shape[1:]]))
    exported = export(net.finish(y=net.dense(net.op("Reshape", y, net.ints(-1, features)), 3)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1


def test_padding_that_depends_on_an_unknown_size() -> None:
    """`auto_pad` stays where the sizes are open, and is right for odd and even ones."""
    net = Net()
    x = net.input("x", "N", "H", "W", 3)
    y = net.op("Conv", x, net.w(3, 3, 3, 4), None, strides=[2, 2], auto_pad="SAME_UPPER")
    y = net.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    y = net.op("AveragePool", y, kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_UPPER")
    model = net.finish(y=net.op("ReduceMean", y, net.ints(1, 2), keepdims=0))
    for sizes in ({"H": 8, "W": 9}, {"H": 11, "W": 10}):
        export(model, given=feeds(model, sizes=sizes)).assert_same()
