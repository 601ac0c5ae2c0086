"""Inception V4 (Szegedy and others, Inception-v4, Inception-ResNet, 2016), as slim names its layers."""

from __future__ import annotations

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, STYLE, classes
from exporter.zoo.head import predict
from exporter.zoo.net import Net
from exporter.zoo.rows import Rows, branches, chain

__all__ = ["INCEPTION_V4"]

_STEM = ("Conv2d_1a_3x3 32 /2 valid", "Conv2d_2a_3x3 32 valid", "Conv2d_2b_3x3 64")

_A: tuple[Rows, ...] = (
    ("Conv2d_0a_1x1 96",),
    ("Conv2d_0a_1x1 64", "Conv2d_0b_3x3 96"),
    ("Conv2d_0a_1x1 64", "Conv2d_0b_3x3 96", "Conv2d_0c_3x3 96"),
    ("AvgPool_0a_3x3", "Conv2d_0b_1x1 96"),
)

_B: tuple[Rows, ...] = (
    ("Conv2d_0a_1x1 384",),
    ("Conv2d_0a_1x1 192", "Conv2d_0b_1x7 224", "Conv2d_0c_7x1 256"),
    ("Conv2d_0a_1x1 192", "Conv2d_0b_7x1 192", "Conv2d_0c_1x7 224", "Conv2d_0d_7x1 224", "Conv2d_0e_1x7 256"),
    ("AvgPool_0a_3x3", "Conv2d_0b_1x1 128"),
)

_C: tuple[Rows, ...] = (
    ("Conv2d_0a_1x1 256",),
    ("Conv2d_0a_1x1 384", ("Conv2d_0b_1x3 256", "Conv2d_0c_3x1 256")),
    ("Conv2d_0a_1x1 384", "Conv2d_0b_3x1 448", "Conv2d_0c_1x3 512", ("Conv2d_0d_1x3 256", "Conv2d_0e_3x1 256")),
    ("AvgPool_0a_3x3", "Conv2d_0b_1x1 256"),
)

_MODULES: dict[str, tuple[Rows, ...]] = {
    "Mixed_3a": (("MaxPool_0a_3x3 /2 valid",), ("Conv2d_0a_3x3 96 /2 valid",)),
    "Mixed_4a": (
        ("Conv2d_0a_1x1 64", "Conv2d_1a_3x3 96 valid"),
        ("Conv2d_0a_1x1 64", "Conv2d_0b_1x7 64", "Conv2d_0c_7x1 64", "Conv2d_1a_3x3 96 valid"),
    ),
    "Mixed_5a": (("Conv2d_1a_3x3 192 /2 valid",), ("MaxPool_1a_3x3 /2 valid",)),
    **{f"Mixed_5{letter}": _A for letter in "bcde"},
    "Mixed_6a": (
        ("Conv2d_1a_3x3 384 /2 valid",),
        ("Conv2d_0a_1x1 192", "Conv2d_0b_3x3 224", "Conv2d_1a_3x3 256 /2 valid"),
        ("MaxPool_1a_3x3 /2 valid",),
    ),
    **{f"Mixed_6{letter}": _B for letter in "bcdefgh"},
    "Mixed_7a": (
        ("Conv2d_0a_1x1 192", "Conv2d_1a_3x3 192 /2 valid"),
        ("Conv2d_0a_1x1 256", "Conv2d_0b_1x7 256", "Conv2d_0c_7x1 320", "Conv2d_1a_3x3 320 /2 valid"),
        ("MaxPool_1a_3x3 /2 valid",),
    ),
    **{f"Mixed_7{letter}": _C for letter in "bcd"},
}


def _write(net: Net, choices: Choices) -> None:
    x = chain(net, net.input, _STEM)
    for name, table in _MODULES.items():
        with net.scope(name):
            x = branches(net, x, table)
        net.endpoint(name, x)
    pooled = net.endpoint("global_pool", net.mean("Logits/AvgPool_1a", x))
    features = net.squeeze("Logits/PreLogitsFlatten", pooled)
    predict(net, net.dense("Logits/Logits", features, choices.integer("classes"), activation=None, norm=None))


INCEPTION_V4 = Architecture(
    "inception_v4",
    "slim's Inception V4",
    "InceptionV4",
    _write,
    STYLE,
    size=299,
    options=(classes("Logits/Logits/weights"),),
    preprocessing=INCEPTION_RANGE,
    aside=("AuxLogits",),
)
