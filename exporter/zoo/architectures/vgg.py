"""VGG (Simonyan and Zisserman, Very Deep Convolutional Networks, 2014), as slim names its layers."""

from __future__ import annotations

from functools import partial

from exporter.zoo.architecture import Architecture, Choices, Option, Preprocessing
from exporter.zoo.net import Net
from exporter.zoo.rows import chain
from exporter.zoo.style import Style

__all__ = ["VGG", "VGG_MEANS"]

VGG_MEANS = Preprocessing.from_means((123.68, 116.78, 103.94))

_DEPTHS = (64, 128, 256, 512, 512)

_TOP = ("fc6 4096 7x7 valid", "fc7 4096")


def _write(net: Net, choices: Choices, *, repeats: tuple[int, ...]) -> None:
    x = net.input
    for stage, (depth, count) in enumerate(zip(_DEPTHS, repeats, strict=True), start=1):
        layers = [f"conv{stage}/conv{stage}_{number} {depth} 3x3" for number in range(1, count + 1)]
        x = chain(net, x, [*layers, f"pool{stage} 2x2 /2 valid"])
    x = chain(net, x, _TOP)
    scores = net.conv("fc8", x, choices.integer("classes"), 1, activation=None)
    net.squeeze("logits", scores)


def _vgg(name: str, repeats: tuple[int, ...]) -> Architecture:
    return Architecture(
        name,
        f"slim's {name.replace('_', ' ').upper()}",
        name,
        partial(_write, repeats=repeats),
        Style(),
        options=(Option("classes", 1000, "the number of classes", "fc8/weights"),),
        preprocessing=VGG_MEANS,
    )


VGG = (_vgg("vgg_a", (1, 1, 2, 2, 2)), _vgg("vgg_16", (2, 2, 3, 3, 3)), _vgg("vgg_19", (2, 2, 4, 4, 4)))
