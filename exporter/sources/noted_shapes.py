"""Whether the shapes that a graph notes for its results (`_output_shapes`) go with the graph, as TensorFlow checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.errors import CorruptError

__all__ = ["check_noted_shapes"]

_NOTED = "_output_shapes"

_Shape = tuple[int, ...]
"""Sizes, -1 for one that is open."""

_OF_FIRST = frozenset(
    {"Abs", "BiasAdd", "Ceil", "Elu", "Erf", "Exp", "Floor", "Identity", "LeakyRelu", "Log", "LogSoftmax", "Neg"}
    | {"Relu", "Relu6", "Rsqrt", "Selu", "Sigmoid", "Softmax", "Softplus", "Sqrt", "Square", "StopGradient", "Tanh"}
)
"""Ops whose result has the shape of their first input."""


def check_noted_shapes(graph_def: Any) -> None:
    """Compare them with what follows from constants, placeholders and variables, and through ops that keep a shape.

    Raises:
        CorruptError: A noted shape has another rank or size.
    """
    known: dict[str, _Shape] = {}
    for message in graph_def.node:
        noted, own = _noted(message), _own(message, known)
        if noted is not None and own is not None and not _agree(noted, own):
            raise CorruptError(
                f"its result is noted as {_text(noted)}, and the graph makes it {_text(own)}",
                where=(f"node {message.name}", f"attribute {_NOTED}"),
            )
        if noted is not None or own is not None:
            known[message.name] = _merged(noted, own)


def _noted(message: Any) -> _Shape | None:
    shapes = message.attr[_NOTED].list.shape if _NOTED in message.attr else ()
    return _sizes(shapes[0]) if shapes else None


def _own(message: Any, known: Mapping[str, _Shape]) -> _Shape | None:
    """What the node says by itself, or by its first input; None where that isn't known."""
    if message.op == "Const":
        return _sizes(message.attr["value"].tensor.tensor_shape) if "value" in message.attr else None
    if message.op in ("Placeholder", "VariableV2"):
        given = _sizes(message.attr["shape"].shape) if "shape" in message.attr else None
        return given or None  # old graphs say [] for any
    if message.op in _OF_FIRST and message.input:
        return known.get(message.input[0].removesuffix(":0"))
    return None


def _sizes(shape: Any) -> _Shape | None:
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)


def _agree(a: _Shape, b: _Shape) -> bool:
    return len(a) == len(b) and all(p == q or p < 0 or q < 0 for p, q in zip(a, b, strict=True))


def _merged(a: _Shape | None, b: _Shape | None) -> _Shape:
    """Two that agree, of each axis the size that one of them knows."""
    if a is None or b is None:
        return a or b or ()
    return tuple(max(p, q) for p, q in zip(a, b, strict=True))


def _text(shape: _Shape) -> str:
    return f"[{', '.join('?' if size < 0 else str(size) for size in shape)}]"
