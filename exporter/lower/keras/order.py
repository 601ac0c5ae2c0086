"""The order in which the calls of a model are made."""

from __future__ import annotations

from exporter.errors import CorruptError
from exporter.sources.keras_model import KerasLayer, KerasModel, TensorRef, flatten, references

__all__ = ["call_order", "calls_by_depth"]

_Call = tuple[str, int]


def call_order(model: KerasModel) -> list[tuple[KerasLayer, int]]:
    """Every call that the outputs need, after those whose results it takes.

    Raises:
        CorruptError: If a call needs its own result.
    """
    layers = {layer.name: layer for layer in model.layers}
    ordered: dict[_Call, None] = {}
    open_calls: set[_Call] = set()
    ends = [ref for ref in flatten(model.outputs) if isinstance(ref, TensorRef)]
    stack = [(ref.layer, ref.call) for ref in reversed(ends)]
    while stack:
        call = stack[-1]
        if call in ordered:
            stack.pop()
        elif call in open_calls:
            ordered[call] = None
            stack.pop()
        else:
            open_calls.add(call)
            stack += _needed(layers[call[0]], call[1], ordered, open_calls)
    return [(layers[name], index) for name, index in ordered]


def calls_by_depth(model: KerasModel) -> list[tuple[KerasLayer, int]]:
    """The same calls in the order in which Keras makes them: those first that the longest way to an output begins with.

    Only where a layer changes its inputs, the order makes a difference.
    """
    calls = call_order(model)
    depths: dict[_Call, int] = {}
    deepest: dict[str, int] = {}
    for layer, index in reversed(calls):
        depth = max(depths.get((layer.name, index), 0), deepest.get(layer.name, 0))
        depths[layer.name, index] = deepest[layer.name] = depth
        for ref in () if layer.is_input else references(layer.calls[index]):
            call = (ref.layer, ref.call)
            depths[call] = max(depths.get(call, 0), depth + 1)
    layers = {layer.name: layer for layer, _ in calls}
    return [(layers[name], index) for name, index in sorted(depths, key=lambda call: -depths[call])]


def _needed(layer: KerasLayer, index: int, done: dict[_Call, None], waiting: set[_Call]) -> list[_Call]:
    if layer.is_input:
        return []
    needed = [(ref.layer, ref.call) for ref in references(layer.calls[index])]
    for call in needed:
        if call in waiting and call not in done:
            raise CorruptError(f"{layer.settings.owner} needs its own result, through layer {call[0]!r}")
    return [call for call in reversed(needed) if call not in done]
