"""Weights of an architecture, made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from exporter.errors import MissingError
from exporter.formats.records import Array, TensorInfo
from exporter.zoo.architecture import Architecture
from exporter.zoo.program import Weight
from exporter.zoo.registry import ARCHITECTURES

__all__ = ["MemoryStore", "shapes_of", "weights_of"]


class MemoryStore:
    """Arrays as a checkpoint."""

    description = "weights in memory"

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._arrays))

    def __len__(self) -> int:
        return len(self._arrays)

    def info(self, name: str) -> TensorInfo:
        if name not in self._arrays:
            raise MissingError(f"there is no tensor {name}")
        array = self._arrays[name]
        return TensorInfo(name, array.dtype, "float", array.shape, array.nbytes)

    def read(self, name: str) -> Array:
        return self._arrays[name].copy()


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
