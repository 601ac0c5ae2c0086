"""Layers one after the other, as one layer."""

from __future__ import annotations

from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.sources.keras_config import read_layer
from exporter.sources.keras_settings import expect_list

__all__ = ["LAYERS"]


def pipeline(ctx: LayerContext) -> tuple[Tensor, ...]:
    """Each layer on what the one before it gives."""
    results: tuple[Tensor, ...] = ctx.tensors
    for record in expect_list(ctx.settings.raw("layers"), f"{ctx.settings.owner}: layers"):
        layer = read_layer(record, ctx.settings.owner)
        results = ctx.lower(layer, (*ctx.path, layer.name), results)
    return results


LAYERS: dict[str, Lower] = {"Pipeline": pipeline}
