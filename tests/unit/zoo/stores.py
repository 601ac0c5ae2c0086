"""Weights of an architecture, made up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from exporter.formats.records import Array
from exporter.zoo.architecture import Architecture
from exporter.zoo.program import Weight
from exporter.zoo.registry import ARCHITECTURES

__all__ = ["shapes_of", "weights_of"]


def _weights(name: str, options: Mapping[str, str]) -> tuple[Architecture, list[Weight]]:
    architecture = ARCHITECTURES[name]
    program = architecture.program(architecture.choices({}, options))
    return architecture, [weight for weight in program.weights() if weight.usual]


def shapes_of(name: str, *, scope: str | None = None, **options: str) -> dict[str, tuple[int, ...]]:
    """What a checkpoint of an architecture holds, by key, under the published scope or another."""
    architecture, weights = _weights(name, options)
    prefix = architecture.scope if scope is None else scope
    return {f"{prefix}/{w.name}" if prefix else w.name: w.shape for w in weights}


def weights_of(name: str, **options: str) -> dict[str, Array]:
    """The same with random values; variances are around 1."""
    rng = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for key, shape in shapes_of(name, **options).items():
        values = rng.normal(0, 0.2, shape)
        positive = key.endswith(("variance", "gamma"))
        found[key] = np.asarray(1 + np.abs(values) if positive else values, np.float32)
    return found
