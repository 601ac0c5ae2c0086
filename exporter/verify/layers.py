"""The results inside of a model: which tensor of an exported file holds each, and how far it is from the truth there.

The passes fold, move and join, so a result is looked for by its numbers: computed in float64, the folded model differs
from the unfolded one by the rounding of its weights alone, and the first tensor that is within the noise of a result
holds it. A result that has moved on into the layer behind it has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.evaluate import Constants, evaluate
from exporter.verify.compare import Array
from exporter.verify.element_order import ElementOrder
from exporter.verify.engines import Engine, Feeds
from exporter.verify.references.unfolded_model import Reference, sampled
from exporter.verify.verdict import LayerCheck
from exporter.verify.yardstick import LOOSE, Deviation, Yardstick

__all__ = ["Layer", "Located", "check_layers", "in_front", "judged", "locate_layers"]


@dataclass(frozen=True)
class Layer:
    """A result of the unfolded model, and the tensor of the folded one that holds it.

    Attributes:
        name: The result.
        tensor: The tensor.
        ordered: Whether an ONNX file surely has its elements in order, channels second or last.
    """

    name: str
    tensor: str
    ordered: bool = True


@dataclass(frozen=True)
class Located:
    """Where results are.

    Attributes:
        layers: In the unfolded model's order.
        results: Of the folded model, all float tensors by name, in float64, `sampled`.
    """

    layers: tuple[Layer, ...]
    results: Mapping[str, Array]


def judged(model: ir.Model) -> set[ir.Value]:
    """The results that are worth comparing: floats that depend on inputs, outside of subgraphs."""
    constants = Constants(None)
    return {
        output
        for node in model.graph
        for output in node.outputs
        if output.name and output.dtype is not None and output.dtype.is_floating_point()
        if not constants.is_constant(output)
    }


def in_front(model: ir.Model) -> dict[str, tuple[str, ...]]:
    """What each result is computed from, but for constants."""
    constants = Constants(None)
    return {
        str(output.name): tuple(str(v.name) for v in node.inputs if v is not None and not constants.is_constant(v))
        for node in model.graph
        for output in node.outputs
    }


def locate_layers(folded: ir.Model, reference: Reference, dtype: npt.DTypeLike = np.float64) -> Located:
    """Where the results of a reference are in the same model after the passes, computed in a float type."""
    left, ordered, order = dict(reference.layers), set[str](), ElementOrder()
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name, yardstick in left.items():
        by_shape.setdefault(yardstick.truth.shape, []).append(name)
    tensors: dict[str, str] = {}
    results: dict[str, Array] = {}

    def see(value: ir.Value, array: Array) -> None:
        if array.dtype.kind != "f" or not array.size or not value.name:
            return
        found = sampled(array)
        results[value.name] = found
        names = [name for name in by_shape.get(found.shape, ()) if name in left and _near(found, left[name])]
        names.sort(key=lambda name: name != value.name)
        for name in names:
            if left[name].worst(found).ratio <= 1:
                tensors[name] = str(value.name)
                if order.is_kept(value):
                    ordered.add(name)
                del left[name]
                return

    evaluate(folded, reference.inputs, dtype=dtype, see=see)
    layers = [Layer(name, tensors[name], name in ordered) for name in reference.layers if name in tensors]
    return Located(tuple(layers), results)


def _near(found: Array, yardstick: Yardstick) -> bool:
    """Tells most of those apart that aren't the same, by a few numbers."""
    a, b = found[0], yardstick.truth[0]
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(a - b) <= LOOSE * (np.abs(a).max() + np.abs(b).max())) | ~np.isfinite(b)))


def check_layers(
    engine: Engine, layers: Sequence[Layer], references: Sequence[Reference], runs: Iterable[Feeds]
) -> list[LayerCheck]:
    """One check for each layer that the engine gave, the worst of all runs.

    Args:
        engine: What it was run with.
        layers: Where they are.
        references: The truth.
        runs: All that the engine gave, for each reference.
    """
    worst: dict[Layer, Deviation] = {}
    for reference, found in zip(references, runs, strict=True):
        for layer in layers:
            yardstick = reference.layers.get(layer.name)
            if yardstick is None or layer.tensor not in found:
                continue
            if engine.traces and sampled(found[layer.tensor]).shape != yardstick.truth.shape:
                continue  # examples were computed one by one, and joined along another axis
            deviation = _deviation(yardstick, found[layer.tensor], ordered=layer.ordered or engine.channels_last)
            if deviation is None:
                continue
            before = worst.get(layer)
            if before is None or deviation.ratio > before.ratio:
                worst[layer] = deviation
    return [
        LayerCheck(engine.name, layer.name, layer.tensor, one.channel, one.error, one.noise, one.limit)
        for layer, one in worst.items()
    ]


def _deviation(yardstick: Yardstick, array: Array, *, ordered: bool) -> Deviation | None:
    """Also of a result whose channels are the second axis, as they are in an ONNX file; None if it can't be told."""
    ways = [sampled(array)]
    if array.ndim > 2:
        ways.append(sampled(np.moveaxis(array, 1, -1)))
    found = [yardstick.worst(way) for way in ways if way.shape == yardstick.truth.shape]
    if not ordered:
        if array.size != yardstick.truth.size:
            return None
        found.append(yardstick.worst_in_any_order(array))
    return min(found, key=lambda one: one.ratio, default=Deviation(float("inf"), 0.0, 0.0, 0))
