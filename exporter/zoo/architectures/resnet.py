"""ResNets with bottlenecks, V1 and V2 (He and others, 2015 and 2016), as slim names their layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from exporter.zoo.architecture import Architecture, Choices, Option
from exporter.zoo.architectures.inception import INCEPTION_RANGE
from exporter.zoo.architectures.vgg import VGG_MEANS
from exporter.zoo.head import predict
from exporter.zoo.net import Net
from exporter.zoo.program import Tensor
from exporter.zoo.strides import OUTPUT_STRIDE, Strides
from exporter.zoo.style import Norm, Style

__all__ = ["RESNETS"]

_NORM = Norm(epsilon=1e-5, scale=True)
_STYLE = Style(norm=_NORM)

_UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}

Unit = Callable[[Net, Tensor, int, int, int], Tensor]
"""Net, x, bottleneck depth, stride, rate."""


def _subsample(net: Net, x: Tensor, stride: int) -> Tensor:
    return x if stride == 1 else net.pool("shortcut", x, 1, stride=stride)


def _unit_v1(net: Net, x: Tensor, depth: int, stride: int, rate: int) -> Tensor:
    """relu(shortcut + conv3(conv2(conv1(x))))."""
    if x.channels == 4 * depth:
        shortcut = _subsample(net, x, stride)
    else:
        shortcut = net.conv("shortcut", x, 4 * depth, 1, stride=stride, activation=None)
    y = net.conv("conv1", x, depth, 1)
    y = net.conv("conv2", y, depth, 3, stride=stride, rate=rate, padding="fixed")
    y = net.conv("conv3", y, 4 * depth, 1, activation=None)
    return net.activate("relu", net.add(shortcut, y), "relu")


def _unit_v2(net: Net, x: Tensor, depth: int, stride: int, rate: int) -> Tensor:
    """shortcut + conv3(conv2(conv1(preact))), preact = relu(norm(x))."""
    preact = net.norm("preact", x, _NORM, "relu")
    if x.channels == 4 * depth:
        shortcut = _subsample(net, x, stride)
    else:
        shortcut = net.conv("shortcut", preact, 4 * depth, 1, stride=stride, activation=None, norm=None)
    y = net.conv("conv1", preact, depth, 1)
    y = net.conv("conv2", y, depth, 3, stride=stride, rate=rate, padding="fixed")
    return net.add(shortcut, net.conv("conv3", y, 4 * depth, 1, activation=None, norm=None))


def _write(net: Net, choices: Choices, *, units: tuple[int, ...], unit: Unit, preactivated: bool) -> None:
    strides = Strides(choices, done=4)
    root: dict[str, Any] = {"activation": None, "norm": None} if preactivated else {}
    x = net.conv("conv1", net.input, 64, 7, stride=2, padding="fixed", **root)
    x = net.pool("pool1", x, 3, stride=2)
    for block, count in enumerate(units, start=1):
        with net.scope(f"block{block}"):
            for number in range(1, count + 1):
                with net.scope(f"unit_{number}/bottleneck_v{2 if preactivated else 1}"):
                    stride, rate = strides.next(2 if number == count and block < 4 else 1)
                    x = unit(net, x, 32 * 2**block, stride, rate)
        net.endpoint(f"block{block}", x)
    if preactivated:
        x = net.norm("postnorm", x, _NORM, "relu")
    pooled = net.endpoint("global_pool", net.mean("pool5", x))
    scores = net.conv("logits", pooled, choices.integer("classes"), 1, activation=None, norm=None)
    predict(net, net.squeeze("logits", scores))


def _resnet(version: int, layers: int) -> Architecture:
    name = f"resnet_v{version}_{layers}"
    unit = _unit_v1 if version == 1 else _unit_v2
    return Architecture(
        name,
        f"slim's ResNet V{version} of {layers} layers",
        name,
        partial(_write, units=_UNITS[layers], unit=unit, preactivated=version == 2),
        _STYLE,
        size=224 if version == 1 else 299,
        options=(
            Option("classes", 1000 if version == 1 else 1001, "the number of classes", "logits/weights"),
            OUTPUT_STRIDE,
        ),
        preprocessing=VGG_MEANS if version == 1 else INCEPTION_RANGE,
    )


RESNETS = tuple(_resnet(version, layers) for version in (1, 2) for layers in _UNITS)
