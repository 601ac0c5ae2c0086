"""Well-known networks, folded, as IR models with random weights and biases; features come out, not a flat softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir.builder import Builder

__all__ = ["NETS", "build"]

Pair = tuple[int, int]


class Net:
    """Appends layers to a model; every weight comes from one seeded generator, every bias is drawn too."""

    def __init__(self, name: str, size: int, channels: int = 3) -> None:
        self.builder = Builder(name)
        self.random = np.random.default_rng(7)
        self.number = 0
        self.x = self.builder.input("x", ir.DataType.FLOAT, ("N", size, size, channels))

    def channels(self, x: ir.Value) -> int:
        """The size of the last axis."""
        shape = self.builder.shape(x)
        assert shape is not None
        return int(str(shape[-1]))

    def _weight(self, shape: Sequence[int], scale: float) -> ir.Value:
        array = (self.random.standard_normal(shape) * scale).astype(np.float32)
        self.number += 1
        return self.builder.weight(f"w{self.number}", ir.DataType.FLOAT, shape, lambda: array)

    def _same(self, x: ir.Value, kernel: Pair, stride: int) -> list[int]:
        shape = self.builder.shape(x)
        assert shape is not None
        sizes = [int(str(size)) for size in shape[1:3]]
        totals = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(sizes, kernel, strict=True)]
        return [*(t // 2 for t in totals), *(t - t // 2 for t in totals)]

    def conv(
        self,
        x: ir.Value,
        filters: int,
        kernel: int | Pair = 1,
        stride: int = 1,
        *,
        same: bool = True,
        depthwise: bool = False,
        activation: str | None = "Relu",
        gain: float = 2.0,
    ) -> ir.Value:
        """A convolution with bias and activation (`Relu`, `Relu6`, `Swish` or none)."""
        taps = (kernel, kernel) if isinstance(kernel, int) else kernel
        channels = self.channels(x)
        group = channels if depthwise else 1
        filters = channels if depthwise else filters
        fan_in = taps[0] * taps[1] * channels // group
        w = self._weight((*taps, channels // group, filters), (gain / fan_in) ** 0.5)
        pads = self._same(x, taps, stride) if same else [0] * 4
        y = self.builder.op("Conv", x, w, self._weight((filters,), 0.1), strides=[stride] * 2, pads=pads, group=group)
        return self.act(y, activation)

    def act(self, x: ir.Value, activation: str | None) -> ir.Value:
        """The activation of that name."""
        if activation == "Relu6":
            return self.builder.op("Clip", x, self._scalar(0.0), self._scalar(6.0))
        if activation == "Swish":
            return self.builder.op("Mul", x, self.builder.op("Sigmoid", x))
        return x if activation is None else self.builder.op(activation, x)

    def _scalar(self, value: float) -> ir.Value:
        return self.builder.constant(np.float32(value), f"number_{value}")

    def pool(self, op: str, x: ir.Value, kernel: int, stride: int, *, same: bool = False) -> ir.Value:
        """A MaxPool or AveragePool."""
        pads = self._same(x, (kernel, kernel), stride) if same else [0] * 4
        return self.builder.op(op, x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def mean(self, x: ir.Value, *, keep: bool = False) -> ir.Value:
        """The mean over the spatial axes."""
        return self.builder.op(
            "ReduceMean", x, self.builder.constant(np.array([1, 2], np.int64), "axes"), keepdims=int(keep)
        )

    def dense(self, x: ir.Value, units: int, activation: str | None = None) -> ir.Value:
        """A dense layer."""
        w = self._weight((self.channels(x), units), (2 / self.channels(x)) ** 0.5)
        return self.act(self.builder.op("Dense", x, w, self._weight((units,), 0.1)), activation)

    def concat(self, *xs: ir.Value) -> ir.Value:
        """Along the channels."""
        return self.builder.op("Concat", *xs, axis=-1)

    def add(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a + b."""
        return self.builder.op("Add", a, b)

    def affine(self, x: ir.Value, activation: str | None = "Relu") -> ir.Value:
        """A batch norm that nothing can absorb: x * s + t, and an activation."""
        size = self.channels(x)
        scaled = self.builder.op("Mul", x, self._weight((size,), 1.0))
        return self.act(self.builder.op("Add", scaled, self._weight((size,), 0.1)), activation)

    def finish(self, y: ir.Value) -> ir.Model:
        """The model with this output."""
        return self.builder.finish({"features": y})


