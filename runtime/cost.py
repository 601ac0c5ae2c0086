"""What an operator takes, known before it is computed: bytes of what it makes, and how much computing it is.

Multiplying and adding in a matrix product is the unit of computing, of which a core does some billions in a second. A
byte that is written otherwise counts as one, of what isn't a single instruction as several, and calling a kernel as
some thousands.

Inputs are arrays, or what has their `shape`, `dtype` and, where the contents are known, `array`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, isfinite, prod
from typing import Any, Union

from runtime.kernels.base import broadcast_shapes
from runtime.kernels.window import window

__all__ = ["cost"]

_Inputs = Sequence[Any]
_Attributes = Mapping[str, Any]
_Rule = Callable[[_Inputs, _Attributes], Union[int, "tuple[int, int]"]]
"""The elements that an operator makes, and where it does more than write them, its multiplications."""

_CALL = 1 << 14
"""What a call costs that computes nothing."""

_WIDEST = 8

_PER_BYTE = {
    op: factor
    for factor, ops in (
        (4, "Acos Acosh Asin Asinh Atan Atanh Celu Cos Cosh Einsum Elu Exp GatherElements GatherND HardSwish Log"),
        (4, "LogSoftmax NonZero OneHot ReduceLogSumExp ScatterElements ScatterND Selu Sigmoid Sin Sinh Softmax"),
        (4, "Softplus Softsign Tan Tanh"),
        (16, "Erf Gelu Mish Mod Pow Resize TopK Unique"),
    )
    for op in ops.split()
}
"""How much longer a byte of a function's results takes than one of a sum."""


