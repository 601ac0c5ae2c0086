"""The branches of an If are folded like the graph around them, and nothing moves across their border."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

import runtime
from exporter.ir.evaluate import evaluate
from exporter.passes.pipeline import run
from exporter.report.records import FoldOutcome
from exporter.targets.npz_bundle import write_bundle
from exporter.targets.onnx_file import onnx_model
from tests.unit.passes.nets import Layer, Net, difference, feed, network

EXACT = 1e-12
IMAGE = ("N", 8, 8, 4)


def _branch(net: Net, name: str, build: Layer, x: ir.Value) -> ir.Graph:
    """What is built, in a graph of its own; its weights stay in the graph around."""
    before = set(net.b.graph)
    y = net.op("Identity", build(net, x))
    nodes = [node for node in net.b.graph if node not in before]
    net.b.graph.remove(nodes)
    return ir.Graph([], [y], nodes=nodes, name=name)


def _if(net: Net, x: ir.Value, then: Layer, otherwise: Layer, seen: ir.Value | None = None) -> ir.Value:
    """One of the two, by the sign of the sum of x."""
    total = net.op("ReduceSum", x, net.ints(0, 1, 2, 3), keepdims=0)
    condition = net.op("Greater", total, net.weight("zero", 0.0))
    branches = [_branch(net, name, build, seen or x) for name, build in (("then", then), ("else", otherwise))]
    node = ir.node("If", [condition], {"then_branch": branches[0], "else_branch": branches[1]}, name="if")
    net.b.graph.append(node)
    result = node.outputs[0]
    result.name, result.type, result.shape = "if/result", branches[0].outputs[0].type, branches[0].outputs[0].shape
    return result


def _ops(model: ir.Model) -> dict[str, list[str]]:
    return {str(g.name): [n.op_type for n in g] for g in (model.graph, *model.graph.subgraphs())}


def _fold(build: Layer, dtype: ir.DataType = ir.DataType.DOUBLE) -> tuple[ir.Model, tuple[FoldOutcome, ...], float]:
    """The folded network, what was done, and the largest difference for an input of either sign."""
    model = network(build, IMAGE, dtype=dtype)
    x = np.abs(feed(IMAGE))
    before = [evaluate(model, {"x": sign * x}) for sign in (1, -1)]
    outcomes = run(model)
    after = [evaluate(model, {"x": sign * x}) for sign in (1, -1)]
    return model, outcomes, max(difference(b, a) for b, a in zip(before, after, strict=True))


def _both(net: Net, x: ir.Value) -> ir.Value:
    def then(net: Net, x: ir.Value) -> ir.Value:
        return net.op("Relu", net.batch_norm(net.conv(x, "a"), "bn_a"))

    def otherwise(net: Net, x: ir.Value) -> ir.Value:
        return net.conv(net.batch_norm(net.op("Tanh", x), "bn_b"), "b")

    return net.op("Relu", _if(net, x, then, otherwise))


def test_each_branch_is_folded() -> None:
    """Up in one, down in the other; the biases are constants of the model."""
    model, outcomes, error = _fold(_both)
    ops = _ops(model)
    assert ops["then"][:2] == ["Conv", "Relu"]
    assert ops["else"][:2] == ["Tanh", "Conv"]
    assert "BatchNormalization" not in ops["then"] + ops["else"]
    assert {outcome.batch_norms: outcome.into for outcome in outcomes} == {("bn_a",): "a", ("bn_b",): "b"}
    assert {"a/bias", "b/bias"} <= set(model.graph.initializers)
    assert error < EXACT


@pytest.mark.parametrize("affine", ["inside", "outside"])
def test_nothing_moves_across_the_border(affine: str) -> None:
    """A norm in a branch leaves the convolution before the If alone, and one before the If those in the branches."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.conv(x)
        if affine == "outside":
            y = net.batch_norm(net.op("Relu", y))
            return _if(net, x, lambda net, y: net.conv(y, "a"), lambda net, y: net.conv(y, "b"), y)
        return _if(net, x, lambda net, y: net.batch_norm(y), lambda net, y: net.op("Relu", y), y)

    model, outcomes, error = _fold(build)
    assert ("BatchNormalization" in _ops(model)["then"]) == (affine == "inside")
    assert any("subgraph" in str(outcome.reason) for outcome in outcomes)
    assert error < EXACT


def test_the_border_of_a_branch_is_an_output() -> None:
    """The result of a branch isn't changed for a norm behind the If."""
    model, outcomes, error = _fold(
        lambda net, x: net.batch_norm(
            _if(net, x, lambda net, x: net.conv(x, "a"), lambda net, x: net.conv(x, "b")), "behind"
        )
    )
    assert "BatchNormalization" in _ops(model)["net"]
    assert outcomes[0].reason is not None
    assert error < EXACT


def test_branches_that_share_a_kernel_get_their_own() -> None:
    """One folds, the other doesn't: both are right."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.normal("shared/kernel", 3, 3, 4, 6)
        return _if(
            net,
            x,
            lambda net, x: net.batch_norm(net.b.op("Conv", x, kernel, None)),
            lambda net, x: net.b.op("Conv", x, kernel, None),
        )

    model, _, error = _fold(build)
    assert "BatchNormalization" not in _ops(model)["then"]
    assert error < EXACT


def test_both_files_hold_the_folded_branches(tmp_path: Path) -> None:
    """Onnxruntime and the NumPy runtime compute what the unfolded model does."""
    model = network(_both, IMAGE, dtype=ir.DataType.FLOAT)
    feeds = [sign * np.abs(feed(IMAGE)).astype(np.float32) for sign in (1, -1)]
    wanted = [evaluate(model, {"x": x})["y"] for x in feeds]
    run(model)
    write_bundle(model, tmp_path / "m.npz")
    session = ort.InferenceSession(
        ir.to_proto(onnx_model(model, opset=18)).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    net = runtime.load(tmp_path / "m.npz")
    for x, truth in zip(feeds, wanted, strict=True):
        for found in (session.run(None, {"x": x})[0], np.asarray(net(x))):
            assert np.abs(found - truth).max() < 1e-5 * np.abs(truth).max()
    assert np.abs(wanted[0] - wanted[1]).max() > 0.1
