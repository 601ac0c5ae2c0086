"""Concatenations in place: what is joined along the channels is made where it is joined, and nothing is copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.targets.c_program.elementwise import is_elementwise
from exporter.targets.c_program.layers import VIEWS, Layer, is_linear
from exporter.targets.c_program.specialise import Fixed
from exporter.targets.c_program.tensors import Frame, Tensor

__all__ = ["Joins", "is_part"]

_ANY_STRIDES = frozenset({"AveragePool", "Bands", "BatchNormalization", "Concat", "MaxPool", "ReduceMean", "Resize"})
"""Ops, besides elementwise ones and those with weights, that read and write pixels at any distance."""


def is_part(tensor: Tensor, whole: Tensor, offset: int) -> bool:
    """Whether a tensor is a part of another, so many floats from its beginning."""
    place = tensor.buffer, tensor.offset, tensor.strides
    return place == (whole.buffer, whole.offset + offset, whole.strides) and tensor.buffer is whole.buffer


class Joins:
    """Where the inputs of concatenations along the last axis are.

    Args:
        fixed: The model.
        layers: In order.
        frames: The zeros around values, by name: what needs some of its own is copied.
    """

    def __init__(self, fixed: Fixed, layers: Sequence[Layer], frames: Mapping[str, Frame]) -> None:
        self._fixed = fixed
        self._frames = frames
        self._readers: dict[str, list[Layer]] = {}
        for layer in layers:
            for name in (*layer.inputs, *([layer.residual] if layer.residual else [])):
                self._readers.setdefault(name, []).append(layer)
        self._wholes: dict[str, Tensor] = {}

    def place(self, layer: Layer) -> Tensor | None:
        """Where a layer's result is, if it is joined with others or is what others are joined to; None if neither."""
        return self._wholes.get(layer.output) or self._part(layer)

    def is_there(self, layer: Layer, whole: Tensor, tensors: Mapping[str, Tensor]) -> bool:
        """Whether all inputs of a concatenation are in their places already."""
        at = 0
        for name in layer.op.inputs:
            if name not in tensors or not is_part(tensors[name], whole, at * whole.strides[-1]):
                return False
            at += self._fixed.shapes[name][-1]
        return True

    def _part(self, layer: Layer) -> Tensor | None:
        name = layer.output
        readers = self._readers.get(name, [])
        join = next((reader for reader in readers if self._joins_channels(reader)), None)
        if join is None or name in self._fixed.outputs or self._frames.get(name):
            return None
        if not all(self._takes_any_strides(each) for each in (layer, *readers)):
            return None
        whole = self._wholes.get(join.output) or self._part(join)
        if whole is None:
            whole = Tensor.new(self._fixed.shapes[join.output], self._frames.get(join.output, Frame()))
        self._wholes[join.output] = whole
        before = join.op.inputs[: join.op.inputs.index(name)]
        at = sum(self._fixed.shapes[each][-1] for each in before)
        return Tensor(self._fixed.shapes[name], whole.strides, whole.buffer, whole.offset + at * whole.strides[-1])

    def _joins_channels(self, layer: Layer) -> bool:
        """Whether a layer joins along the last axis, and its result isn't an output of the model."""
        if layer.op.op != "Concat" or layer.output in self._fixed.outputs:
            return False
        if self._fixed.types[layer.output] != "float32":
            return False
        rank = len(self._fixed.shapes[layer.output])
        return rank > 1 and layer.op.attributes["axis"] % rank == rank - 1

    def _takes_any_strides(self, layer: Layer) -> bool:
        op = layer.op
        if op.op in VIEWS or any(self._fixed.types[name] != "float32" for name in (*layer.inputs, layer.output)):
            return False
        return op.op in _ANY_STRIDES or is_elementwise(op) or is_linear(op, self._fixed)
