"""DCGAN (Radford and others, 2015): the generator and discriminator of DCGAN-tensorflow, without labels."""

from __future__ import annotations

from math import isqrt

from exporter.zoo.architecture import Architecture, Choices, Option, Shapes
from exporter.zoo.architectures.inception import INCEPTION_RANGE
from exporter.zoo.net import Net
from exporter.zoo.program import Tensor
from exporter.zoo.style import Norm, Style

__all__ = ["DCGAN_DISCRIMINATOR", "DCGAN_GENERATOR"]

_STYLE = Style(kernel="w", norm=None)
_NORM = Norm(epsilon=1e-5, scale=True)
_DENSE = {"kernel": "Matrix", "bias": "bias", "activation": None}
_KERNEL = 5
_OLD_TOP, _TOP = "d_h3_lin", "d_h4_lin"


def _rectified(net: Net, name: str, x: Tensor) -> Tensor:
    return net.norm(name, x, _NORM, "relu")


def _generator(net: Net, choices: Choices) -> None:
    depth = choices.channels("g_bn0/beta", 512)
    units = choices.channels("g_h0_lin/Matrix", depth * 16)
    side = isqrt(units // depth)
    x = net.dense("g_h0_lin", net.input, depth * side * side, **_DENSE)
    x = _rectified(net, "g_bn0", net.reshape("g_h0", x, (side, side, depth)))
    for number in (1, 2, 3):
        x = net.conv_transpose(f"g_h{number}", x, depth >> number, _KERNEL, stride=2, activation=None)
        x = _rectified(net, f"g_bn{number}", x)
    image = net.conv_transpose("g_h4", x, choices.integer("image_channels"), _KERNEL, stride=2, activation="tanh")
    net.endpoint("image", image)


def _discriminator(net: Net, choices: Choices) -> None:
    depth = choices.channels("d_h0_conv/w", 64)
    x = net.conv("d_h0_conv", net.input, depth, _KERNEL, stride=2, activation="leaky_relu")
    for number in (1, 2, 3):
        x = net.conv(f"d_h{number}_conv", x, depth << number, _KERNEL, stride=2, activation=None)
        x = net.norm(f"d_bn{number}", x, _NORM, "leaky_relu")
    top = _OLD_TOP if choices.has(f"{_OLD_TOP}/Matrix") else _TOP
    logits = net.endpoint("logits", net.dense(top, net.flatten("flat", x), 1, **_DENSE))
    net.endpoint("predictions", net.activate("predictions", logits, "sigmoid"))


def _image_size(shapes: Shapes) -> int:
    """The side of the image: four strides of 2 leave a sixteenth of it, which the last layer flattens."""
    top = shapes.get(f"{_TOP}/Matrix") or shapes.get(f"{_OLD_TOP}/Matrix")
    last = shapes.get("d_bn3/beta")
    return 16 * max(isqrt(top[0] // last[0]), 1) if top and last else 64


DCGAN_GENERATOR = Architecture(
    "dcgan_generator",
    "the generator of DCGAN-tensorflow",
    "generator",
    _generator,
    _STYLE,
    size=None,
    channels="noise",
    options=(
        Option("noise", 100, "the length of the noise vector", "g_h0_lin/Matrix", axis=0),
        Option("image_channels", 3, "the channels of the image", "g_h4/biases"),
    ),
    outputs=("image",),
)

DCGAN_DISCRIMINATOR = Architecture(
    "dcgan_discriminator",
    "the discriminator of DCGAN-tensorflow",
    "discriminator",
    _discriminator,
    _STYLE,
    size=_image_size,
    channels="image_channels",
    options=(Option("image_channels", 3, "the channels of the image", "d_h0_conv/w", axis=-2),),
    preprocessing=INCEPTION_RANGE,
)
