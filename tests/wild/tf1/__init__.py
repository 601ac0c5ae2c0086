"""Random TF1 training scripts: pipelines, layers of every library, flags, losses, optimisers, and ways to save them."""

from __future__ import annotations

from tests.wild.family import Family, without_one_part
from tests.wild.tf1.drawing import draw
from tests.wild.tf1.saving import build

__all__ = ["FAMILY"]

FAMILY = Family("tf1", draw, build, without_one_part)
