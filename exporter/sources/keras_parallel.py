"""Models that `multi_gpu_model` made: the batch cut into parts, one model over each, the results joined again.

What it computes is the model inside: parts of the batch don't know of each other at inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporter.sources.keras_model import KerasCall, KerasLayer, KerasModel, TensorRef, flatten

__all__ = ["without_towers"]


def without_towers(model: KerasModel) -> KerasModel:
    """The model over the whole batch; a model that isn't of that form stays as it is."""
    layers = {layer.name: layer for layer in model.layers}
    towers = [layer for layer in model.layers if layer.model is not None]
    if len(towers) != 1 or len(towers[0].calls) < 2:
        return model
    tower = towers[0]
    parts = len(tower.calls)
    sources = [_whole(layers, tower.calls[i], i, parts) for i in range(parts)]
    if None in sources or any(source != sources[0] for source in sources):
        return model
    outputs = [_joined(layers, ref, tower.name, parts) for ref in flatten(model.outputs)]
    ports = [port for port in outputs if port is not None]
    if len(ports) != len(outputs):
        return model
    inputs = sources[0] or []
    call = KerasCall((inputs[0] if len(inputs) == 1 else inputs,), {})
    kept = (*(layer for layer in model.layers if layer.is_input), replace(tower, calls=(call,)))
    refs = [TensorRef(tower.name, 0, port) for port in ports]
    return replace(model, layers=kept, outputs=refs)


def _whole(layers: Mapping[str, KerasLayer], call: KerasCall, number: int, parts: int) -> list[TensorRef] | None:
    """The inputs that a tower's arguments are part `number` of."""
    found = []
    for ref in flatten([list(call.args), dict(call.kwargs)]):
        if not isinstance(ref, TensorRef) or not _is_part(layers[ref.layer], number, parts):
            return None
        given = [leaf for leaf in flatten(list(layers[ref.layer].calls[ref.call].args)) if isinstance(leaf, TensorRef)]
        if len(given) != 1 or not layers[given[0].layer].is_input:
            return None
        found.append(given[0])
    return found


def _is_part(layer: KerasLayer, number: int, parts: int) -> bool:
    """Whether a layer is the Lambda that cuts one part out of the batch, by its arguments."""
    arguments: Any = layer.settings.raw("arguments")
    wanted = {"i": number, "parts": parts}
    return layer.class_name == "Lambda" and isinstance(arguments, Mapping) and dict(arguments) == wanted


def _joined(layers: Mapping[str, KerasLayer], ref: Any, tower: str, parts: int) -> int | None:
    """Which result of the towers an output joins along the batch."""
    layer = layers[ref.layer]
    if layer.class_name != "Concatenate" or layer.settings.raw("axis") != 0 or not layer.calls:
        return None
    refs = [leaf for leaf in flatten(list(layer.calls[ref.call].args)) if isinstance(leaf, TensorRef)]
    if [(each.layer, each.call) for each in refs] != [(tower, i) for i in range(parts)]:
        return None
    return refs[0].port if len({each.port for each in refs}) == 1 else None
