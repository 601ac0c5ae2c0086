"""Networks for CIFAR-10: that of TensorFlow's image tutorial, and slim's variant of it."""

from __future__ import annotations

from functools import partial
from math import isqrt

from exporter.zoo.architecture import Architecture, Choices, Option, Preprocessing, Shapes
from exporter.zoo.head import predict
from exporter.zoo.net import Net
from exporter.zoo.program import Tensor

__all__ = ["CIFAR10", "CIFARNET"]

_CHANNELS = 64

_WHITENED = Preprocessing((), (), "RGB images, each minus its own mean and divided by its own standard deviation")


def _response(net: Net, name: str, x: Tensor) -> Tensor:
    """Local response normalisation over 9 channels."""
    return net.local_response(name, x, radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75)


def _size(shapes: Shapes, *, tensor: str, default: int) -> int:
    """The image's side: two pools of stride 2 leave a quarter of it, which the first dense layer flattens."""
    shape = shapes.get(tensor)
    return 4 * isqrt(shape[0] // _CHANNELS) if shape and shape[0] >= _CHANNELS else default


def _cifar10(net: Net, choices: Choices) -> None:
    x = net.conv("conv1", net.input, _CHANNELS, 5)
    x = _response(net, "norm1", net.pool("pool1", x, 3, stride=2))
    x = _response(net, "norm2", net.conv("conv2", x, _CHANNELS, 5))
    x = net.flatten("local3", net.pool("pool2", x, 3, stride=2))
    x = net.dense("local4", net.dense("local3", x, 384), 192)
    scores = net.dense("softmax_linear", x, choices.integer("classes"), activation=None)
    net.endpoint("logits", scores)


def _cifarnet(net: Net, choices: Choices) -> None:
    x = net.conv("conv1", net.input, _CHANNELS, 5)
    x = _response(net, "norm1", net.pool("pool1", x, 2, stride=2, padding="valid"))
    x = _response(net, "norm2", net.conv("conv2", x, _CHANNELS, 5))
    x = net.flatten("Flatten", net.pool("pool2", x, 2, stride=2, padding="valid"))
    x = net.dense("fc4", net.dense("fc3", x, 384), 192)
    predict(net, net.dense("logits", x, choices.integer("classes"), activation=None))


CIFAR10 = Architecture(
    "cifar10",
    "the CIFAR-10 network of TensorFlow's tutorial",
    "",
    _cifar10,
    size=partial(_size, tensor="local3/weights", default=24),
    options=(Option("classes", 10, "the number of classes", "softmax_linear/weights"),),
    preprocessing=_WHITENED,
)

CIFARNET = Architecture(
    "cifarnet",
    "slim's CifarNet",
    "CifarNet",
    _cifarnet,
    size=partial(_size, tensor="fc3/weights", default=32),
    options=(Option("classes", 10, "the number of classes", "logits/weights"),),
    preprocessing=_WHITENED,
)
