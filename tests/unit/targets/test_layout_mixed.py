"""Networks that want several layouts, or were written channels-first: as few Transposes as can be."""

from __future__ import annotations

import cProfile
import pstats

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.targets.layout.standard import in_standard_ops
from tests.unit.targets.networks import FLOAT, Net, export, feeds, run_onnx

UP, DOWN = [0, 2, 3, 1], [0, 3, 1, 2]


def _channels_first_network(net: Net) -> ir.Model:
    """As a TensorFlow model with data_format NCHW arrives: Transposes around every op that depends on the layout."""

    def conv(x: ir.Value, filters: int) -> ir.Value:
        y = net.op("Transpose", net.conv(net.op("Transpose", x, perm=UP), filters), perm=DOWN)
        return net.op("Relu", net.op("Add", y, net.const(1, filters, 1, 1)))

    y = conv(net.input("x", "N", 3, 8, 8), 4)
    y = net.op("Concat", y, conv(y, 5), axis=1)
    y = net.op("Transpose", net.pool(net.op("Transpose", y, perm=UP)), perm=DOWN)
    return net.finish(y=net.dense(net.op("Reshape", y, net.ints(-1, 9 * 16)), 3))


@pytest.mark.parametrize("input_layout", ["nhwc", "nchw"])
def test_channels_first_models_have_no_transpose(input_layout: str) -> None:
    """Neither inside nor at the input, whose shape stays; nor are the rows of the dense layer permuted."""
    model = _channels_first_network(Net())
    exported = export(model, input_layout="nchw" if input_layout == "nchw" else "nhwc")
    exported.assert_same()
    assert exported.ops["Transpose"] == 0
    assert not exported.orders


