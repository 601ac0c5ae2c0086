"""AlexNet of one tower (Krizhevsky, One weird trick, 2014) and OverFeat (Sermanet and others, 2013), as in slim."""

from __future__ import annotations

from functools import partial

from exporter.zoo.architecture import Architecture, Choices, Option
from exporter.zoo.net import Net
from exporter.zoo.rows import Rows, chain
from exporter.zoo.style import Style

__all__ = ["ALEXNET_V2", "OVERFEAT"]

_ALEXNET: Rows = (
    "conv1 64 11x11 /4 valid",
    "pool1 3x3 /2 valid",
    "conv2 192 5x5",
    "pool2 3x3 /2 valid",
    "conv3 384 3x3",
    "conv4 384 3x3",
    "conv5 256 3x3",
    "pool5 3x3 /2 valid",
    "fc6 4096 5x5 valid",
    "fc7 4096",
)

_OVERFEAT: Rows = (
    "conv1 64 11x11 /4 valid",
    "pool1 2x2 /2 valid",
    "conv2 256 5x5 valid",
    "pool2 2x2 /2 valid",
    "conv3 512 3x3",
    "conv4 1024 3x3",
    "conv5 1024 3x3",
    "pool5 2x2 /2 valid",
    "fc6 3072 6x6 valid",
    "fc7 4096",
)


def _write(net: Net, choices: Choices, *, rows: Rows) -> None:
    x = chain(net, net.input, rows)
    net.squeeze("logits", net.conv("fc8", x, choices.integer("classes"), 1, activation=None))


_OPTIONS = (Option("classes", 1000, "the number of classes", "fc8/weights"),)

ALEXNET_V2 = Architecture(
    "alexnet_v2", "slim's AlexNet V2", "alexnet_v2", partial(_write, rows=_ALEXNET), Style(), options=_OPTIONS
)

OVERFEAT = Architecture(
    "overfeat", "slim's OverFeat", "overfeat", partial(_write, rows=_OVERFEAT), Style(), size=231, options=_OPTIONS
)
