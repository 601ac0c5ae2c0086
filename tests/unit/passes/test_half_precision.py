"""Folding in float16 is never worse than not folding: done where it saves roundings, refused where it adds some.

Noise is the root mean square of the error against float64, each op computed in its own type, over several networks.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.evaluate import evaluate, evaluate_node
from exporter.passes.affine import rounding
from exporter.passes.pipeline import run
from tests.unit.passes.nets import Array, Layer, Net, network

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


LINEAR: dict[str, Layer] = {
    "convolution": lambda net, x: net.conv(x, out=16, pad=1),
    "depthwise convolution": lambda net, x: net.conv(x, group=6, pad=1),
    "dense": lambda net, x: net.dense(x, out=16, bias=True),
}
NORMS: dict[str, Layer] = {
    "float16": _arithmetic,
    "float16, far from 0": partial(_arithmetic, mean=30.0),
    "float32": _in_float32,
}


def _noises(build: Layer, seeds: int = 8) -> tuple[float, float, list[str], list[str | None]]:
    """The mean noise of the unfolded and of the folded networks, all op types in these, and why anything stayed."""
    before, after, ops, reasons = [], [], set[str](), list[str | None]()
    for seed in range(seeds):
        model = network(build, IMAGE, dtype=HALF, seed=seed)
        x = np.random.default_rng(seed).normal(size=IMAGE).astype(np.float16)
        truth = evaluate(model, {"x": x})["y"]
        before.append(_noise(_stored(model, x), truth))
        reasons += [outcome.reason for outcome in run(model)]
        after.append(_noise(_stored(model, x), truth))
        ops |= {node.op_type for node in model.graph}
        assert HALF in {value.dtype for value in model.graph.initializers.values()}
    return float(np.mean(before)), float(np.mean(after)), sorted(ops), reasons


@pytest.mark.parametrize("linear", LINEAR)
@pytest.mark.parametrize("norm", NORMS)
def test_the_folded_network_has_no_more_noise(linear: str, norm: str) -> None:
    """Arithmetic in float16 is folded and gains; a norm in float32, which rounds once, stays with the reason."""
    before, after, ops, reasons = _noises(lambda net, x: NORMS[norm](net, LINEAR[linear](net, x)))
    if norm == "float32":
        assert after == before
        assert "BatchNormalization" in ops
        assert any("would be rounded to float16 once more" in str(reason) for reason in reasons)
    else:
        assert after < before
        assert set(ops) <= {"Conv", "Dense"}


def test_a_fold_that_is_refused_would_be_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the estimate switched off, what stays for its sake is folded, and is worse."""
    build: Layer = lambda net, x: _in_float32(net, LINEAR["convolution"](net, x))  # noqa: E731
    monkeypatch.setattr(rounding, "_ALLOWED", np.inf)
    before, after, ops, _ = _noises(build)
    assert ops == ["Conv", "Relu"]
    assert after > 1.05 * before


def _trained(net: Net, x: ir.Value) -> ir.Value:
    """A dense layer whose kernel is stored in float32 and used in float16, and a norm with the statistics it has."""
    net.dtype = SINGLE
    weights = net.random.normal(size=(6, 16)) / np.sqrt(6)
    kernel = net.op("Cast", net.weight("kernel", weights), to=HALF.value)
    result = net.random.normal(size=(1000, 6)) @ weights
    y = net.op("Cast", net.op("Dense", x, kernel, None), to=SINGLE.value)
    beta = net.random.normal(size=16) / 2
    y = net.batch_norm(y, given={"mean": result.mean(axis=0), "variance": result.var(axis=0), "beta": beta})
    net.dtype = HALF
    return net.op("Dense", net.op("Cast", y, to=HALF.value), net.weight("head", np.eye(16)), None)


def test_weights_that_are_rounded_anyway_take_a_norm_in_float32() -> None:
    """As with mixed precision: the folded kernel is rounded, once, in the place of the unfolded one."""
    before, after, ops, _ = _noises(_trained, seeds=30)
    assert ops == ["Dense"]
    assert after < before


@pytest.mark.parametrize(("factor", "most"), [(0.25, 1.0), (0.3, 1.02)])
def test_a_factor_alone_is_folded(factor: float, most: float) -> None:
    """A power of 2 changes no digit; with another number something is rounded once, before or after."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.op("Mul", net.conv(x, out=16), net.weight("factor", factor))

    before, after, ops, _ = _noises(build, seeds=20)
    assert ops == ["Conv"]
    assert after <= (most + 1e-6) * before


NETWORKS: dict[str, Layer] = {
    "convolutions": lambda net, x: _layers(net, x, _in_float16),
    "convolutions with norms in float32": lambda net, x: _layers(net, x, _in_float32),
    "norms before convolutions": lambda net, x: net.conv(_in_float16(net, net.op("Relu", x)), out=8),
}


def _in_float16(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Relu", net.batch_norm(x))


def _layers(net: Net, x: ir.Value, norm: Layer) -> ir.Value:
    y = norm(net, net.conv(x, "a", out=8, pad=1))
    y = norm(net, net.op("MaxPool", net.conv(y, "b", out=8, group=8), kernel_shape=[2, 2]))
    return net.dense(net.op("ReduceMean", norm(net, net.conv(y, "c", k=1, out=8)), net.ints(1, 2), keepdims=0))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_several_layers(name: str) -> None:
    """Over thirty networks the folded ones have no more noise than the unfolded ones."""
    before, after, _, _ = _noises(NETWORKS[name], seeds=30)
    assert after <= 1.001 * before


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