def resnet50() -> ir.Model:
    """He et al. 2015, stride on the first 1x1 as in Keras."""
    net = Net("resnet50", 224)
    x = net.pool("MaxPool", net.conv(net.x, 64, 7, 2), 3, 2, same=True)
    for filters, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            step = stride if block == 0 else 1
            shortcut = net.conv(x, 4 * filters, 1, step, activation=None, gain=1.0) if block == 0 else x
            y = net.conv(net.conv(x, filters, 1, step), filters, 3)
            x = net.act(net.add(shortcut, net.conv(y, 4 * filters, activation=None, gain=0.5)), "Relu")
    return net.finish(net.mean(x))


def vgg16() -> ir.Model:
    """Simonyan and Zisserman 2014, with a global average instead of the 100 million dense weights."""
    net = Net("vgg16", 224)
    x = net.x
    for filters, layers in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(layers):
            x = net.conv(x, filters, 3)
        x = net.pool("MaxPool", x, 2, 2)
    return net.finish(net.dense(net.mean(x), 1000))


def mobilenet_v2() -> ir.Model:
    """Sandler et al. 2018."""
    net = Net("mobilenet_v2", 224)
    x = net.conv(net.x, 32, 3, 2, activation="Relu6")
    for expand, filters, blocks, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ):  # fmt: skip
        for block in range(blocks):
            y = net.conv(x, expand * net.channels(x), activation="Relu6") if expand > 1 else x
            y = net.conv(y, 0, 3, stride if block == 0 else 1, depthwise=True, activation="Relu6")
            y = net.conv(y, filters, activation=None, gain=1.0)
            x = net.add(x, y) if block else y
    return net.finish(net.dense(net.mean(net.conv(x, 1280, activation="Relu6")), 1000))


def inception_v3() -> ir.Model:
    """Szegedy et al. 2015."""
    net = Net("inception_v3", 299)
    conv = net.conv
    x = conv(conv(conv(net.x, 32, 3, 2, same=False), 32, 3, same=False), 64, 3)
    x = net.pool("MaxPool", x, 3, 2)
    x = net.pool("MaxPool", conv(conv(x, 80, same=False), 192, 3, same=False), 3, 2)

    def average(x: ir.Value, filters: int) -> ir.Value:
        return conv(net.pool("AveragePool", x, 3, 1, same=True), filters)

    for pooled in (32, 64, 64):
        tower = conv(conv(conv(x, 64), 96, 3), 96, 3)
        x = net.concat(conv(x, 64), conv(conv(x, 48), 64, 5), tower, average(x, pooled))
    tower = conv(conv(conv(x, 64), 96, 3), 96, 3, 2, same=False)
    x = net.concat(conv(x, 384, 3, 2, same=False), tower, net.pool("MaxPool", x, 3, 2))
    for f in (128, 160, 160, 192):
        short = conv(conv(conv(x, f), f, (1, 7)), 192, (7, 1))
        long = conv(conv(conv(conv(x, f), f, (7, 1)), f, (1, 7)), f, (7, 1))
        x = net.concat(conv(x, 192), short, conv(long, 192, (1, 7)), average(x, 192))
    left = conv(conv(x, 192), 320, 3, 2, same=False)
    right = conv(conv(conv(conv(x, 192), 192, (1, 7)), 192, (7, 1)), 192, 3, 2, same=False)
    x = net.concat(left, right, net.pool("MaxPool", x, 3, 2))
    for _ in range(2):
        a, b = conv(x, 384), conv(conv(x, 448), 384, 3)
        branches = [conv(a, 384, (1, 3)), conv(a, 384, (3, 1)), conv(b, 384, (1, 3)), conv(b, 384, (3, 1))]
        x = net.concat(conv(x, 320), *branches, average(x, 192))
    return net.finish(net.mean(x))


