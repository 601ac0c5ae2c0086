"""Inception V3 (Szegedy and others, Rethinking the Inception Architecture, 2015), as slim names its layers."""

from __future__ import annotations

from exporter.zoo.architecture import Architecture, Choices
from exporter.zoo.architectures.inception import INCEPTION_RANGE, STYLE, classes, multiplier, scaled
from exporter.zoo.head import classify
from exporter.zoo.net import Net
from exporter.zoo.rows import Rows, branches, chain

__all__ = ["INCEPTION_V3"]

_STEM = (
    "Conv2d_1a_3x3 32 /2 valid",
    "Conv2d_2a_3x3 32 valid",
    "Conv2d_2b_3x3 64",
    "MaxPool_3a_3x3 /2 valid",
    "Conv2d_3b_1x1 80 valid",
    "Conv2d_4a_3x3 192 valid",
    "MaxPool_5a_3x3 /2 valid",
)


def _35x35(pooled: int, *, odd_names: bool = False) -> tuple[Rows, ...]:
    first, second = ("Conv2d_0b_1x1", "Conv_1_0c_5x5") if odd_names else ("Conv2d_0a_1x1", "Conv2d_0b_5x5")
    return (
        ("Conv2d_0a_1x1 64",),
        (f"{first} 48", f"{second} 64"),
        ("Conv2d_0a_1x1 64", "Conv2d_0b_3x3 96", "Conv2d_0c_3x3 96"),
        ("AvgPool_0a_3x3", f"Conv2d_0b_1x1 {pooled}"),
    )


def _17x17(d: int) -> tuple[Rows, ...]:
    return (
        ("Conv2d_0a_1x1 192",),
        (f"Conv2d_0a_1x1 {d}", f"Conv2d_0b_1x7 {d}", "Conv2d_0c_7x1 192"),
        (
            f"Conv2d_0a_1x1 {d}",
            f"Conv2d_0b_7x1 {d}",
            f"Conv2d_0c_1x7 {d}",
            f"Conv2d_0d_7x1 {d}",
            "Conv2d_0e_1x7 192",
        ),
        ("AvgPool_0a_3x3", "Conv2d_0b_1x1 192"),
    )


def _8x8(upright: str) -> tuple[Rows, ...]:
    return (
        ("Conv2d_0a_1x1 320",),
        ("Conv2d_0a_1x1 384", ("Conv2d_0b_1x3 384", f"{upright} 384")),
        ("Conv2d_0a_1x1 448", "Conv2d_0b_3x3 384", ("Conv2d_0c_1x3 384", "Conv2d_0d_3x1 384")),
        ("AvgPool_0a_3x3", "Conv2d_0b_1x1 192"),
    )


_MODULES: dict[str, tuple[Rows, ...]] = {
    "Mixed_5b": _35x35(32),
    "Mixed_5c": _35x35(64, odd_names=True),
    "Mixed_5d": _35x35(64),
    "Mixed_6a": (
        ("Conv2d_1a_1x1 384 3x3 /2 valid",),
        ("Conv2d_0a_1x1 64", "Conv2d_0b_3x3 96", "Conv2d_1a_1x1 96 3x3 /2 valid"),
        ("MaxPool_1a_3x3 /2 valid",),
    ),
    "Mixed_6b": _17x17(128),
    "Mixed_6c": _17x17(160),
    "Mixed_6d": _17x17(160),
    "Mixed_6e": _17x17(192),
    "Mixed_7a": (
        ("Conv2d_0a_1x1 192", "Conv2d_1a_3x3 320 /2 valid"),
        ("Conv2d_0a_1x1 192", "Conv2d_0b_1x7 192", "Conv2d_0c_7x1 192", "Conv2d_1a_3x3 192 /2 valid"),
        ("MaxPool_1a_3x3 /2 valid",),
    ),
    "Mixed_7b": _8x8("Conv2d_0b_3x1"),
    "Mixed_7c": _8x8("Conv2d_0c_3x1"),
}


def _write(net: Net, choices: Choices) -> None:
    depth = scaled(choices.real("multiplier"))
    x = chain(net, net.input, _STEM, depth)
    for name, table in _MODULES.items():
        with net.scope(name):
            x = branches(net, x, table, depth)
        net.endpoint(name, x)
    classify(net, x, choices.integer("classes"))


INCEPTION_V3 = Architecture(
    "inception_v3",
    "slim's Inception V3",
    "InceptionV3",
    _write,
    STYLE,
    size=299,
    options=(
        classes("Logits/Conv2d_1c_1x1/weights"),
        multiplier("Mixed_7c/Branch_1/Conv2d_0a_1x1/weights", 384),
    ),
    preprocessing=INCEPTION_RANGE,
    aside=("AuxLogits",),
)
