"""How slim's classifiers end: pool, a convolution of size 1, softmax."""

from __future__ import annotations

from exporter.zoo.net import Net
from exporter.zoo.program import Tensor

__all__ = ["classify", "predict"]


def classify(net: Net, x: Tensor, classes: int, *, scope: str = "Logits", layer: str = "Conv2d_1c_1x1") -> Tensor:
    """The mean over the image, a convolution of size 1 with bias in a scope, softmax."""
    pooled = net.endpoint("global_pool", net.mean(f"{scope}/pool", x))
    with net.scope(scope):
        scores = net.conv(layer, pooled, classes, 1, activation=None, norm=None)
    return predict(net, net.squeeze("logits", scores))


def predict(net: Net, logits: Tensor) -> Tensor:
    """The endpoints `logits` and `predictions`, the softmax of them."""
    return net.softmax("predictions", net.endpoint("logits", logits))
