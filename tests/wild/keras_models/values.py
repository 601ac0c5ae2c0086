"""Random weights and inputs, of magnitudes that are hard on arithmetic too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.e2e.recorded import Array

__all__ = ["fed", "perturbed", "randomise"]

_BATCH = 3
_WORDS = 9


def _kind(variable: Any) -> np.dtype[Any]:
    name = getattr(variable.dtype, "name", variable.dtype)
    return np.dtype("float32" if name == "bfloat16" else name)


def randomise(model: Any, rng: np.random.Generator, magnitude: str) -> None:
    """Every floating weight at random; variances are positive, and tiny where that is wanted."""
    for weight in model.weights:
        kind, shape = _kind(weight), tuple(weight.shape)
        if kind.kind != "f":
            continue
        name = getattr(weight, "path", weight.name)
        scale = 1 / np.sqrt(max(np.prod(shape[:-1]), 1)) if len(shape) > 1 else 0.5
        values = rng.normal(0, scale, shape)
        if "variance" in name:
            low, high = (1e-7, 1e-4) if magnitude == "variances" else (0.5, 2.0)
            values = rng.uniform(low, high, shape)
        elif "gamma" in name:
            values = rng.normal(1, 0.3, shape)
            if magnitude == "zero":
                values = values * (rng.random(shape) < 0.5)
        elif "moving_mean" in name and magnitude == "offset":
            values = values + 1000
        elif magnitude == "large" and len(shape) > 1:
            values = values * 30
        weight.assign(values.astype(kind))


def fed(spec: Mapping[str, Any], tensor: Any, rng: np.random.Generator, magnitude: str) -> Array:
    """What an input is fed: numbers around 0, or far from it; of words, indices with zeros among them."""
    shape = (_BATCH, *spec["fed"])
    if spec["words"]:
        words: Array = rng.integers(0, _WORDS, shape).astype(np.int32)
        words[:, 1:] *= rng.random((_BATCH, *spec["fed"]))[:, 1:] < 0.7
        return words
    values = rng.normal(1000 if magnitude == "offset" else 0, 1, shape)
    if len(shape) == 3:
        values[1, 1:] = 0
    return values.astype(_kind(tensor))


@contextmanager
def perturbed(model: Any, rng: np.random.Generator) -> Iterator[None]:
    """The model with each of its weights moved by one rounding."""
    before = [np.asarray(weight) for weight in model.weights]
    for weight, value in zip(model.weights, before, strict=True):
        if value.dtype.kind == "f":
            weight.assign(
                value * (1 + rng.choice([-1, 1], value.shape).astype(value.dtype) * np.finfo(value.dtype).eps)
            )
    try:
        yield
    finally:
        for weight, value in zip(model.weights, before, strict=True):
            weight.assign(value)
