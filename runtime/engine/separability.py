"""Which values have a row for each image of a batch that depends on that image alone.

A graph whose outputs are all like that may be run on parts of a batch. What isn't known to be like that counts as if it
weren't: there is a rule for each operator, and the shapes for the whole batch and for a part have to bear it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from runtime.engine.resolve import Spec
from runtime.kernels import activation, elementwise, logic
from runtime.kernels.base import Array, Function
from runtime.plan import Graph, Node

__all__ = ["separable"]

_ROWS, _SAME, _OTHER = "rows", "same", "other"
"""The rows of a part are those rows of the whole; a part and the whole have the same value; anything else."""

_COMPARED = 1 << 10
"""Elements of contents that are compared; those of larger arrays count as different."""


def separable(graph: Graph, whole: Mapping[str, Spec], part: Mapping[str, Spec], inputs: Sequence[bool]) -> bool:
    """Whether running the graph on parts of a batch gives those parts of each of its outputs.

    Everything in it has to be like that but for arithmetic with sizes, also what no output needs.

    Args:
        graph: The model.
        whole: The spec of every value, weights included, for the whole batch.
        part: The same for a part, of another size.
        inputs: For each input of the graph, whether its first axis is the batch; there is one at least.
    """
    first = graph.inputs[list(inputs).index(True)]
    sizes = whole[first].shape[0], part[first].shape[0]
    kinds = dict.fromkeys(whole, _SAME)
    kinds.update((name, _ROWS if rows else _SAME) for name, rows in zip(graph.inputs, inputs))
    for node in graph.nodes:
        found = _kind(node, [kinds[name] if name else _SAME for name in node.inputs], whole, part)
        for name in node.outputs:
            if name:
                kinds[name] = found if _bears_out(found, whole[name].shape, part[name].shape, sizes) else _OTHER
    sizes_alone = all(whole[name].known for name, kind in kinds.items() if kind == _OTHER)
    return sizes_alone and all(kinds[name] == _ROWS for name in graph.outputs)


def _bears_out(kind: str, whole: tuple[int, ...], part: tuple[int, ...], sizes: tuple[int, int]) -> bool:
    if kind == _ROWS:
        return whole[:1] + part[:1] == sizes and whole[1:] == part[1:]
    return whole == part


def _kind(node: Node, kinds: Sequence[str], whole: Mapping[str, Spec], part: Mapping[str, Spec]) -> str:
    """Of a node's outputs, as far as the operator goes."""
    outputs = [name for name in node.outputs if name]
    if all(kind == _SAME for kind in kinds) or all(_equal(whole[name], part[name]) for name in outputs):
        return _SAME
    shape_place = _SHAPE_PLACES.get(node.op)
    if any(kind == _OTHER and place != shape_place for place, kind in enumerate(kinds)):
        return _OTHER
    specs = [whole[name] if name else None for name in node.inputs]
    rule = _RULES.get(node.op)
    return _ROWS if rule is not None and rule(_Case(node, kinds, specs, len(whole[outputs[0]].shape))) else _OTHER


def _equal(whole: Spec, part: Spec) -> bool:
    """Whether a value is known without running, and the same."""
    if not (whole.known and part.known) or prod(whole.shape) > _COMPARED:
        return False
    return np.array_equal(np.asarray(whole.array), np.asarray(part.array))


class _Case(NamedTuple):
    """A node with the kinds and specs of its inputs, and the rank of its first output."""

    node: Node
    kinds: Sequence[str]
    specs: Sequence[Spec | None]
    rank: int

    def only_first(self) -> bool:
        """Whether the rows come from input 0, and what else there is makes no difference between them."""
        return self.kinds[0] == _ROWS and _ROWS not in self.kinds[1:]

    def shape(self, place: int) -> tuple[int, ...]:
        """Of an input; () if it is left out."""
        spec = self.specs[place] if place < len(self.specs) else None
        return () if spec is None else spec.shape

    def array(self, place: int) -> Array | None:
        """The known contents of an input that isn't left out."""
        spec = self.specs[place] if place < len(self.specs) else None
        return None if spec is None else spec.array

    def numbers(self, place: int) -> list[int] | None:
        """The same as integers."""
        array = self.array(place)
        return None if array is None else [int(number) for number in array.reshape(-1)]

    def spreads(self, place: int) -> bool:
        """Whether an input that is the same for all parts meets every row of the output alike."""
        shape = self.shape(place)
        return len(shape) < self.rank or shape[0] == 1


def _images(case: _Case) -> bool:
    """For what works on the axes after the first."""
    return case.only_first() and len(case.shape(0)) >= 2


def _elementwise(case: _Case) -> bool:
    return all(
        len(case.shape(place)) == case.rank if kind == _ROWS else case.spreads(place)
        for place, kind in enumerate(case.kinds)
    )


