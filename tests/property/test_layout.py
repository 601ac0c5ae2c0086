"""Random networks: the ONNX model computes what the channels-last one does, and never has needless Transposes."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.targets.networks import Net, export, feeds

Layer = Callable[[Net, ir.Value], ir.Value]


def _channels(x: ir.Value) -> int:
    assert x.shape is not None
    return int(str(x.shape[-1]))


def _size(x: ir.Value, axis: int) -> int:
    assert x.shape is not None
    return int(str(x.shape[axis]))


def _excite(net: Net, x: ir.Value) -> ir.Value:
    s = net.op("ReduceMean", x, net.ints(1, 2), keepdims=0)
    s = net.op("Sigmoid", net.dense(s, _channels(x)))
    return net.op("Mul", x, net.op("Reshape", s, net.ints(-1, 1, 1, _channels(x))))


def _halves(net: Net, x: ir.Value) -> ir.Value:
    first = _channels(x) // 2
    if not first:
        return net.op("Neg", x)
    a, b = net.b.op_n("Split", 2, x, net.ints(first, _channels(x) - first), axis=-1)
    return net.op("Concat", net.conv(b, 2), a, axis=3)


def _centred(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Sub", x, net.op("ReduceMean", x, net.ints(0, 1, 2), keepdims=0))


def _cropped(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Pad", x, net.ints(0, 1, 2, 0, 0, 1, 0, 0))
    return net.op("Slice", y, net.ints(1, 1), net.ints(100, 100), net.ints(1, 2))


def _back_and_forth(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Tanh", net.op("Transpose", x, perm=[0, 3, 1, 2]))
    return net.op("Transpose", net.op("Add", y, net.const(_channels(x), 1, 1)), perm=[0, 2, 3, 1])


def _turned(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Transpose", x, perm=[0, 2, 1, 3])


def _flat(net: Net, x: ir.Value) -> ir.Value:
    h, w, c = (_size(x, axis) for axis in (1, 2, 3))
    y = net.op("Mul", net.op("Reshape", x, net.ints(-1, h * w * c)), net.const(h * w * c))
    y = net.op("Reshape", net.dense(net.op("Relu", net.dense(y, 3)), 18), net.ints(-1, 3, 3, 2))
    return net.conv(y, 3)


def _rows(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("ReduceMax", x, net.ints(2), keepdims=0)
    return net.op("Unsqueeze", net.conv(y, 3), net.ints(1))


def _rigid(net: Net, x: ir.Value) -> ir.Value:
    return net.op("MatMul", x, net.const(1, _channels(x), 3))


def _grouped(net: Net, x: ir.Value) -> ir.Value:
    groups = 2 if _channels(x) % 2 == 0 else 1
    h, w, c = (_size(x, axis) for axis in (1, 2, 3))
    y = net.op("Reshape", x, net.ints(-1, h, w, groups, c // groups))
    y = net.op("Sub", y, net.op("ReduceMean", y, net.ints(1, 2, -1)))
    return net.op("Reshape", net.op("Mul", y, net.const(groups, 1)), net.ints(-1, h, w, c))


def _shuffled(net: Net, x: ir.Value) -> ir.Value:
    h, w = _size(x, 1), _size(x, 2)
    y = net.op("Reshape", net.conv(x, 6), net.ints(-1, h, w, 2, 3))
    return net.op("Reshape", net.op("Transpose", y, perm=[0, 1, 2, 4, 3]), net.ints(-1, h, w, 6))


def _as_sequence(net: Net, x: ir.Value) -> ir.Value:
    h, w, c = (_size(x, axis) for axis in (1, 2, 3))
    y = net.op("Relu", net.op("Reshape", x, net.ints(-1, h * w, c)))
    return net.op("Reshape", net.conv(y, 4), net.ints(-1, h, w, 4))


def _between(net: Net, x: ir.Value) -> ir.Value:
    return net.op("Where", net.op("Greater", x, net.const(_channels(x))), x, net.const(_size(x, 2), 1))


LAYERS: dict[str, Layer] = {
    "conv": lambda net, x: net.conv(x, 4),
    "depthwise": lambda net, x: net.conv(x, 2 * _channels(x), group=_channels(x)),
    "residual": lambda net, x: net.op("Add", x, net.conv(net.op("Relu", x), _channels(x))),
    "branches": lambda net, x: net.op("Concat", net.conv(x, 2, k=1), x, net.op("Abs", net.conv(x, 1)), axis=-1),
    "pool": lambda net, x: net.op("MaxPool", x, kernel_shape=[2, 2], pads=[1, 0, 0, 1]),
    "average": lambda net, x: net.op("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "affine": lambda net, x: net.op("Add", net.op("Mul", x, net.const(_channels(x))), net.const(1, 1, _channels(x))),
    "softmax": lambda net, x: net.op("Softmax", x, axis=-1),
    "pointwise": lambda net, x: net.dense(net.op("Relu", x), 3),
    "excite": _excite,
    "grouped": _grouped,
    "halves": _halves,
    "centred": _centred,
    "cropped": _cropped,
    "back and forth": _back_and_forth,
    "turned": _turned,
    "flat": _flat,
    "rows": _rows,
    "rigid": _rigid,
    "between": _between,
    "shuffled": _shuffled,
    "sequence": _as_sequence,
}

MOVED = frozenset({"turned", "shuffled"})
"""Layers that transpose, as a Transpose of the model's own."""

BOUND = frozenset({"rigid"})
"""Layers that want TensorFlow's order, and may cost a Transpose before and one after."""


def _network(names: list[str], seed: int) -> ir.Model:
    net = Net(seed)
    y = net.conv(net.input("x", 2, 5, 4, 3), 4)
    for name in names:
        y = LAYERS[name](net, y)
    y = net.conv(y, 3, k=1)
    return net.finish(y=net.op("ReduceMean", y, net.ints(1, 2), keepdims=0))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(st.sampled_from(sorted(LAYERS)), max_size=6),
    seed=st.integers(0, 1000),
    opset=st.sampled_from([13, 15, 17, 18, 22]),
    first=st.booleans(),
)
def test_random_networks_compute_the_same(names: list[str], seed: int, opset: int, first: bool) -> None:
    """With as many Transposes as there are changes of layout: two for each op that is bound, one at the image."""
    model = _network(names, seed)
    exported = export(model, opset=opset, input_layout="nchw" if first else "nhwc", given=feeds(model, seed=seed))
    exported.assert_same()
    bound = sum(name in BOUND for name in names)
    moved = sum(name in MOVED for name in names)
    assert exported.ops["Transpose"] <= (0 if first else 1) + 2 * bound + moved


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.lists(st.sampled_from(sorted(set(LAYERS) - {"softmax"})), max_size=4), seed=st.integers(0, 1000))
def test_a_planted_mistake_is_seen(names: list[str], seed: int) -> None:
    """A kernel that is a thousandth too large: the comparison above can fail."""
    model = _network(names, seed)
    last = max((name for name in model.graph.initializers if name.startswith("w")), key=lambda name: int(name[1:]))
    exported = export(model, given=feeds(model, seed=seed), spoil=f"w{int(last[1:]) - 1}")
    assert exported.errors["y"] > exported.limits["y"]
