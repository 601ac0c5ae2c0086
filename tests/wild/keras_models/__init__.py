"""Random models of Keras 2 and 3: all public layers in random order, in every kind of file."""

from __future__ import annotations

from tests.wild.family import Family, without_one_part
from tests.wild.keras_models.build import build
from tests.wild.keras_models.draw import draw, draw_masked

__all__ = ["FAMILY", "MASKS"]

FAMILY = Family("keras", draw, build, without_one_part)
"""What `python -m tests.wild --kind keras` draws from."""

MASKS = Family("masks", draw_masked, build, without_one_part)
"""The same, of layers that make, carry and read masks."""
