"""MobileNet V1 (Howard and others, 2017) of any width, as slim names its layers."""

from __future__ import annotations

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, classes, multiplier, scaled
from exporter.zoo.head import classify
from exporter.zoo.net import Net
from exporter.zoo.strides import OUTPUT_STRIDE, Strides
from exporter.zoo.style import Norm, Style

__all__ = ["MOBILENET_STYLE", "MOBILENET_V1"]

MOBILENET_STYLE = Style(activation="relu6", norm=Norm(epsilon=1e-3, scale=True))

_LAYERS = (
    # stride of the depthwise convolution, channels of the pointwise one
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
)


def _write(net: Net, choices: Choices) -> None:
    depth = scaled(choices.real("multiplier"), least=8)
    strides = Strides(choices, done=2)
    x = net.conv("Conv2d_0", net.input, depth(32), 3, stride=2)
    for number, (written, channels) in enumerate(_LAYERS, start=1):
        stride, rate = strides.next(written)
        x = net.depthwise(f"Conv2d_{number}_depthwise", x, 3, stride=stride, rate=rate)
        x = net.conv(f"Conv2d_{number}_pointwise", x, depth(channels), 1)
    classify(net, x, choices.integer("classes"))


MOBILENET_V1 = Architecture(
    "mobilenet_v1",
    "slim's MobileNet V1",
    "MobilenetV1",
    _write,
    MOBILENET_STYLE,
    options=(classes("Logits/Conv2d_1c_1x1/weights"), multiplier("Conv2d_13_pointwise/weights", 1024), OUTPUT_STRIDE),
    preprocessing=INCEPTION_RANGE,
)
