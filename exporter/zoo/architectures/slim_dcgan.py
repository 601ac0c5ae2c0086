"""DCGAN (Radford and others, 2015): the generator and discriminator of slim and TF-GAN."""

from __future__ import annotations

from itertools import count

from exporter.zoo.architecture import Architecture, Choices, Option, Shapes
from exporter.zoo.architectures.inception import INCEPTION_RANGE
from exporter.zoo.net import Net
from exporter.zoo.style import Norm, Style

__all__ = ["SLIM_DCGAN_DISCRIMINATOR", "SLIM_DCGAN_GENERATOR"]

_STYLE = Style(norm=Norm(epsilon=1e-3, scale=False))
_PUBLISHED_LAYERS = 5
_KERNEL = 4


def _layers(shapes: Shapes, name: str, default: int) -> int:
    """How many layers called name1, name2, ... are stored."""
    found = next(number for number in count() if f"{name}{number + 1}/weights" not in shapes)
    return found or default


def _generator(net: Net, choices: Choices) -> None:
    layers = _layers(choices.shapes, "deconv", _PUBLISHED_LAYERS - 1)
    weights = choices.shapes.get(f"deconv{layers}/weights")
    depth = weights[2] if weights and len(weights) == 4 else 64
    x = net.reshape("ExpandDims", net.input, (1, 1, net.input.channels))
    x = net.conv_transpose("deconv1", x, depth << (layers - 1), _KERNEL, stride=1, padding="valid")
    for number in range(2, layers):
        x = net.conv_transpose(f"deconv{number}", x, depth << (layers - number), _KERNEL, stride=2)
    x = net.conv_transpose(f"deconv{layers}", x, depth, _KERNEL, stride=2, norm=None, activation=None)
    net.conv("logits", x, choices.integer("image_channels"), 1, norm=None, activation=None)


def _discriminator(net: Net, choices: Choices) -> None:
    depth = choices.channels("conv1/weights", 64)
    x = net.input
    for number in range(_layers(choices.shapes, "conv", _PUBLISHED_LAYERS)):
        changes = {} if number else {"norm": None}
        with net.defaults(activation="leaky_relu", **changes):
            x = net.conv(f"conv{number + 1}", x, depth << number, _KERNEL, stride=2)
    scores = net.conv("Conv", x, 1, 1, norm=None, activation=None)
    net.squeeze("logits", scores)


def _image_size(shapes: Shapes) -> int:
    """Each layer halves the image, down to one position."""
    return int(2 ** _layers(shapes, "conv", _PUBLISHED_LAYERS))


SLIM_DCGAN_GENERATOR = Architecture(
    "slim_dcgan_generator",
    "the DCGAN generator of slim",
    "Generator",
    _generator,
    _STYLE,
    size=None,
    channels="noise",
    options=(
        Option("noise", 64, "the length of the noise vector", "deconv1/weights"),
        Option("image_channels", 3, "the channels of the image", "logits/weights"),
    ),
    outputs=("logits",),
)

SLIM_DCGAN_DISCRIMINATOR = Architecture(
    "slim_dcgan_discriminator",
    "the DCGAN discriminator of slim",
    "Discriminator",
    _discriminator,
    _STYLE,
    size=_image_size,
    channels="image_channels",
    options=(Option("image_channels", 3, "the channels of the image", "conv1/weights", axis=-2),),
    preprocessing=INCEPTION_RANGE,
)
