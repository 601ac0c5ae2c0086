"""Random networks with hostile numbers: folding doesn't make their errors in float32 larger.

An error is the largest difference to float64 in a channel of the output, relative to the largest number in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ir.evaluate import evaluate
from exporter.passes.affine import collect, fold_affine, plan
from exporter.passes.affine.collect import Site
from exporter.passes.pipeline import run
from tests.unit.passes.nets import Array, Layer, Net

WORSE = 4.0
"""How many times larger the error may become."""

ULPS = 24 * float(np.finfo(np.float32).eps)
"""The error that is nothing to speak of: some units in the last place of the channel."""

T, C = 8, 6


@dataclass
class Start:
    """How a network begins.

    Attributes:
        value: What the layers behind it get: [N, T, C].
        feeds: Inputs as they are meant to be.
    """

    value: ir.Value
    feeds: dict[str, Array]


Hostile = Callable[[Net, float], Start]
"""A start, with the ratio of its shift to what this leaves."""


def _vector(net: Net, size: float = 1.0) -> Array:
    return np.asarray(size * net.random.uniform(0.5, 2, C) * net.random.choice([-1.0, 1.0], C))


def _float(net: Net, name: str = "x", *shape: int) -> ir.Value:
    return net.b.input(name, ir.DataType.FLOAT, ["N", *(shape or (T, C))])


def _around(net: Net, mean: Array, deviation: Array) -> Array:
    return (mean + deviation * net.random.normal(size=(3, T, C))).astype(np.float32)


SPELLINGS: dict[str, Callable[[Net, ir.Value, float], ir.Value]] = {
    "(1 - m) * -b": lambda net, m, b: net.op("Mul", net.op("Sub", net.weight("one", 1.0), m), net.weight("b", -b)),
    "(m - 1) * b": lambda net, m, b: net.op("Mul", net.op("Sub", m, net.weight("one", 1.0)), net.weight("b", b)),
    "m * b - b": lambda net, m, b: net.op("Sub", net.op("Mul", m, net.weight("b", b)), net.weight("b", b)),
    "-(b - m * b)": lambda net, m, b: net.op(
        "Neg", net.op("Sub", net.weight("b", b), net.op("Mul", m, net.weight("b", b)))
    ),
    "(1 - m) / (-1 / b)": lambda net, m, b: net.op(
        "Div", net.op("Sub", net.weight("one", 1.0), m), net.weight("b", -1 / b)
    ),
}


def _masked(spelling: str, kind: str) -> Hostile:
    def start(net: Net, ratio: float) -> Start:
        x = _float(net)
        kept = np.arange(T) < np.array([[2], [T], [5]])
        if kind == "float":
            m, fed = _float(net, "m", T, 1), kept.astype(np.float32)
        elif kind == "soft":
            m, fed = net.op("Sigmoid", _float(net, "m", T, 1)), np.where(kept, 80, -80).astype(np.float32)
        else:
            dtype = ir.DataType.BOOL if kind == "bool" else ir.DataType.UINT8
            given = net.b.input("m", dtype, ["N", T, 1])
            m, fed = net.op("Cast", given, to=ir.DataType.FLOAT.value), kept.astype(dtype.numpy())
        hidden = SPELLINGS[spelling](net, m, max(ratio, 1.0))
        y = net.op("Add", net.op("Mul", x, m), hidden)
        feeds = {"x": _around(net, np.zeros(C), np.ones(C)), "m": fed[:, :, None]}
        return Start(net.op("ReduceMax", y, net.ints(1), keepdims=1), feeds)

    return start


def _normalised(net: Net, ratio: float) -> Start:
    """(x - mean) / deviation, as Keras writes it."""
    deviation = np.abs(_vector(net, 10 ** net.random.uniform(-3, 3)))
    mean = (deviation * _vector(net, ratio)).astype(np.float32)
    x = net.op("Sub", _float(net), net.weight("mean", mean))
    return Start(net.op("Div", x, net.weight("deviation", deviation)), {"x": _around(net, mean, deviation)})


def _scaled_and_shifted(net: Net, ratio: float) -> Start:
    """x scale - shift, with numbers that cancel after they were rounded."""
    deviation = np.abs(_vector(net, 10 ** net.random.uniform(-3, 3)))
    mean = deviation * _vector(net, ratio)
    x = net.op("Div", _float(net), net.weight("deviation", deviation))
    return Start(net.op("Sub", x, net.weight("mean", mean / deviation)), {"x": _around(net, mean, deviation)})


def _shifted(net: Net, ratio: float) -> Start:
    """x - mean."""
    deviation = np.abs(_vector(net, 10 ** net.random.uniform(-3, 3)))
    mean = (deviation * _vector(net, ratio)).astype(np.float32)
    return Start(net.op("Sub", _float(net), net.weight("mean", mean)), {"x": _around(net, mean, deviation)})


def _statistics(net: Net, ratio: float, variance: float) -> dict[str, Array]:
    deviation = np.sqrt(variance * net.random.uniform(0.5, 2, C))
    return {"mean": deviation * _vector(net, ratio), "variance": deviation**2}


def _batch_norm(net: Net, ratio: float) -> Start:
    known = _statistics(net, ratio, 10 ** net.random.uniform(-12, 6))
    fed = _around(net, known["mean"], np.sqrt(known["variance"]))
    return Start(net.batch_norm(_float(net), given=known, epsilon=1e-13), {"x": fed})


def _integers(net: Net, ratio: float) -> Start:
    """Whole numbers, as years are."""
    mean = np.rint(3 * min(ratio, 1e5) * np.ones(C))
    given = net.b.input("x", ir.DataType.INT32, ["N", T, C])
    x = net.op("Sub", net.op("Cast", given, to=ir.DataType.FLOAT.value), net.weight("mean", mean))
    fed = mean + net.random.integers(-5, 6, (3, T, C))
    return Start(net.op("Mul", x, net.weight("third", 1 / 3)), {"x": fed.astype(np.int32)})


def _behind_convolution(net: Net, ratio: float) -> Start:
    """A batch norm whose input is far from 0, but was rounded to as many digits."""
    mean = np.abs(_vector(net, ratio))
    y = net.op("Add", net.conv(_float(net), "first", out=C, k=1), net.weight("far", mean))
    y = net.batch_norm(net.op("Relu", y), given={"mean": mean, "variance": np.ones(C)})
    return Start(y, {"x": _around(net, np.zeros(C), np.ones(C))})


def _pooled(net: Net, ratio: float) -> Start:
    """A batch norm of means of exact numbers."""
    known = _statistics(net, ratio, 1.0)
    fed = _around(net, known["mean"], np.sqrt(known["variance"]))
    x = net.op("AveragePool", _float(net), kernel_shape=[2], strides=[2])
    return Start(net.batch_norm(x, given=known), {"x": fed})


def _looked_up(net: Net, ratio: float) -> Start:
    """Coordinates in a table, of which one is taken from another."""
    table = ratio * np.ones(C) + net.random.normal(size=(9, C))
    rows = net.b.input("x", ir.DataType.INT32, ["N", T])
    others = net.b.input("z", ir.DataType.INT32, ["N", T])
    tables = [net.weight(name, table + net.random.normal(size=C)) for name in ("here", "there")]
    y = net.op("Sub", *(net.op("Gather", t, i, axis=0) for t, i in zip(tables, (rows, others), strict=True)))
    feeds = {name: net.random.integers(0, 9, (3, T)).astype(np.int32) for name in ("x", "z")}
    return Start(net.op("Mul", y, net.weight("third", 1 / 3)), feeds)


STARTS: dict[str, Hostile] = {
    "normalised": _normalised,
    "scaled, shifted": _scaled_and_shifted,
    "shifted": _shifted,
    "batch norm": _batch_norm,
    "integers": _integers,
    "behind convolution": _behind_convolution,
    "pooled": _pooled,
    "looked up": _looked_up,
    **{f"{kind} mask {name}": _masked(name, kind) for name in SPELLINGS for kind in ("float", "soft", "bool", "uint8")},
}


def _size(x: ir.Value, axis: int) -> int:
    assert x.shape is not None
    return int(str(x.shape[axis]))


def _concat(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Concat", x, net.op("Tanh", x), axis=-1)


def _conv(net: Net, x: ir.Value) -> ir.Value:
    return net.conv(x, k=min(3, _size(x, 1)), out=4)


def _transposed(net: Net, x: ir.Value) -> ir.Value:
    kernel = net.normal("transposed", 2, 4, _size(x, 2))
    return net.op("ConvTranspose", x, kernel, None, strides=[2], pads=[0, 0])


def _product(net: Net, x: ir.Value) -> ir.Value:
    return net.op("MatMul", x, net.normal("matrix", _size(x, 2), 5))


def _split(net: Net, x: ir.Value) -> ir.Value:
    half = _size(x, 2) // 2
    return net.op("Slice", x, net.ints(0), net.ints(half), net.ints(2)) if half else x


LAYERS: dict[str, Layer] = {
    "average": lambda net, x: net.op("AveragePool", x, kernel_shape=[1], strides=[1]),
    "clip": lambda net, x: net.op("Clip", x, net.weight("least", -2.0), net.weight("most", 3.0)),
    "depthwise": lambda net, x: net.conv(x, k=1, out=2 * _size(x, 2), group=_size(x, 2)),
    "matmul": _product,
    "negated": lambda net, x: net.op("Neg", x),
    "slice": _split,
    "transposed": _transposed,
    "dense": lambda net, x: net.dense(x, out=5, bias=True),
    "conv": _conv,
    "padded conv": lambda net, x: net.conv(x, out=4, pad=1),
    "bias": lambda net, x: net.op("Add", x, net.normal("bias", _size(x, 2))),
    "factor": lambda net, x: net.op("Mul", x, net.normal("factor", _size(x, 2))),
    "temperature": lambda net, x: net.op("Div", x, net.weight("temperature", 0.7)),
    "batch norm": lambda net, x: net.batch_norm(x),
    "relu": lambda net, x: net.op("Relu", x),
    "tanh": lambda net, x: net.op("Tanh", x),
    "softmax": lambda net, x: net.op("Softmax", x, axis=1),
    "concat": _concat,
    "residual": lambda net, x: net.op("Add", x, net.dense(x, "inner", out=_size(x, 2))),
    "flip": lambda net, x: net.op("Transpose", net.op("Transpose", x, perm=[0, 2, 1]), perm=[0, 2, 1]),
    "pad": lambda net, x: net.op("Pad", x, net.ints(0, 1, 0, 0, 1, 0)),
    "mean": lambda net, x: net.op("ReduceMean", x, net.ints(1), keepdims=1),
    "max": lambda net, x: net.op("ReduceMax", x, net.ints(1), keepdims=1),
}


def _networks() -> st.SearchStrategy[tuple[str, float, list[str], int]]:
    ratios = st.floats(-3, 12).map(lambda exponent: float(10**exponent))
    layers = st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4)
    return st.tuples(st.sampled_from(sorted(STARTS)), ratios, layers, st.integers(0, 1000))


def _errors(start: str, ratio: float, layers: list[str], seed: int) -> tuple[float, float]:
    """Of the unfolded network in float32, and of the folded one."""
    net = Net(dtype=ir.DataType.FLOAT, seed=seed)
    begun = STARTS[start](net, ratio if "mask" in start else min(ratio, 1e6))
    x = begun.value
    for name in layers:
        x = LAYERS[name](net, x)
    model = net.b.finish({"y": x})
    truth, before = (evaluate(model, begun.feeds, dtype=dtype)["y"] for dtype in (np.float64, np.float32))
    run(model)
    return _error(before, truth), _error(evaluate(model, begun.feeds, dtype=np.float32)["y"], truth)


def _error(found: Array, truth: Array) -> float:
    axes = tuple(range(truth.ndim - 1))
    size = np.abs(truth).max(axis=axes)
    return float(np.max(np.abs(found - truth).max(axis=axes) / np.where(size > 0, size, 1.0)))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=_networks())
def test_a_fold_costs_no_digits(drawn: tuple[str, float, list[str], int]) -> None:
    """Whatever the numbers are: the error is at most four times that of the unfolded network."""
    before, after = _errors(*drawn)
    assert after <= max(WORSE * before, ULPS), (before, after)


FAULTS: dict[str, tuple[str, float, list[str]]] = {
    "a shift in a bias": ("normalised", 500.0, ["dense"]),
    "a shift forward into a convolution": ("batch norm", 1500.0, ["conv"]),
    "a mask past a sum": ("float mask (1 - m) * -b", 1e9, ["dense"]),
    "a small mask past a sum": ("bool mask (1 - m) * -b", 1e4, ["dense"]),
    "a bias in a mask": ("uint8 mask (m - 1) * b", 1e9, ["bias", "tanh"]),
    "whole numbers": ("integers", 700.0, ["dense"]),
    "differences of entries": ("looked up", 1000.0, ["dense"]),
}
"""What folding as if numbers were real gets wrong: a start, a ratio, and layers."""


@pytest.mark.parametrize("name", FAULTS)
def test_without_the_rule_digits_are_lost(name: str) -> None:
    """Each of these is folded well, and badly where a fold only has to be exact in real numbers."""
    start, ratio, layers = FAULTS[name]
    before, after = _errors(start, ratio, layers, 0)
    assert after <= max(WORSE * before, ULPS)
    with _exact_in_real_numbers():
        before, after = _errors(start, ratio, layers, 0)
    assert after > max(WORSE * before, ULPS)


@contextmanager
def _exact_in_real_numbers() -> Iterator[None]:
    def never(*_: Any) -> None:
        return None

    def always(*_: Any) -> bool:
        return True

    with (
        mock.patch.object(Site, "cancels", never),
        mock.patch.object(plan, "keeps_digits", always),
        mock.patch.object(collect, "keeps_digits", always),
        mock.patch.object(fold_affine, "_is_mixed", always),
    ):
        yield
