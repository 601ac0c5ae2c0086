"""Inception V2 (Ioffe and Szegedy, Batch Normalization, 2015), as slim names its layers."""

from __future__ import annotations

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, STYLE, classes, multiplier, scaled
from exporter.zoo.head import classify
from exporter.zoo.net import Net
from exporter.zoo.rows import Rows, branches, chain

__all__ = ["INCEPTION_V2"]

_STEM = (
    "MaxPool_2a_3x3 /2",
    "Conv2d_2b_1x1 64",
    "Conv2d_2c_3x3 192",
    "MaxPool_3a_3x3 /2",
)


def _module(a: int, b: int, c: int, d: int, e: int, f: int, pool: str = "AvgPool_0a_3x3") -> tuple[Rows, ...]:
    """1x1; 1x1, 3x3; 1x1, 3x3, 3x3; pool, 1x1."""
    return (
        (f"Conv2d_0a_1x1 {a}",),
        (f"Conv2d_0a_1x1 {b}", f"Conv2d_0b_3x3 {c}"),
        (f"Conv2d_0a_1x1 {d}", f"Conv2d_0b_3x3 {e}", f"Conv2d_0c_3x3 {e}"),
        (pool, f"Conv2d_0b_1x1 {f}"),
    )


def _reduction(a: int, b: int, c: int, d: int) -> tuple[Rows, ...]:
    return (
        (f"Conv2d_0a_1x1 {a}", f"Conv2d_1a_3x3 {b} /2"),
        (f"Conv2d_0a_1x1 {c}", f"Conv2d_0b_3x3 {d}", f"Conv2d_1a_3x3 {d} /2"),
        ("MaxPool_1a_3x3 /2",),
    )


_MODULES: dict[str, tuple[Rows, ...]] = {
    "Mixed_3b": _module(64, 64, 64, 64, 96, 32),
    "Mixed_3c": _module(64, 64, 96, 64, 96, 64),
    "Mixed_4a": _reduction(128, 160, 64, 96),
    "Mixed_4b": _module(224, 64, 96, 96, 128, 128),
    "Mixed_4c": _module(192, 96, 128, 96, 128, 128),
    "Mixed_4d": _module(160, 128, 160, 128, 160, 96),
    "Mixed_4e": _module(96, 128, 192, 160, 192, 96),
    "Mixed_5a": _reduction(128, 192, 192, 256),
    "Mixed_5b": _module(352, 192, 320, 160, 224, 128),
    "Mixed_5c": _module(352, 192, 320, 192, 224, 128, pool="MaxPool_0a_3x3"),
}


def _write(net: Net, choices: Choices) -> None:
    depth = scaled(choices.real("multiplier"))
    taps = min(depth(64) // 3, 8)
    # slim's arg scope gives batch norm to plain convolutions alone.
    with net.defaults(norm=None):
        x = net.separable("Conv2d_1a_7x7", net.input, depth(64), 7, multiplier=taps, stride=2)
    x = chain(net, x, _STEM, depth)
    for name, table in _MODULES.items():
        with net.scope(name):
            x = branches(net, x, table, depth)
        net.endpoint(name, x)
    classify(net, x, choices.integer("classes"))


INCEPTION_V2 = Architecture(
    "inception_v2",
    "slim's Inception V2",
    "InceptionV2",
    _write,
    STYLE,
    options=(
        classes("Logits/Conv2d_1c_1x1/weights"),
        multiplier("Mixed_5c/Branch_0/Conv2d_0a_1x1/weights", 352),
    ),
    preprocessing=INCEPTION_RANGE,
)
