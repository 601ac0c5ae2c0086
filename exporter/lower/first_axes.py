"""Which inputs have the same first axis: those whose first axes meet in an op that needs both to be of one size.

Two inputs that are open in their first axis are usually one batch, and then are called so; but a table and what is
looked up in it, two factors of a product, an image and a vector of sizes have nothing in common.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

import onnx_ir as ir

from exporter.ir.edit import subgraphs

__all__ = ["groups"]

_ELEMENTWISE = frozenset(
    {"Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual"}
    | {"Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor"}
)
"""Ops whose operands are broadcast to one shape."""

_SAME_AXES = frozenset({"GatherElements", "ReverseSequence"})
"""Ops whose operands agree in an axis that they have at the same place."""


def groups(model: ir.Model, symbols: Sequence[str], free: Collection[str] = ()) -> dict[str, str]:
    """For each symbol the first one of those that it meets, directly or through others; itself if it meets none.

    Where operands are broadcast, one of two sizes may as well be 1. That two inputs are a batch then is told by their
    other axes, some of which a batch of examples has fixed.

    Args:
        model: A model in which the first axis of each input has its own symbol.
        symbols: These, in the order of the inputs.
        free: Those of inputs that have no fixed axis.
    """
    leader = {symbol: symbol for symbol in symbols}

    def find(symbol: str) -> str:
        while leader[symbol] != symbol:
            symbol = leader[symbol]
        return symbol

    for a, b, is_broadcast in _meetings(model.graph):
        if a in leader and b in leader and not (is_broadcast and (a in free or b in free)):
            first, second = sorted((find(a), find(b)), key=symbols.index)
            leader[second] = first
    return {symbol: find(symbol) for symbol in symbols}


def _meetings(graph: ir.Graph) -> Iterator[tuple[str, str, bool]]:
    """Pairs of symbols that are sizes of one axis of an op, and whether it broadcasts that."""
    for node in graph:
        is_broadcast = node.op_type in _ELEMENTWISE or node.op_type == "MatMul"
        for axis in _axes(node):
            names = [dim.value for dim in axis if isinstance(dim, ir.SymbolicDim) and dim.value is not None]
            yield from ((a, b, is_broadcast) for a, b in combinations(dict.fromkeys(names), 2))
        for inner in subgraphs(node):
            yield from _meetings(inner)


def _axes(node: ir.Node) -> Iterator[list[object]]:
    """For each axis that a node's operands have in common its size in each of them."""
    shapes = [list(value.shape.dims) for value in node.inputs if value is not None and value.shape is not None]
    if node.op_type in _ELEMENTWISE:
        yield from _aligned(shapes)
    elif node.op_type == "MatMul":
        yield from _aligned([shape[:-2] for shape in shapes])
    elif node.op_type == "Concat":
        joined = node.attributes["axis"].as_int()
        for axis in range(max(map(len, shapes), default=0)):
            if shapes and axis != joined % len(shapes[0]):
                yield [shape[axis] for shape in shapes if axis < len(shape)]
    elif node.op_type in _SAME_AXES:
        for axis in range(min(map(len, shapes), default=0)):
            yield [shape[axis] for shape in shapes]
    elif node.op_type == "GatherND":
        shared = node.attributes["batch_dims"].as_int() if "batch_dims" in node.attributes else 0
        for axis in range(shared):
            yield [shape[axis] for shape in shapes if axis < len(shape)]
    elif node.op_type == "Einsum":
        yield from _labelled(node)
    elif node.op_type == "Loop":
        yield from _carried(node)


def _aligned(shapes: Sequence[Sequence[object]]) -> Iterator[list[object]]:
    """Axes counted from the last one."""
    for place in range(1, max(map(len, shapes), default=0) + 1):
        yield [shape[-place] for shape in shapes if place <= len(shape)]


def _labelled(node: ir.Node) -> Iterator[list[object]]:
    """Axes that an equation gives one letter."""
    terms = node.attributes["equation"].as_string().replace(" ", "").split("->")[0].split(",")
    found: dict[str, list[object]] = {}
    for value, term in zip(node.inputs, terms, strict=False):
        if value is not None and value.shape is not None and len(value.shape) == len(term):
            for letter, dim in zip(term, value.shape.dims, strict=True):
                found.setdefault(letter, []).append(dim)
    yield from found.values()


def _carried(node: ir.Node) -> Iterator[list[object]]:
    """Axes of the loop variables before and after a step."""
    body = node.attributes["body"].as_graph()
    for value, inner in zip(node.inputs[2:], body.outputs[1:], strict=False):
        if value is not None and value.shape is not None and inner.shape is not None:
            for before, after in zip(value.shape.dims, inner.shape.dims, strict=False):
                yield [before, after]