def densenet121() -> ir.Model:
    """Huang et al. 2016; the batch norms after concatenations can't be absorbed and stay as multiply and add."""
    net = Net("densenet121", 224)
    x = net.pool("MaxPool", net.conv(net.x, 64, 7, 2), 3, 2, same=True)
    for stage, layers in enumerate((6, 12, 24, 16)):
        if stage:
            x = net.pool("AveragePool", net.conv(net.affine(x), net.channels(x) // 2, activation=None), 2, 2)
        for _ in range(layers):
            x = net.concat(x, net.conv(net.conv(net.affine(x), 128), 32, 3, activation=None))
    return net.finish(net.mean(net.affine(x)))


def efficientnet_b0() -> ir.Model:
    """Tan and Le 2019."""
    net = Net("efficientnet_b0", 224)
    x = net.conv(net.x, 32, 3, 2, activation="Swish")
    for expand, filters, blocks, kernel, stride in (
        (1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2), (6, 112, 3, 5, 1), (6, 192, 4, 5, 2),
        (6, 320, 1, 3, 1),
    ):  # fmt: skip
        for block in range(blocks):
            entry = net.channels(x)
            y = net.conv(x, expand * entry, activation="Swish") if expand > 1 else x
            y = net.conv(y, 0, kernel, stride if block == 0 else 1, depthwise=True, activation="Swish")
            gate = net.conv(net.mean(y, keep=True), max(1, entry // 4), activation="Swish")
            y = net.builder.op("Mul", y, net.conv(gate, net.channels(y), activation="Sigmoid"))
            y = net.conv(y, filters, activation=None, gain=1.0)
            x = net.add(x, y) if block else y
    return net.finish(net.mean(net.conv(x, 1280, activation="Swish")))


def two_layers() -> ir.Model:
    """A convolution and a dense layer on a 28 x 28 image."""
    net = Net("two_layers", 28, 1)
    return net.finish(net.dense(net.mean(net.conv(net.x, 32, 3)), 10))


def one_neuron() -> ir.Model:
    """Two dense layers of one neuron each, of which nothing but the cost of a call is left."""
    net = Net("one_neuron", 1, 1)
    return net.finish(net.dense(net.dense(net.x, 1, "Relu"), 1))


def mlp() -> ir.Model:
    """784 - 256 - 10."""
    net = Net("mlp", 28, 1)
    flat = net.builder.op("Reshape", net.x, net.builder.constant(np.array([-1, 784], np.int64), "flat"))
    return net.finish(net.dense(net.dense(flat, 256, "Relu"), 10))


NETS: dict[str, Callable[[], ir.Model]] = {
    "resnet50": resnet50,
    "inception_v3": inception_v3,
    "vgg16": vgg16,
    "mobilenet_v2": mobilenet_v2,
    "densenet121": densenet121,
    "efficientnet_b0": efficientnet_b0,
    "two_layers": two_layers,
    "one_neuron": one_neuron,
    "mlp": mlp,
}


def build(name: str) -> tuple[ir.Model, Callable[[int], np.ndarray[Any, Any]]]:
    """A network and what makes a batch for it."""
    model = NETS[name]()
    dims = model.graph.inputs[0].shape
    assert dims is not None
    shape = [int(str(size)) for size in list(dims)[1:]]
    return model, lambda batch: np.random.default_rng(1).standard_normal((batch, *shape)).astype(np.float32)
