"""Inception-ResNet V2 (Szegedy and others, Inception-v4, Inception-ResNet, 2016), as slim names its layers."""

from __future__ import annotations

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, STYLE, classes
from exporter.zoo.head import predict
from exporter.zoo.net import Net
from exporter.zoo.program import Tensor
from exporter.zoo.rows import Rows, branches, chain

__all__ = ["INCEPTION_RESNET_V2"]

_STEM = (
    "Conv2d_1a_3x3 32 /2 valid",
    "Conv2d_2a_3x3 32 valid",
    "Conv2d_2b_3x3 64",
    "MaxPool_3a_3x3 /2 valid",
    "Conv2d_3b_1x1 80 valid",
    "Conv2d_4a_3x3 192 valid",
    "MaxPool_5a_3x3 /2 valid",
)

_MIXED_5B: tuple[Rows, ...] = (
    ("Conv2d_1x1 96",),
    ("Conv2d_0a_1x1 48", "Conv2d_0b_5x5 64"),
    ("Conv2d_0a_1x1 64", "Conv2d_0b_3x3 96", "Conv2d_0c_3x3 96"),
    ("AvgPool_0a_3x3", "Conv2d_0b_1x1 64"),
)

_BLOCK35: tuple[Rows, ...] = (
    ("Conv2d_1x1 32",),
    ("Conv2d_0a_1x1 32", "Conv2d_0b_3x3 32"),
    ("Conv2d_0a_1x1 32", "Conv2d_0b_3x3 48", "Conv2d_0c_3x3 64"),
)

_MIXED_6A: tuple[Rows, ...] = (
    ("Conv2d_1a_3x3 384 /2 valid",),
    ("Conv2d_0a_1x1 256", "Conv2d_0b_3x3 256", "Conv2d_1a_3x3 384 /2 valid"),
    ("MaxPool_1a_3x3 /2 valid",),
)

_BLOCK17: tuple[Rows, ...] = (
    ("Conv2d_1x1 192",),
    ("Conv2d_0a_1x1 128", "Conv2d_0b_1x7 160", "Conv2d_0c_7x1 192"),
)

_MIXED_7A: tuple[Rows, ...] = (
    ("Conv2d_0a_1x1 256", "Conv2d_1a_3x3 384 /2 valid"),
    ("Conv2d_0a_1x1 256", "Conv2d_1a_3x3 288 /2 valid"),
    ("Conv2d_0a_1x1 256", "Conv2d_0b_3x3 288", "Conv2d_1a_3x3 320 /2 valid"),
    ("MaxPool_1a_3x3 /2 valid",),
)

_BLOCK8: tuple[Rows, ...] = (
    ("Conv2d_1x1 192",),
    ("Conv2d_0a_1x1 192", "Conv2d_0b_1x3 224", "Conv2d_0c_3x1 256"),
)


def _residual(net: Net, x: Tensor, table: tuple[Rows, ...], scale: float, *, last: bool = False) -> Tensor:
    """x + scale * up(branches), then ReLU except at the very last."""
    mixed = branches(net, x, table)
    up = net.conv("Conv2d_1x1", mixed, x.channels, 1, activation=None, norm=None)
    return net.activate("relu", net.add(x, net.affine(up, scale)), None if last else "relu")


def _repeat(net: Net, x: Tensor, scope: str, block: str, count: int, table: tuple[Rows, ...], scale: float) -> Tensor:
    with net.scope(scope):
        for number in range(1, count + 1):
            with net.scope(f"{block}_{number}"):
                x = _residual(net, x, table, scale)
    return net.endpoint(scope, x)


def _mixed(net: Net, x: Tensor, name: str, table: tuple[Rows, ...]) -> Tensor:
    with net.scope(name):
        x = branches(net, x, table)
    return net.endpoint(name, x)


def _write(net: Net, choices: Choices) -> None:
    x = _mixed(net, chain(net, net.input, _STEM), "Mixed_5b", _MIXED_5B)
    x = _repeat(net, x, "Repeat", "block35", 10, _BLOCK35, 0.17)
    x = _mixed(net, x, "Mixed_6a", _MIXED_6A)
    x = _repeat(net, x, "Repeat_1", "block17", 20, _BLOCK17, 0.10)
    x = _mixed(net, x, "Mixed_7a", _MIXED_7A)
    x = _repeat(net, x, "Repeat_2", "block8", 9, _BLOCK8, 0.20)
    with net.scope("Block8"):
        x = _residual(net, x, _BLOCK8, 1.0, last=True)
    x = net.conv("Conv2d_7b_1x1", x, 1536, 1)
    pooled = net.endpoint("global_pool", net.mean("Logits/AvgPool_1a_8x8", x))
    features = net.squeeze("Logits/Flatten", pooled)
    predict(net, net.dense("Logits/Logits", features, choices.integer("classes"), activation=None, norm=None))


INCEPTION_RESNET_V2 = Architecture(
    "inception_resnet_v2",
    "slim's Inception-ResNet V2",
    "InceptionResnetV2",
    _write,
    STYLE,
    size=299,
    options=(classes("Logits/Logits/weights"),),
    preprocessing=INCEPTION_RANGE,
    aside=("AuxLogits",),
)
