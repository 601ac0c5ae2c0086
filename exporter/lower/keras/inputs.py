"""The inputs of a Keras model as graph inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from exporter.errors import CorruptError, UsageError
from exporter.ir.builder import Builder
from exporter.lower.keras.dtypes import data_type
from exporter.sources.keras_model import KerasLayer
from exporter.sources.keras_settings import expect_list

__all__ = ["input_shape", "make_input"]


def input_shape(layer: KerasLayer, given: Mapping[str, Sequence[int | None]]) -> list[int | None]:
    """The shape of an input, batch included: given by the user, or from the configuration.

    Raises:
        UsageError: Where the configuration has none, as that of a Sequential that was never built.
    """
    if layer.name in given:
        return list(given[layer.name])
    settings = layer.settings
    shape = settings.raw("batch_shape") or settings.raw("batch_input_shape")
    if shape is None and settings.raw("input_shape") is not None:
        shape = [None, *expect_list(settings.raw("input_shape"), f"{settings.owner}: input_shape")]
    if shape is None:
        raise UsageError(
            f"the configuration has no shape for input {layer.name!r}",
            hint=f"Say it with --input {layer.name}=?,224,224,3, for example",
        )
    sizes = expect_list(shape, f"{settings.owner}: shape")
    if not sizes or not all(size is None or (type(size) is int and size >= 0) for size in sizes):
        raise CorruptError(f"{settings.owner}: {str(shape)[:80]} is no shape")
    return sizes


def make_input(builder: Builder, layer: KerasLayer, shape: Sequence[int | None]) -> ir.Value:
    """A graph input of that name; the batch is N, other unknown sizes have names of their own."""
    dtype = layer.settings.raw("dtype")
    if isinstance(dtype, Mapping):
        config = dtype.get("config")
        dtype = str(config.get("name")) if isinstance(config, Mapping) else None
    name = "float32" if dtype is None or str(dtype).startswith("mixed_") else dtype
    dims = [_dim(layer.name, axis, size) for axis, size in enumerate(shape)]
    return builder.input(layer.name, data_type(name, layer.settings.owner), dims)


def _dim(name: str, axis: int, size: int | None) -> int | str:
    if size is not None:
        return size
    return "N" if axis == 0 else f"{name}_dim{axis}"
