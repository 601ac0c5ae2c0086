"""Folding in float16: no worse than float16 arithmetic, and one rounding worse than arithmetic in float32 between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.evaluate import evaluate, evaluate_node
from exporter.passes import run
from tests.unit.passes.nets import Array, Net, network

IMAGE = (4, 8, 8, 6)
HALF, SINGLE = ir.DataType.FLOAT16, ir.DataType.FLOAT


def _arithmetic(net: Net, x: ir.Value, *, mean: float = 0.0) -> ir.Value:
    """x inv + (beta - mean inv), each step rounded to float16, as TensorFlow computes it."""
    assert x.shape is not None
    c = int(str(x.shape[-1]))
    gamma, beta = net.weight("gamma", net.random.uniform(0.5, 2, c)), net.normal("beta", c)
    moving = net.weight("mean", mean + net.random.normal(size=c))
    variance = net.op("Add", net.weight("variance", net.random.uniform(0.3, 2, c)), net.weight("epsilon", 1e-3))
    inv = net.op("Div", gamma, net.op("Sqrt", variance))
    shift = net.op("Sub", beta, net.op("Mul", moving, inv))
    return net.op("Add", net.op("Mul", x, inv), shift)


def _in_float32(net: Net, x: ir.Value) -> ir.Value:
    """Statistics and arithmetic in float32, of which only the result is rounded to float16."""
    wide = net.op("Cast", x, to=SINGLE.value)
    net.dtype = SINGLE
    y = net.batch_norm(wide)
    net.dtype = HALF
    return net.op("Relu", net.op("Cast", y, to=HALF.value))


LINEAR: dict[str, Callable[[Net, ir.Value], ir.Value]] = {
    "convolution": lambda net, x: net.conv(x, out=16, pad=1),
    "depthwise convolution": lambda net, x: net.conv(x, group=6, pad=1),
    "dense": lambda net, x: net.dense(x, out=16, bias=True),
}
NORMS: dict[str, tuple[Callable[[Net, ir.Value], ir.Value], float]] = {
    "float16": (_arithmetic, 1.0),
    "float16, far from 0": (partial(_arithmetic, mean=30.0), 1.0),
    "float32": (_in_float32, 1.75),
}
"""A norm, and how much more noise there may be: the folded weights are rounded, which nothing in float32 is."""


@pytest.mark.parametrize("linear", LINEAR)
@pytest.mark.parametrize("norm", NORMS)
def test_noise_of_the_folded_network(linear: str, norm: str) -> None:
    """The root mean square of the error against float64, each op in its own type, over eight networks."""
    build, most = NORMS[norm]
    before, after = [], []
    for seed in range(8):
        model = network(lambda net, x: build(net, LINEAR[linear](net, x)), IMAGE, dtype=HALF, seed=seed)
        x = np.random.default_rng(seed).normal(size=IMAGE).astype(np.float16)
        truth = evaluate(model, {"x": x})["y"]
        before.append(_noise(_stored(model, x), truth))
        run(model)
        after.append(_noise(_stored(model, x), truth))
        assert {node.op_type for node in model.graph} <= {"Conv", "Dense", "Relu"}
        assert {value.dtype for value in model.graph.initializers.values()} == {HALF}
    assert np.mean(after) <= most * np.mean(before)


def _stored(model: ir.Model, x: Array) -> Array:
    """The output, each op in the types it has."""
    known: dict[ir.Value, Array] = {model.graph.inputs[0]: x}
    for value in model.graph.initializers.values():
        assert value.const_value is not None
        known[value] = value.const_value.numpy()
    for node in model.graph:
        results = evaluate_node(node, [None if v is None else known[v] for v in node.inputs], None)
        known.update(zip(node.outputs, results, strict=False))
    return known[model.graph.outputs[0]]


def _noise(found: Array, truth: Array) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))
