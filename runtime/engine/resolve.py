"""Shapes of all values for given input shapes, and the contents of those that only depend on shapes and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from runtime.budget import Budget
from runtime.engine.kernels import KERNELS
from runtime.engine.weights import Weights
from runtime.kernels import activation, elementwise, logic
from runtime.kernels.base import Array, broadcast_shapes
from runtime.kernels.window import window
from runtime.plan import Graph, Node

__all__ = ["ELEMENTWISE", "Spec", "Unresolvable", "resolve"]


class Unresolvable(Exception):  # noqa: N818
    """A shape depends on the numbers in the input: the graph has to be interpreted."""


class Spec(NamedTuple):
    """What is known of a value before it is computed, its contents included or how to get them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    contents: Array | Callable[[], Array] | None = None

    @property
    def known(self) -> bool:
        """Whether there are contents."""
        return self.contents is not None

    @property
    def array(self) -> Array | None:
        """The contents, if they are known."""
        return self.contents() if callable(self.contents) else self.contents


_DATA_DEPENDENT = frozenset({"NonMaxSuppression", "NonZero", "Unique", "If", "Loop", "Scan"})

_SHAPE_INPUTS: dict[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "CumSum": (1,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
}
"""The inputs on whose contents the shape of the result depends; for reductions it is input 1."""

ELEMENTWISE = frozenset({*elementwise.OPS, *activation.OPS, *logic.OPS, "Identity", "Where"})


def resolve(
    graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Spec], budget: Budget | None = None
) -> dict[str, Spec]:
    """The spec of every value.

    Raises:
        Unresolvable: A shape depends on the contents of an input.
        ValueError: The shapes don't go together, or an array is larger than the budget allows.
    """
    given = weights if isinstance(weights, Weights) else Weights(weights)
    specs = {name: Spec(*kind, partial(given.__getitem__, name)) for name, kind in given.kinds()}
    specs.update(inputs)
    if budget is not None:
        budget = budget.again()
    for node in graph.nodes:
        read = [specs[name] if name else None for name in node.inputs]
        if budget is not None:
            budget.check(node.op, read, node.attributes)
        specs.update(zip(node.outputs, _results(node, read)))
    return specs


def _results(node: Node, given: Sequence[Spec | None]) -> Sequence[Spec]:
    if node.op in _DATA_DEPENDENT:
        raise Unresolvable(node.op)
    if node.op in ("Shape", "Size") or all(spec is None or spec.known for spec in given):
        return _computed(node, [None if spec is None else _contents(spec) for spec in given], known=True)
    for place in (1,) if node.op.startswith("Reduce") else _SHAPE_INPUTS.get(node.op, ()):
        spec = given[place] if place < len(given) else None
        if spec is not None and not spec.known:
            raise Unresolvable(node.op)
    rule = _RULES.get(node.op, _broadcast if node.op in ELEMENTWISE else None)
    if rule is None:
        return _computed(node, [None if spec is None else _contents(spec) for spec in given], known=False)
    return [rule(node, given)]


def _contents(spec: Spec) -> Array:
    """The known contents, or zeros in their place."""
    array = spec.array
    return np.zeros(spec.shape, spec.dtype) if array is None else array


def _computed(node: Node, inputs: Sequence[Array | None], *, known: bool) -> list[Spec]:
    results = KERNELS[node.op](inputs, node.attributes)
    return [Spec(y.shape, y.dtype, y if known else None) for y in results]


def _broadcast(node: Node, given: Sequence[Spec | None]) -> Spec:
    present = [spec for spec in given if spec is not None]
    shape = broadcast_shapes(*(spec.shape for spec in present))
    single = [None if spec is None else np.zeros((1,) * len(spec.shape), spec.dtype) for spec in given]
    (y,) = KERNELS[node.op](single, node.attributes)
    return Spec(shape, y.dtype)


def _conv(node: Node, given: Sequence[Spec | None]) -> Spec:
    x, w = given[0], given[1]
    assert x is not None
    assert w is not None
    fields = {key: value for key, value in node.attributes.items() if key != "group"}
    win = window(x.shape[1:-1], w.shape[:-2], *_geometry(fields))
    return Spec((x.shape[0], *win.out, w.shape[-1]), x.dtype)


def _geometry(fields: Mapping[str, Any]) -> tuple[Any, Any, Any, str]:
    return fields.get("strides"), fields.get("dilations"), fields.get("pads"), fields.get("auto_pad", "NOTSET")


def _pool(node: Node, given: Sequence[Spec | None]) -> Spec:
    x = given[0]
    assert x is not None
    win = window(x.shape[1:-1], node.attributes["kernel_shape"], *_geometry(node.attributes))
    return Spec((x.shape[0], *win.out, x.shape[-1]), x.dtype)


def _dense(node: Node, given: Sequence[Spec | None]) -> Spec:
    x, w = given[0], given[1]
    assert x is not None
    assert w is not None
    return Spec((*x.shape[:-1], w.shape[1]), x.dtype)


def _concat(node: Node, given: Sequence[Spec | None]) -> Spec:
    parts, axis = [spec for spec in given if spec is not None], node.attributes["axis"]
    (y,) = KERNELS[node.op]([_hollow(spec, axis) for spec in parts], node.attributes)  # which refuses what doesn't fit
    sizes = list(y.shape)
    sizes[axis] = sum(spec.shape[axis] for spec in parts)
    return Spec(tuple(sizes), y.dtype)


def _hollow(spec: Spec, axis: int) -> Array:
    """An array of that shape but for the axis, along which there is nothing."""
    sizes = list(spec.shape)
    sizes[axis] = 0
    return np.empty(sizes, spec.dtype)


_RULES: dict[str, Callable[[Node, Sequence[Spec | None]], Spec]] = {
    "AveragePool": _pool,
    "Concat": _concat,
    "Conv": _conv,
    "Dense": _dense,
    "MaxPool": _pool,
}
