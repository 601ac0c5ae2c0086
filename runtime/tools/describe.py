"""Which matrix is multiplied with which: a model as formulas, one for each operator, with shapes and costs.

h3 = relu(h2)                                              [1, 14, 14, 32]
h4 = conv(h3, block2/kernel [3, 3, 32, 64]) + block2/bias  [1, 14, 14, 64]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from runtime.bundle import Bundle
from runtime.errors import InputError
from runtime.kernels.base import Array
from runtime.plan import Graph, Node, execute

__all__ = ["Step", "example", "steps", "table"]

_BETWEEN = {"Add": " + ", "Sub": " - ", "Mul": " * ", "Div": " / ", "MatMul": " @ ", "Pow": " ** "}
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Dense", "Gemm", "MatMul"})
_SHORT = {"ConvTranspose": "conv_transpose", "MaxPool": "max_pool", "AveragePool": "average_pool"}
_NEUTRAL = {"dilations": 1, "group": 1, "output_padding": 0, "pads": 0, "strides": 1}
_SMALL = 8


class Step(NamedTuple):
    """One operator of a run.

    Attributes:
        name: Its layer.
        op: Its operator, as in FORMAT.md.
        formula: What it computes, by the names of arrays and earlier results.
        shapes: Of its results.
        multiply_adds: Of a direct product, a pair counted once; 0 for other operators.
        nbytes: Of its results.
    """

    name: str
    op: str
    formula: str
    shapes: tuple[tuple[int, ...], ...]
    multiply_adds: int
    nbytes: int


def steps(bundle: Bundle, feeds: Mapping[str, Array]) -> list[Step]:
    """Run a bundle on inputs, and return its operators in the order in which they ran."""
    found: list[Step] = []
    shapes = {name: array.shape for name, array in feeds.items()}

    def see(node: Node, results: Sequence[Array]) -> None:
        shapes.update((name, array.shape) for name, array in zip(node.outputs, results))
        found.append(
            Step(
                node.name,
                node.op,
                f"{', '.join(name or '_' for name in node.outputs)} = {_formula(node, bundle.weights)}",
                tuple(array.shape for array in results),
                _multiply_adds(node, shapes, bundle.weights),
                sum(array.nbytes for array in results),
            )
        )

    execute(bundle.graph, {**bundle.weights, **feeds}, see)
    return found


def example(bundle: Bundle) -> dict[str, Array]:
    """Return inputs to describe a model with: those of its first probe, else zeros with 1 for each open size.

    Raises:
        InputError: The rank of an input is open, and no probe tells one.
    """
    if bundle.probes:
        return dict(bundle.probes[0].inputs)
    feeds = {}
    for value in bundle.inputs:
        if value.shape is None:
            raise InputError(f"the rank of the input {value.name!r} is open: give INPUTS to describe the model with")
        feeds[value.name] = np.zeros([size if isinstance(size, int) else 1 for size in value.shape], value.dtype)
    return feeds


def table(rows: Sequence[Step]) -> str:
    """Return the steps as text: multiply-adds, bytes and shapes of the results, formula."""
    shapes = [", ".join(str(list(shape)) for shape in row.shapes) for row in rows]
    width = max((len(shape) for shape in shapes), default=0)
    lines = [f"{'mult-adds':>12} {'bytes':>11}  {'shape':{width}}  formula"]
    lines += [
        f"{row.multiply_adds or '':>12} {row.nbytes:>11}  {shape:{width}}  {row.formula}"
        for row, shape in zip(rows, shapes)
    ]
    total = sum(row.multiply_adds for row in rows)
    return "\n".join([*lines, f"{total:>12} {sum(row.nbytes for row in rows):>11}  in all"])


def _formula(node: Node, weights: Mapping[str, Array]) -> str:
    operands = [_operand(name, weights) for name in node.inputs]
    while operands and operands[-1] == "":
        operands.pop()
    if node.op in _BETWEEN and len(operands) == 2:
        return _BETWEEN[node.op].join(operands)
    if node.op == "Dense":
        return f"{operands[0]} @ {' + '.join(operands[1:])}"
    call, bias = operands, ""
    if node.op in ("Conv", "ConvTranspose") and len(operands) == 3:
        call, bias = operands[:2], f" + {operands[2]}"
    options = [f"{key}={_attribute(value)}" for key, value in node.attributes.items() if not _is_usual(key, value)]
    return f"{_SHORT.get(node.op, node.op.lower())}({', '.join([name or 'None' for name in call] + options)}){bias}"


def _is_usual(key: str, value: Any) -> bool:
    """Return whether an attribute changes nothing: steps of one, no padding, a single group."""
    neutral = _NEUTRAL.get(key)
    return neutral is not None and all(number == neutral for number in (value if isinstance(value, list) else [value]))


def _operand(name: str, weights: Mapping[str, Array]) -> str:
    """Return a value's name; that of a stored matrix with its shape; a single number, or integers, themselves."""
    if name not in weights:
        return name
    array = weights[name]
    if array.size == 1 or (array.dtype.kind in "biu" and array.ndim == 1 and array.size <= _SMALL):
        return str(array.tolist())
    return f"{name} {list(array.shape)}" if array.ndim > 1 else name


def _attribute(value: Any) -> str:
    if isinstance(value, Graph):
        return "{" + "; ".join(f"{', '.join(node.outputs)} = {_formula(node, {})}" for node in value.nodes) + "}"
    return str(value.tolist()) if isinstance(value, np.ndarray) else str(value)


def _multiply_adds(node: Node, shapes: Mapping[str, tuple[int, ...]], weights: Mapping[str, Array]) -> int:
    """Return those of a direct product: for each element of the result, the elements that are added up for it."""
    if node.op not in _PRODUCTS or any(name not in shapes and name not in weights for name in node.inputs[:2]):
        return 0
    x, w = (shapes[name] if name in shapes else weights[name].shape for name in node.inputs[:2])
    y = shapes[node.outputs[0]]
    if node.op == "ConvTranspose":
        return prod(x) * prod(w[:-1])
    if node.op == "Conv":
        return prod(y) * prod(w[:-1])
    inner = x[0] if node.attributes.get("transA") else x[-1]
    return prod(y) * inner
