"""What slim's Inception networks share."""

from __future__ import annotations

from collections.abc import Callable

from exporter.zoo.architecture import Option, Preprocessing
from exporter.zoo.style import Norm, Style

__all__ = ["INCEPTION_RANGE", "STYLE", "classes", "multiplier", "scaled"]

STYLE = Style(norm=Norm(epsilon=1e-3, scale=False))

INCEPTION_RANGE = Preprocessing((1 / 127.5,), (-1.0,), "RGB from 0 to 255, x / 127.5 - 1")


def classes(tensor: str) -> Option:
    """The number of classes, which the classifier's weights tell."""
    return Option("classes", 1001, "the number of classes", tensor)


def multiplier(tensor: str, per: int) -> Option:
    """The depth multiplier, which the channels of one layer tell."""
    return Option("multiplier", 1.0, "the depth multiplier", tensor, per)


def scaled(multiplier: float, least: int = 16) -> Callable[[int], int]:
    """Channels times the depth multiplier, and not below a least number."""
    return lambda depth: max(int(depth * multiplier), least)