def cost(op: str, inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    """Return the bytes of the largest arrays that computing `op` makes, and how much computing it is.

    What its subgraphs do is not counted. Of inputs that the kernel will refuse, it is what a call costs.
    """
    given = [x for x in inputs if x is not None]
    if not given:
        return 0, _CALL
    try:
        found = _RULES.get(op, _largest)(inputs, attributes)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        found = 0
    elements, products = found if isinstance(found, tuple) else (found, 0)
    nbytes = int(elements * max(min(x.dtype.itemsize, _WIDEST) for x in given))
    return nbytes, int(_CALL + nbytes * _PER_BYTE.get(op, 1) + abs(products))


def _largest(inputs: _Inputs, attributes: _Attributes) -> int:
    """Elementwise, with broadcasting; what only moves or reduces its input makes no more than it."""
    shapes = {x.shape for x in inputs if x is not None}
    if len(shapes) == 1:
        return prod(next(iter(shapes)))
    try:
        return max(*map(prod, shapes), prod(broadcast_shapes(*shapes)))
    except ValueError:
        return sum(map(prod, shapes))


def _each(per_element: Callable[[_Inputs, _Attributes], int]) -> _Rule:
    """As `_largest`, with so many multiplications for each element of the first input."""

    def rule(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
        return _largest(inputs, attributes), prod(inputs[0].shape) * per_element(inputs, attributes)

    return rule


def _numbers(x: Any) -> list[Any]:
    """The contents of a small input; ValueError where they aren't known."""
    array = getattr(x, "array", x)
    if array is None:
        raise ValueError("not known yet")
    found = array.reshape(-1).tolist()
    return found if isinstance(found, list) else [found]


def _product(x: Any) -> int:
    """Of the contents, which are sizes."""
    return abs(prod(map(int, _numbers(x))))


def _range(inputs: _Inputs, attributes: _Attributes) -> int:
    start, limit, delta = (_numbers(x)[0] for x in inputs)
    count = (limit - start) / delta
    return max(ceil(count), 0) if isfinite(count) else 1 << 62


def _pad(inputs: _Inputs, attributes: _Attributes) -> int:
    x, pads = inputs[0], [max(int(p), 0) for p in _numbers(inputs[1])]
    axes = _numbers(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else range(len(x.shape))
    sizes = list(x.shape)
    for axis, begin, end in zip(axes, pads[: len(pads) // 2], pads[len(pads) // 2 :]):
        sizes[axis] += begin + end
    return prod(sizes)


def _resize(inputs: _Inputs, attributes: _Attributes) -> int:
    out = list(inputs[0].shape)
    axes = attributes.get("axes") or range(len(out))
    if len(inputs) > 3 and inputs[3] is not None:
        sizes = [abs(int(size)) for size in _numbers(inputs[3])]
    else:
        sizes = [ceil(out[axis] * abs(scale)) for axis, scale in zip(axes, _numbers(inputs[2]))]
    for axis, size in zip(axes, sizes):
        out[axis] = max(size, out[axis])
    return prod(out)


def _gather(inputs: _Inputs, attributes: _Attributes) -> int:
    x, axis = inputs[0], attributes.get("axis", 0)
    return int(prod(inputs[1].shape) * prod(size for i, size in enumerate(x.shape) if i != axis % len(x.shape)))


def _gather_nd(inputs: _Inputs, attributes: _Attributes) -> int:
    x, indices = inputs[0], inputs[1]
    depth = indices.shape[-1] + attributes.get("batch_dims", 0)
    return int(prod(indices.shape[:-1]) * prod(x.shape[depth:]))


def _conv(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    kernel = inputs[1].shape
    return _window(inputs[0].shape, kernel[:-2], kernel[-1], prod(kernel[:-1]), attributes)


def _pool(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    x, kernel = inputs[0].shape, attributes["kernel_shape"]
    elements, products = _window(x, kernel, x[-1], prod(kernel), attributes)
    return max(elements, prod(kernel)), products


def _window(
    x: Sequence[int], kernel: Sequence[int], channels: int, taps: int, attributes: _Attributes
) -> tuple[int, int]:
    """The padded input and the output, each element of which is a sum over the taps."""
    geometry = (attributes.get("strides"), attributes.get("dilations"), attributes.get("pads"))
    win = window(x[1:-1], kernel, *geometry, attributes.get("auto_pad", "NOTSET"))
    padded = prod(size + begin + end for size, (begin, end) in zip(x[1:-1], win.pads))
    results = prod(win.out) * channels
    return x[0] * max(padded * x[-1], results), x[0] * results * taps


def _conv_transpose(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    x, w = inputs[0].shape, inputs[1].shape
    ones = [1] * (len(x) - 2)
    strides, dilations = attributes.get("strides") or ones, attributes.get("dilations") or ones
    axes = zip(strides, x[1:-1], dilations, w[:-2], attributes.get("output_padding") or [0] * len(ones))
    room = prod(abs(s * (n - 1) + d * (k - 1) + 1) + abs(e) for s, n, d, k, e in axes)
    return int(x[0] * room * w[-2] * abs(attributes.get("group", 1))), prod(x) * prod(w[:-1])


def _matmul(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    a, b = inputs[0].shape, inputs[1].shape
    rows, columns = (a[-2] if len(a) > 1 else 1), (b[-1] if len(b) > 1 else 1)
    results = prod(broadcast_shapes(a[:-2], b[:-2])) * rows * columns
    return results, results * a[-1]


def _gemm(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    a, b = inputs[0].shape, inputs[1].shape
    columns = b[0 if attributes.get("transB") else 1]
    return a[1 if attributes.get("transA") else 0] * columns, prod(a) * columns


def _dense(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    x, columns = inputs[0].shape, inputs[1].shape[-1]
    return prod(x[:-1]) * columns, prod(x) * columns


def _einsum(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    """Two by two, each with each: the order is NumPy's choice."""
    left, _, result = attributes["equation"].replace(" ", "").partition("->")
    sizes = [dict(zip(term, x.shape)) for term, x in zip(left.split(","), inputs)]
    whole = {letter: size for each in sizes for letter, size in each.items()}
    pairs = [prod({**a, **b}.values()) for i, a in enumerate(sizes) for b in sizes[i + 1 :]]
    return 0 if "." in left else prod(whole[letter] for letter in result), sum(pairs) or prod(whole.values())


def _recurrent(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    x, w, r = (array.shape for array in inputs[:3])
    steps, batch = (x[1], x[0]) if attributes.get("layout") else x[:2]
    return _largest(inputs, attributes), steps * (batch * (prod(w) + prod(r)) + 10 * _CALL)


def _suppression(inputs: _Inputs, attributes: _Attributes) -> tuple[int, int]:
    scores = inputs[1].shape
    return _largest(inputs, attributes), prod(scores) * scores[-1]


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("Flatten", "Identity", "If", "Loop", "Scan", "Shape", "Size", "Slice"), lambda inputs, _: 0),
    **dict.fromkeys(("Squeeze", "Transpose", "Unsqueeze"), lambda inputs, _: 0),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    "Concat": lambda inputs, _: sum(prod(x.shape) for x in inputs if x is not None),
    "ConstantOfShape": lambda inputs, _: _product(inputs[0]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dense": _dense,
    "Det": _each(lambda inputs, _: inputs[0].shape[-1]),
    "Einsum": _einsum,
    "Expand": lambda inputs, _: max(prod(inputs[0].shape), _product(inputs[1])),
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "LRN": _each(lambda _, attributes: attributes.get("size", 1)),
    "MatMul": _matmul,
    "NonMaxSuppression": _suppression,
    "NonZero": lambda inputs, _: prod(inputs[0].shape) * max(len(inputs[0].shape), 1) * _WIDEST,
    "OneHot": lambda inputs, _: prod(inputs[0].shape) * abs(int(_numbers(inputs[1])[0])),
    "Pad": _pad,
    "Range": _range,
    "Resize": _resize,
    "Tile": lambda inputs, _: prod(inputs[0].shape) * _product(inputs[1]),
}
"""What isn't as `_largest` says; Reshape is, as it may have to copy."""
