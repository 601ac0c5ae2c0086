"""MobileNet V3, large and small (Howard and others, 2019), as slim names their layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, classes, multiplier
from exporter.zoo.architectures.mobilenet import bottleneck, divisible
from exporter.zoo.head import predict
from exporter.zoo.net import Net
from exporter.zoo.strides import OUTPUT_STRIDE, Strides
from exporter.zoo.style import Activation, Norm, Style

__all__ = ["MOBILENETS_V3"]


@dataclass(frozen=True, slots=True)
class _Block:
    """A row of the paper's table: kernel, expansion, channels, squeeze and excite, activation, stride."""

    kernel: int
    expansion: float
    channels: int
    squeeze: bool
    activation: Activation
    stride: int


_R: Activation = "relu"
_H: Activation = "hard_swish"

_LARGE = (
    _Block(3, 1, 16, False, _R, 1),
    _Block(3, 4, 24, False, _R, 2),
    _Block(3, 3, 24, False, _R, 1),
    _Block(5, 3, 40, True, _R, 2),
    _Block(5, 3, 40, True, _R, 1),
    _Block(5, 3, 40, True, _R, 1),
    _Block(3, 6, 80, False, _H, 2),
    _Block(3, 2.5, 80, False, _H, 1),
    _Block(3, 184 / 80, 80, False, _H, 1),
    _Block(3, 184 / 80, 80, False, _H, 1),
    _Block(3, 6, 112, True, _H, 1),
    _Block(3, 6, 112, True, _H, 1),
    _Block(5, 6, 160, True, _H, 2),
    _Block(5, 6, 160, True, _H, 1),
    _Block(5, 6, 160, True, _H, 1),
)

_SMALL = (
    _Block(3, 1, 16, True, _R, 2),
    _Block(3, 72 / 16, 24, False, _R, 2),
    _Block(3, 88 / 24, 24, False, _R, 1),
    _Block(5, 4, 40, True, _H, 2),
    _Block(5, 6, 40, True, _H, 1),
    _Block(5, 6, 40, True, _H, 1),
    _Block(5, 3, 48, True, _H, 1),
    _Block(5, 3, 48, True, _H, 1),
    _Block(5, 6, 96, True, _H, 2),
    _Block(5, 6, 96, True, _H, 1),
    _Block(5, 6, 96, True, _H, 1),
)


def _write(net: Net, choices: Choices, *, blocks: tuple[_Block, ...], wide: int, features: int) -> None:
    strides = Strides(choices, done=2)
    width = choices.real("multiplier")
    x = net.conv("Conv", net.input, divisible(16 * width), 3, stride=2)
    for number, block in enumerate(blocks):
        name = f"expanded_conv_{number}" if number else "expanded_conv"
        stride, rate = strides.next(block.stride)
        with net.scope(name):
            x = bottleneck(
                net,
                x,
                inner=divisible(x.channels * block.expansion),
                channels=divisible(block.channels * width),
                kernel=block.kernel,
                stride=stride,
                rate=rate,
                squeeze=block.squeeze,
                activation=block.activation,
            )
        net.endpoint(name, x)
    x = net.conv("Conv_1", x, divisible(wide * width), 1)
    pooled = net.endpoint("global_pool", net.mean("AvgPool2D", x))
    # Published narrow networks keep the last layer at its full width.
    last = choices.channels("Conv_2/weights", divisible(features * width))
    x = net.conv("Conv_2", pooled, last, 1, norm=None)
    scores = net.conv("Logits/Conv2d_1c_1x1", x, choices.integer("classes"), 1, activation=None, norm=None)
    predict(net, net.squeeze("logits", scores))


def _mobilenet(size: str, blocks: tuple[_Block, ...], wide: int, features: int) -> Architecture:
    return Architecture(
        f"mobilenet_v3_{size}",
        f"slim's MobileNet V3 {size}",
        "MobilenetV3",
        partial(_write, blocks=blocks, wide=wide, features=features),
        Style(activation="hard_swish", norm=Norm(epsilon=1e-3, scale=True)),
        options=(
            classes("Logits/Conv2d_1c_1x1/weights"),
            multiplier(f"expanded_conv_{len(blocks) - 1}/project/weights", blocks[-1].channels),
            OUTPUT_STRIDE,
        ),
        preprocessing=INCEPTION_RANGE,
    )


MOBILENETS_V3 = (_mobilenet("large", _LARGE, 960, 1280), _mobilenet("small", _SMALL, 576, 1024))
