"""MobileNet V2 (Sandler and others, 2018) of any width, as slim names its layers."""

from __future__ import annotations

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, classes, multiplier
from exporter.zoo.architectures.mobilenet import bottleneck, divisible
from exporter.zoo.architectures.mobilenet_v1 import MOBILENET_STYLE
from exporter.zoo.head import classify
from exporter.zoo.net import Net
from exporter.zoo.strides import OUTPUT_STRIDE, Strides

__all__ = ["MOBILENET_V2"]

_STAGES = (
    # expansion, channels, count, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

_LAST = "Conv_1/weights"


def _write(net: Net, choices: Choices) -> None:
    strides = Strides(choices, done=2)
    width = choices.real("multiplier")
    x = net.conv("Conv", net.input, divisible(32 * width), 3, stride=2)
    blocks = [(t, c, s if i == 0 else 1) for t, c, n, s in _STAGES for i in range(n)]
    for number, (expansion, channels, written) in enumerate(blocks):
        stride, rate = strides.next(written)
        inner = x.channels if expansion == 1 else divisible(x.channels * expansion)
        name = f"expanded_conv_{number}" if number else "expanded_conv"
        with net.scope(name):
            x = bottleneck(net, x, inner=inner, channels=divisible(channels * width), stride=stride, rate=rate)
        net.endpoint(name, x)
    # Published narrow networks keep the last layer at its full width.
    x = net.conv("Conv_1", x, choices.channels(_LAST, divisible(1280 * max(width, 1.0))), 1)
    classify(net, x, choices.integer("classes"))


MOBILENET_V2 = Architecture(
    "mobilenet_v2",
    "slim's MobileNet V2",
    "MobilenetV2",
    _write,
    MOBILENET_STYLE,
    options=(
        classes("Logits/Conv2d_1c_1x1/weights"),
        multiplier("expanded_conv_16/project/weights", 320),
        OUTPUT_STRIDE,
    ),
    preprocessing=INCEPTION_RANGE,
)