def _other_axis(default: int) -> Callable[[_Case], bool]:
    """For what works along the axis that the attribute names."""

    def rule(case: _Case) -> bool:
        return case.only_first() and case.node.attributes.get("axis", default) % len(case.shape(0)) != 0

    return rule


def _concat(case: _Case) -> bool:
    return all(kind == _ROWS for kind in case.kinds) and case.node.attributes["axis"] % case.rank != 0


def _transpose(case: _Case) -> bool:
    perm: Sequence[int] = case.node.attributes.get("perm") or [-1]
    return perm[0] == 0


def _other_axes(case: _Case) -> bool:
    """For what works along the axes that input 1 names."""
    axes = case.numbers(1)
    return case.only_first() and bool(axes) and all(axis % len(case.shape(0)) != 0 for axis in axes or ())


def _pad(case: _Case) -> bool:
    pads, axes, rank = case.numbers(1), case.numbers(3), len(case.shape(0))
    if not case.only_first() or pads is None or (case.shape(3) != () and axes is None):
        return False
    count = len(pads) // 2
    axes = list(range(rank)) if axes is None else axes
    return all(axis % rank or not (pads[i] or pads[count + i]) for i, axis in enumerate(axes))


def _resize(case: _Case) -> bool:
    """The shapes tell that the first axis keeps its size, but not by what scale."""
    scales = case.array(2)
    rank = len(case.shape(0))
    axes = case.node.attributes.get("axes") or range(rank)
    scaled = [] if scales is None else [scale for axis, scale in zip(axes, scales.tolist()) if axis % rank == 0]
    return case.only_first() and (case.shape(2) in ((), (0,)) or scales is not None) and scaled in ([], [1])


def _slice(case: _Case) -> bool:
    """The shapes tell where it ends."""
    starts, steps, rank = case.numbers(1), case.numbers(4), len(case.shape(0))
    if not case.only_first() or starts is None:
        return False
    axes = case.numbers(3) or list(range(len(starts)))
    steps = steps or [1] * len(starts)
    return all(axis % rank or (start == 0 and step == 1) for axis, start, step in zip(axes, starts, steps))


def _gather(case: _Case) -> bool:
    if case.node.attributes.get("axis", 0) % len(case.shape(0)):
        return case.only_first()
    return list(case.kinds) == [_SAME, _ROWS] and len(case.shape(1)) > 0


def _matmul(case: _Case) -> bool:
    """Each row of it is a matrix, or one row of a matrix."""
    (a, b), ranks = case.kinds, [len(case.shape(0)), len(case.shape(1))]
    if (a, b) == (_ROWS, _SAME):
        return ranks[0] >= 2 and (ranks[1] <= 2 or (ranks[1] <= ranks[0] and case.spreads(1)))
    if (a, b) == (_SAME, _ROWS):
        return ranks[1] >= 3 and ranks[0] >= 2 and (ranks[0] == 2 or case.spreads(0))
    return ranks[0] == ranks[1] >= 3


def _gemm(case: _Case) -> bool:
    return case.only_first() and not case.node.attributes.get("transA", 0) and case.spreads(2)


def _by_signature(function: Function) -> Callable[[_Case], bool]:
    """Of a function of elements, or of one with the attribute `axis`, which works along that."""
    axis: int | None = (getattr(function, "__kwdefaults__", None) or {}).get("axis")
    return _elementwise if axis is None else _other_axis(axis)


_SHAPE_PLACES = {"Expand": 1, "Reshape": 1, "Resize": 3}
"""Inputs that say nothing but the shape of the output."""

_RULES: dict[str, Callable[[_Case], bool]] = {
    **{op: _by_signature(each) for op, each in [*elementwise.OPS.items(), *activation.OPS.items(), *logic.OPS.items()]},
    **dict.fromkeys(["Cast", "Identity", "Where"], _elementwise),
    **dict.fromkeys(["AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "Dense"], _images),
    **dict.fromkeys(["DepthToSpace", "LRN", "MaxPool", "SpaceToDepth"], _images),
    **dict.fromkeys(["Expand", "Flatten", "Reshape", "Squeeze", "Tile", "Unsqueeze"], _Case.only_first),
    **dict.fromkeys([f"Reduce{what}" for what in ("L1", "L2", "Max", "Mean", "Min", "Prod", "Sum")], _other_axes),
    **dict.fromkeys(["ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"], _other_axes),
    **dict.fromkeys(["ArgMax", "ArgMin", "Split"], _other_axis(0)),
    **dict.fromkeys(["LayerNormalization", "TopK"], _other_axis(-1)),
    "Concat": _concat,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Resize": _resize,
    "Slice": _slice,
    "Transpose": _transpose,
}
