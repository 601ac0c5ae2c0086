"""How much computing an operator is, known before it is computed, in multiplications that are added up.

Multiplying and adding in a matrix product is the unit, of which a core does some billions in a second. A byte that is
written otherwise counts as one, of what isn't a single instruction as several, and calling a kernel as some thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from runtime.kernels.window import window

__all__ = ["operations"]

_CALL = 1 << 14
"""What a call costs that computes nothing."""

_PER_BYTE = {
    **dict.fromkeys(
        ("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "Sin", "Sinh", "Tan", "Tanh"), 4
    ),
    **dict.fromkeys(("Celu", "Elu", "Exp", "HardSwish", "Selu", "Sigmoid", "Softplus", "Softsign"), 4),
    **dict.fromkeys(("Log", "LogSoftmax", "ReduceLogSumExp", "Softmax"), 4),
    **dict.fromkeys(("Einsum", "GatherElements", "GatherND", "NonZero", "OneHot", "ScatterElements", "ScatterND"), 4),
    **dict.fromkeys(("Erf", "Gelu", "Mish", "Mod", "Pow", "Resize", "TopK", "Unique"), 16),
}
"""How much longer a byte of a function's results takes than one of a sum."""


def operations(op: str, inputs: Sequence[Any], attributes: Mapping[str, Any], nbytes: int) -> int:
    """Return how much computing `op` is; of inputs that it will refuse, what a call costs.

    Args:
        op: The operator; what its subgraphs do is not counted.
        inputs: Arrays, or what has their `shape`.
        attributes: Its attributes.
        nbytes: What `extent.nbytes` says of it.
    """
    made = nbytes * _PER_BYTE.get(op, 1)
    rule = _PRODUCTS.get(op)
    if rule is None:
        return _CALL + made
    try:
        return int(_CALL + made + abs(rule([() if x is None else x.shape for x in inputs], attributes)))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return _CALL + made


_Shapes = Sequence[tuple[int, ...]]


def _conv(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    x, kernel = shapes[0], shapes[1]
    return x[0] * _outputs(x, kernel[:-2], attributes) * prod(kernel)


def _outputs(x: tuple[int, ...], kernel: Sequence[int], attributes: Mapping[str, Any]) -> int:
    """The positions of a window in one image."""
    geometry = (attributes.get("strides"), attributes.get("dilations"), attributes.get("pads"))
    return prod(window(x[1:-1], kernel, *geometry, attributes.get("auto_pad", "NOTSET")).out)


def _conv_transpose(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    return prod(shapes[0]) * prod(shapes[1][:-1])


def _dense(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    return prod(shapes[0]) * shapes[1][-1]


def _matmul(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    a, b = shapes[0], shapes[1]
    batch = max(prod(a[:-2]), prod(b[:-2]))
    return batch * prod(a[-2:]) * (b[-1] if len(b) > 1 else 1)


def _gemm(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    return prod(shapes[0]) * shapes[1][0 if attributes.get("transB") else 1]


def _einsum(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    """Two by two, each with each: the order is NumPy's choice."""
    terms = attributes["equation"].replace(" ", "").partition("->")[0].split(",")
    sizes = [dict(zip(term, shape)) for term, shape in zip(terms, shapes)]
    pairs = [prod({**a, **b}.values()) for i, a in enumerate(sizes) for b in sizes[i + 1 :]]
    return sum(pairs) if pairs else prod(sizes[0].values())


def _pool(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    x, taps = shapes[0], attributes["kernel_shape"]
    return int(x[0] * x[-1] * _outputs(x, taps, attributes) * prod(taps))


def _recurrent(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    steps, batch = (shapes[0][1], shapes[0][0]) if attributes.get("layout") else shapes[0][:2]
    return steps * (batch * (prod(shapes[1]) + prod(shapes[2])) + 10 * _CALL)


def _lrn(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    return prod(shapes[0]) * int(attributes.get("size", 1))


def _suppression(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    return prod(shapes[1]) * shapes[1][-1]


def _determinant(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    return prod(shapes[0]) * shapes[0][-1]


_PRODUCTS: dict[str, Callable[[_Shapes, Mapping[str, Any]], int]] = {
    "AveragePool": _pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dense": _dense,
    "Det": _determinant,
    "Einsum": _einsum,
    "GRU": _recurrent,
    "Gemm": _gemm,
    "LRN": _lrn,
    "LSTM": _recurrent,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "NonMaxSuppression": _suppression,
    "RNN": _recurrent,
}
"""What takes more than writing its results."""
