"""A half-precision type becomes float32 wherever it is, and nothing else changes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.passes.widen import widen
from tests.unit.passes.nets import Net, network

IMAGE = ("N", 8, 8, 4)
NARROW, WIDE = ir.DataType.BFLOAT16, ir.DataType.FLOAT


def test_weights_inputs_outputs_and_casts() -> None:
    """A weight's numbers stay the same: 1/3 in bfloat16 is no nearer to 1/3 afterwards."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        third = net.op("Mul", x, net.weight("third", np.full(4, 1 / 3)))
        return net.op("Cast", net.op("Cast", third, to=WIDE.value), to=NARROW.value)

    model = network(build, IMAGE, dtype=NARROW)
    assert widen(model, [NARROW]) == {NARROW}
    edit.check(model)
    values = [*model.graph.inputs, *model.graph.outputs, *(output for node in model.graph for output in node.outputs)]
    assert {value.dtype for value in values} == {WIDE}
    assert [node.attributes["to"].as_int() for node in model.graph if node.op_type == "Cast"] == [WIDE.value] * 2
    third = edit.constant_array(model.graph.initializers["third"])
    assert third is not None
    assert third.dtype == np.float32
    assert third[0] == np.float32(ml_dtypes.bfloat16(1 / 3)) != np.float32(1 / 3)


def test_in_subgraphs_and_attributes() -> None:
    """The body of a condition, and the number that ConstantOfShape repeats."""
    net = Net(dtype=NARROW)
    x = net.b.input("x", NARROW, (3,))
    fill = ir.tensor(np.array([2.5], ml_dtypes.bfloat16))
    size, inner = net.ints(3), []
    for name in ("then_branch", "else_branch"):
        inner.append(ir.node("ConstantOfShape", [size], {"value": fill}))
        inner[-1].outputs[0].name, inner[-1].outputs[0].type = name, ir.TensorType(NARROW)
    branches = {str(n.outputs[0].name): ir.Graph([], n.outputs, nodes=[n]) for n in inner}
    chosen = ir.node("If", [net.b.constant(np.array(True))], branches)
    chosen.outputs[0].name, chosen.outputs[0].type = "chosen", ir.TensorType(NARROW)
    chosen.outputs[0].shape = ir.Shape([3])
    net.b.graph.append(chosen)
    model = net.b.finish({"y": net.op("Add", x, chosen.outputs[0])})
    assert widen(model, [NARROW]) == {NARROW}
    assert {node.outputs[0].dtype for node in (*inner, chosen)} == {WIDE}
    values = [node.attributes["value"].as_tensor() for node in inner]
    assert [(value.dtype, float(value.numpy()[0])) for value in values] == [(WIDE, 2.5)] * 2


def test_other_types_are_left_alone() -> None:
    """Float16 is kept, unless it is named."""
    model = network(lambda net, x: net.op("Relu", x), IMAGE, dtype=ir.DataType.FLOAT16)
    assert widen(model, [NARROW]) == set()
    assert model.graph.inputs[0].dtype == ir.DataType.FLOAT16
    assert widen(model, [NARROW, ir.DataType.FLOAT16]) == {ir.DataType.FLOAT16}
    assert model.graph.inputs[0].dtype == model.graph.outputs[0].dtype == WIDE