def test_an_op_that_is_bound_to_the_axes_costs_two() -> None:
    """A product over the rows of an image, between convolutions."""
    net = Net()
    y = net.conv(net.input("x", "N", 8, 8, 3), 4)
    y = net.op("Relu", net.op("MatMul", net.op("Relu", y), net.w(8, 4, 4)))
    exported = export(net.finish(y=net.op("ReduceMean", net.conv(y, 3), net.ints(1, 2), keepdims=0)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 3


def test_the_smaller_tensor_is_transposed() -> None:
    """Where one Transpose is needed anyway, it goes where least is moved: bytes, and not the floats they become."""
    net = Net()
    x = net.op("Cast", net.input("x", "N", 8, 8, 3, dtype=ir.DataType.UINT8), to=FLOAT.value)
    y = net.conv(net.op("Concat", x, x, axis=-1), 4)
    y = net.op("Relu", net.op("Slice", y, net.ints(0), net.ints(1), net.ints(-1)))
    y = net.op("MatMul", net.op("Concat", y, y, y, axis=3), net.w(3, 2))
    exported = export(net.finish(y=y))
    exported.assert_same()
    nodes = exported.proto.graph.node
    assert [n.op_type for n in nodes][:2] == ["Transpose", "Cast"]
    moved = [n.op_type for n in nodes]
    assert moved.index("Slice") < len(moved) - 1
    assert exported.ops["Transpose"] == 1  # the other one moves a single channel, which a Reshape does


def test_one_transpose_serves_all_who_need_it() -> None:
    """A tensor used three times in the other layout is transposed once."""
    net = Net()
    y = net.conv(net.input("x", "N", 8, 8, 3), 4)
    a, b = net.op("MatMul", y, net.w(4, 2)), net.op("MatMul", y, net.w(4, 3))
    exported = export(net.finish(a=a, b=b, y=y, z=net.conv(y, 2)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 3


def test_features_that_are_seen_stay_in_order() -> None:
    """A flattened image that is an output, or meets another tensor, is transposed, not permuted."""
    net = Net()
    y = net.op("Reshape", net.conv(net.input("x", "N", 4, 4, 3), 4), net.ints(-1, 64))
    other = net.input("other", "N", 64)
    exported = export(net.finish(y=net.dense(y, 3), seen=net.op("Relu", y), sum=net.dense(net.op("Add", y, other), 2)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 2


def test_features_of_different_images_dont_mix() -> None:
    """Two flattened images of different shapes, added: their features can't both be permuted, and aren't."""
    net = Net()
    a = net.conv(net.input("a", "N", 4, 2, 3), 4)
    b = net.conv(net.input("b", "N", 2, 4, 3), 4)
    flat = [net.op("Reshape", v, net.ints(-1, 32)) for v in (a, b)]
    export(net.finish(y=net.dense(net.op("Add", *flat), 3))).assert_same()


def test_shapes_are_told_in_tensorflow_order() -> None:
    """Sizes taken from a channels-first tensor are put back into order; sizes computed from them go the other way."""
    net = Net()
    x = net.input("x", "N", None, None, 3)
    y = net.conv(x, 4)
    space = net.op("Slice", net.op("Shape", y), net.ints(1), net.ints(3))
    doubled = net.op("Mul", space, net.ints(2, 3))
    sizes = net.op(
        "Concat", net.op("Slice", net.op("Shape", y), net.ints(0), net.ints(1)), doubled, net.ints(4), axis=0
    )
    z = net.op("Resize", y, None, None, sizes, mode="nearest", nearest_mode="floor")
    pads = net.op("Concat", net.ints(0), space, net.ints(0, 0, 1, 1, 0), axis=0)
    z = net.op("Conv", net.op("Pad", z, pads), net.w(3, 3, 4, 2))
    z = net.op("ReduceMean", z, net.ints(1, 2), keepdims=0)
    exported = export(net.finish(y=z, shape=net.op("Shape", y, start=1), size=net.op("Size", y)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1


def test_the_shape_of_a_tensor_is_taken_once() -> None:
    """Parts of the shape of one channels-first tensor come from one Shape."""
    net = Net()
    y = net.conv(net.input("x", "N", None, None, 3), 4)
    first, second = net.op("Shape", y, start=0, end=2), net.op("Shape", y, start=2, end=4)
    exported = export(net.finish(y=y, first=first, second=second))
    exported.assert_same()
    assert exported.ops["Shape"] == 1


def test_tensors_of_lower_rank_keep_their_region() -> None:
    """Rows averaged away and an axis put in: 1-D and 2-D convolutions together have one layout."""
    net = Net()
    y = net.op("ReduceMean", net.conv(net.input("x", "N", 8, 6, 3), 4), net.ints(1), keepdims=0)
    y = net.conv(net.op("Relu", y), 5)
    y = net.conv(net.op("Unsqueeze", y, net.ints(2)), 3)
    exported = export(net.finish(y=net.op("ReduceMax", y, net.ints(1, 2), keepdims=0)))
    exported.assert_same()
    assert exported.ops["Transpose"] == 1


def test_a_recurrent_layer_after_convolutions_costs_one() -> None:
    """[N, 1, W, C] squeezed and made time-major, as in text recognition."""
    net = Net()
    y = net.op("Squeeze", net.pool(net.conv(net.input("x", "N", 2, 8, 3), 4)), net.ints(1))
    y = net.op("Transpose", y, perm=[1, 0, 2])
    outputs = net.b.op_n("LSTM", 3, y, net.w(1, 20, 4), net.w(1, 20, 5), net.w(1, 40), hidden_size=5)
    exported = export(net.finish(y=outputs[0]))
    exported.assert_same()
    assert exported.ops["Transpose"] == 2


def test_several_layouts_in_one_region() -> None:
    """Three orders of the same axes are wanted; each tensor is moved at most once for each."""
    net = Net()
    y = net.op("Relu", net.conv(net.input("x", "N", 6, 5, 3), 4))
    a = net.op("MatMul", net.op("Tanh", y), net.w(4, 2))
    b = net.op("MatMul", net.op("Abs", net.op("Transpose", y, perm=[0, 3, 2, 1])), net.w(6, 2))
    exported = export(net.finish(a=a, b=b))
    exported.assert_same()
    assert exported.ops["Transpose"] == 3


def test_axes_that_would_be_one_and_the_same() -> None:
    """An image plus its own transpose can have no layout of its own."""
    net = Net()
    y = net.conv(net.input("x", "N", 5, 5, 3), 4)
    y = net.op("Add", y, net.op("Transpose", y, perm=[0, 2, 1, 3]))
    exported = export(net.finish(y=net.op("ReduceMean", net.conv(y, 2), net.ints(1, 2), keepdims=0)))
    exported.assert_same()


def test_outputs_keep_their_names_whatever_they_are() -> None:
    """An input, a constant, another output's value, a transposed input: each comes out under its name."""
    net = Net()
    x = net.input("x", "N", 4, 4, 3)
    y = net.conv(x, 2)
    model = net.finish(a=x, b=net.const(2, 3), c=y, d=y, e=net.op("Transpose", x, perm=DOWN), f=net.op("Relu", y))
    exported = export(model)
    exported.assert_same()
    names = [n.name for n in exported.proto.graph.node] + [o for n in exported.proto.graph.node for o in n.output]
    assert len(names) == len(set(names))


def test_constants_keep_their_rank() -> None:
    """A result of constants alone has the axes of size 1 that they have."""
    net = Net()
    y = net.op("Add", net.op("Neg", net.const(1, 1, 4)), net.const(4))
    z = net.op("Mul", net.conv(net.input("x", "N", 4, 4, 3), 4), net.op("Exp", net.const(1, 1, 1, 4)))
    exported = export(net.finish(y=y, z=net.op("ReduceMean", z, net.ints(1, 2))))
    exported.assert_same()
    assert [len(o.type.tensor_type.shape.dim) for o in exported.proto.graph.output] == [3, 4]


def test_an_unknown_rank_is_no_obstacle() -> None:
    """A placeholder without a shape: what depends on the layout still gets the layout it needs."""
    net = Net()
    x = net.b.input("x", FLOAT, None)
    variance = net.b.constant(np.linspace(0.5, 2, 4, dtype=np.float32))
    y = net.op("Relu", net.op("Conv", x, net.w(3, 3, 3, 4), net.w(4), pads=[1, 1, 1, 1]))
    y = net.op("BatchNormalization", y, net.const(4), net.const(4), net.const(4), variance, epsilon=1e-3)
    y = net.op("MaxPool", net.op("Mul", y, net.const(4)), kernel_shape=[2, 2])
    image = np.random.default_rng(3).standard_normal((2, 6, 5, 3)).astype(np.float32)
    exported = export(net.finish(y=y, z=net.op("Conv", y, net.w(1, 1, 4, 2))), given={"x": image})
    exported.assert_same()
    values = (*exported.proto.graph.input, *exported.proto.graph.output)
    assert [len(value.type.tensor_type.shape.dim) for value in values] == [4, 4, 4]


def test_nothing_may_be_known_of_an_input() -> None:
    """A placeholder without a shape that is reshaped at once takes a tensor of any rank."""
    net = Net()
    x = net.b.input("x", FLOAT, None)
    model = net.finish(y=net.dense(net.raw("Reshape", x, net.ints(-1, 6), shape=(None, 6)), 3))
    given = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    for array in (given, given.reshape(4, 6)):
        export(model, given={"x": array}).assert_same()


def test_branches_see_the_graph_around_them() -> None:
    """A condition on data: subgraphs are laid out too, and use tensors from outside in TensorFlow's order."""
    net = Net()
    x = net.input("x", "N", 6, 6, 3)
    y = net.conv(x, 4)
    flag = net.input("flag", dtype=ir.DataType.BOOL)

    def branch(name: str, filters: int) -> ir.Graph:
        inner = Builder(name)
        kernel = inner.weight(
            f"{name}/kernel", FLOAT, (3, 3, 4, filters), lambda: np.full((3, 3, 4, filters), 0.1, "f4")
        )
        relu = ir.node("Relu", [y], name=f"{name}/relu")
        relu.outputs[0].name, relu.outputs[0].shape, relu.outputs[0].type = f"{name}/r", y.shape, y.type
        inner.graph.append(relu)
        result = inner.op("Conv", relu.outputs[0], kernel, None, pads=[1, 1, 1, 1])
        inner.graph.outputs.append(result)
        return inner.graph

    node = ir.node("If", [flag], {"then_branch": branch("then", 5), "else_branch": branch("else", 5)}, name="if")
    result = node.outputs[0]
    result.name, result.shape, result.type = "chosen", ir.Shape(("N", 6, 6, 5)), ir.TensorType(FLOAT)
    net.b.graph.append(node)
    model = net.finish(y=net.op("ReduceMean", net.conv(result, 2), net.ints(1, 2), keepdims=0))
    image = np.random.default_rng(3).standard_normal((2, 6, 6, 3)).astype(np.float32)
    for value in (True, False):
        export(model, given={"x": image, "flag": np.array(value)}).assert_same()


def test_the_model_given_is_not_changed() -> None:
    """The bundle is written from the same IR afterwards."""
    model = _channels_first_network(Net())
    given = feeds(model)
    before, text = evaluate(model, given)["y"], str(ir.serde.serialize_model(model))
    in_standard_ops(model, input_layout="nchw")
    assert str(ir.serde.serialize_model(model)) == text
    np.testing.assert_array_equal(evaluate(model, given)["y"], before)


def test_the_work_grows_with_the_size() -> None:
    """Ten times as many nodes take about ten times as many calls, not a hundred."""

    def calls(blocks: int) -> int:
        net = Net()
        x = net.input("x", "N", 8, 8, 4)
        y = x
        for i in range(blocks):
            z = net.op("Relu", net.conv(y, 4, k=1))
            y = net.op("MatMul", net.op("Add", z, y), net.const(4, 4)) if i % 3 == 0 else net.op("Add", y, z)
        model = net.finish(y=y)
        profile = cProfile.Profile()
        profile.runcall(in_standard_ops, model)
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    assert calls(500) < 20 * calls(50)


def test_more_than_one_image_and_other_inputs() -> None:
    """Each image input has a Transpose of its own; a vector has none."""
    net = Net()
    a, b, c = net.input("a", "N", 8, 8, 3), net.input("b", "N", 8, 8, 1), net.input("c", "N", 5)
    y = net.op("Concat", net.conv(a, 4), net.conv(b, 4), axis=-1)
    y = net.op("Concat", net.op("ReduceMean", net.conv(y, 4), net.ints(1, 2), keepdims=0), c, axis=-1)
    model = net.finish(y=net.dense(y, 2))
    exported = export(model)
    exported.assert_same()
    assert exported.ops["Transpose"] == 1  # of `a`; `b` has one channel and is reshaped
    first = export(model, input_layout="nchw")
    first.assert_same()
    assert set(first.orders) == {"a", "b"}
    assert first.ops["Transpose"] == first.ops["Reshape"] == 0


def test_run_onnx_is_strict_about_shapes() -> None:
    """A channels-first file doesn't take channels-last arrays: the tests above would notice a wrong input shape."""
    net = Net()
    model = net.finish(y=net.conv(net.input("x", "N", 8, 8, 3), 4))
    proto = export(model, input_layout="nchw").proto
    with pytest.raises(Exception, match="invalid dimensions"):
        run_onnx(proto.SerializeToString(), feeds(model))
