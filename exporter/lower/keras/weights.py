"""The weights of a model as graph values, each checked against the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import onnx_ir as ir

from exporter.errors import CorruptError, MissingError, ValueInputError
from exporter.formats.records import Array
from exporter.ir.builder import Builder
from exporter.sources.keras_weights import KerasWeights
from exporter.sources.model import Variable

__all__ = ["WeightTable"]

_SHOWN = 20


class WeightTable:
    """Makes initializers of weights; those that are missing are collected and named in one error."""

    def __init__(self, builder: Builder, weights: KerasWeights) -> None:
        self._builder = builder
        self._weights = weights
        self._values: dict[str, ir.Value] = {}
        self._missing: dict[str, tuple[int, ...]] = {}

    def has(self, path: str) -> bool:
        """Whether a weight is stored."""
        return path in self._weights.variables

    def key(self, path: str) -> str:
        """The key that a weight is stored under."""
        return self._weights.variables[path].key if self.has(path) else path

    def shape(self, path: str) -> tuple[int, ...] | None:
        """The stored shape of a weight."""
        return self._weights.variables[path].shape if self.has(path) else None

    def value(self, path: str, shape: Sequence[int], dtype: ir.DataType) -> ir.Value:
        """A weight as an initializer named by its path; a stand-in where it is missing."""
        if path not in self._values:
            self._values[path] = self._builder.weight(path, dtype, list(shape), self._reader(path, shape, dtype))
        return self._values[path]

    def array(self, path: str) -> Array | None:
        """The numbers of a stored weight, read now."""
        return _finite(self._weights.variables[path]) if self.has(path) else None

    def raise_missing(self) -> None:
        """MissingError that names every weight asked for and not found."""
        if not self._missing:
            return
        shown = [f"{path} {list(shape)}" for path, shape in list(self._missing.items())[:_SHOWN]]
        more = f" and {len(self._missing) - _SHOWN} more" if len(self._missing) > _SHOWN else ""
        raise MissingError(
            f"{self._weights.description} lacks {len(self._missing)} weights: {', '.join(shown)}{more}",
            hint="Give the file with all weights of this model, or the configuration that these weights belong to",
        )

    def _reader(self, path: str, shape: Sequence[int], dtype: ir.DataType) -> Callable[[], Array]:
        variable = self._weights.variables.get(path)
        if variable is None:
            self._missing[path] = tuple(shape)
            return lambda: np.zeros(tuple(shape), dtype.numpy())
        if tuple(variable.shape) != tuple(shape):
            raise CorruptError(
                f"weight {path} is stored with shape {list(variable.shape)} as {variable.key}, "
                f"but the configuration makes it {list(shape)}",
                hint="Give the configuration that these weights belong to",
            )
        found = variable

        @cache
        def read() -> Array:
            return _finite(found).astype(dtype.numpy(), copy=False)

        return read


def _finite(variable: Variable) -> Array:
    array = variable.read()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = "NaN" if np.isnan(array).any() else "infinity"
        raise ValueInputError(f"weight {variable.node} (stored as {variable.key}) holds {bad}")
    return array
