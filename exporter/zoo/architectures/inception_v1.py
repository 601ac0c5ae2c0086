"""Inception V1 (Szegedy and others, Going Deeper with Convolutions, 2014) with batch norm, as slim names its layers."""

from __future__ import annotations

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, STYLE, classes
from exporter.zoo.head import classify
from exporter.zoo.net import Net
from exporter.zoo.rows import Rows, branches, chain

__all__ = ["INCEPTION_V1"]

_STEM = (
    "Conv2d_1a_7x7 64 /2",
    "MaxPool_2a_3x3 /2",
    "Conv2d_2b_1x1 64",
    "Conv2d_2c_3x3 192",
    "MaxPool_3a_3x3 /2",
)

_MODULES: dict[str, tuple[int, int, int, int, int, int] | str] = {
    # 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, pooled
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool_4a_3x3": "MaxPool_4a_3x3 /2",
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool_5a_2x2": "MaxPool_5a_2x2 /2",
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}

_ODD_NAME = "Mixed_5b"
"""In this module slim calls the second convolution of the third branch Conv2d_0a_3x3."""


def _module(name: str, depths: tuple[int, int, int, int, int, int]) -> tuple[Rows, ...]:
    a, b, c, d, e, f = depths
    last = "Conv2d_0a_3x3" if name == _ODD_NAME else "Conv2d_0b_3x3"
    return (
        (f"Conv2d_0a_1x1 {a}",),
        (f"Conv2d_0a_1x1 {b}", f"Conv2d_0b_3x3 {c}"),
        (f"Conv2d_0a_1x1 {d}", f"{last} {e}"),
        ("MaxPool_0a_3x3", f"Conv2d_0b_1x1 {f}"),
    )


def _write(net: Net, choices: Choices) -> None:
    x = chain(net, net.input, _STEM)
    for name, row in _MODULES.items():
        if isinstance(row, str):
            x = chain(net, x, [row])
            continue
        with net.scope(name):
            x = branches(net, x, _module(name, row))
        net.endpoint(name, x)
    classify(net, x, choices.integer("classes"), layer="Conv2d_0c_1x1")


INCEPTION_V1 = Architecture(
    "inception_v1",
    "slim's Inception V1",
    "InceptionV1",
    _write,
    STYLE,
    options=(classes("Logits/Conv2d_0c_1x1/weights"),),
    preprocessing=INCEPTION_RANGE,
    aside=("AuxLogits",),
)
