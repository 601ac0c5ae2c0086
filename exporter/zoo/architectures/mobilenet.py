"""What MobileNet V2 and V3 share: inverted bottlenecks, and channels that are divisible by 8."""

from __future__ import annotations

from exporter.zoo.net import Net
from exporter.zoo.program import Tensor
from exporter.zoo.style import Activation

__all__ = ["bottleneck", "divisible"]


def divisible(channels: float) -> int:
    """The nearest multiple of 8 that is at least 8 and not below nine tenths of the number."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def bottleneck(
    net: Net,
    x: Tensor,
    *,
    inner: int,
    channels: int,
    kernel: int = 3,
    stride: int = 1,
    rate: int = 1,
    squeeze: bool = False,
    activation: Activation = "relu6",
) -> Tensor:
    """expand (1 x 1) -> depthwise -> squeeze and excite -> project (1 x 1), added to x where the shapes agree."""
    y = x
    with net.defaults(activation=activation):
        if inner > x.channels:
            y = net.conv("expand", y, inner, 1)
        y = net.depthwise("depthwise", y, kernel, stride=stride, rate=rate)
        if squeeze:
            y = _excite(net, y)
        y = net.conv("project", y, channels, 1, activation=None)
    return net.add(y, x) if stride == 1 and channels == x.channels else y


def _excite(net: Net, x: Tensor) -> Tensor:
    """x times a factor for each channel, from the means of all."""
    with net.scope("squeeze_excite"), net.defaults(norm=None):
        pooled = net.mean("pool", x)
        squeezed = net.conv("Conv", pooled, divisible(x.channels / 4), 1, activation="relu")
        return net.gate(x, net.conv("Conv_1", squeezed, x.channels, 1, activation="hard_sigmoid"))
