"""How many bytes an operator's results, and what it makes on the way, take: known before it is computed.

Inputs are arrays, or what has their `shape`, `dtype` and, where the contents are known, `array`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, isfinite, prod
from typing import Any

from runtime.kernels.base import broadcast_shapes
from runtime.kernels.window import window

__all__ = ["nbytes"]

_Inputs = Sequence[Any]
_Attributes = Mapping[str, Any]

_WIDEST = 8


def nbytes(op: str, inputs: _Inputs, attributes: _Attributes) -> int:
    """Bytes of the largest arrays that computing `op` makes; 0 where the kernel will refuse the inputs anyway."""
    given = [x for x in inputs if x is not None]
    if not given:
        return 0
    rule = _RULES.get(op)
    try:
        count = _largest(given) if rule is None else rule(inputs, attributes)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return 0
    return int(count * max(min(x.dtype.itemsize, _WIDEST) for x in given))


def _largest(given: Sequence[Any]) -> int:
    """Elementwise, with broadcasting; what only moves or reduces its input makes no more than it."""
    shapes = {x.shape for x in given}
    if len(shapes) == 1:
        return prod(next(iter(shapes)))
    sizes = max(map(prod, shapes))
    try:
        return max(sizes, prod(broadcast_shapes(*shapes)))
    except ValueError:
        return sum(map(prod, shapes))


def _numbers(x: Any) -> list[Any]:
    """The contents of a small input; ValueError where they aren't known."""
    array = getattr(x, "array", x)
    if array is None:
        raise ValueError("not known yet")
    found = array.reshape(-1).tolist()
    return found if isinstance(found, list) else [found]


def _of_shape(inputs: _Inputs, attributes: _Attributes) -> int:
    return abs(prod(map(int, _numbers(inputs[0]))))


def _expand(inputs: _Inputs, attributes: _Attributes) -> int:
    return int(max(prod(inputs[0].shape), abs(prod(map(int, _numbers(inputs[1]))))))


def _tile(inputs: _Inputs, attributes: _Attributes) -> int:
    return int(prod(inputs[0].shape) * abs(prod(map(int, _numbers(inputs[1])))))


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


def _one_hot(inputs: _Inputs, attributes: _Attributes) -> int:
    return int(prod(inputs[0].shape) * abs(int(_numbers(inputs[1])[0])))


def _resize(inputs: _Inputs, attributes: _Attributes) -> int:
    x = inputs[0]
    if len(inputs) > 3 and inputs[3] is not None:
        sizes = [abs(int(size)) for size in _numbers(inputs[3])]
    else:
        scales = _numbers(inputs[2])
        axes = attributes.get("axes") or range(len(x.shape))
        sizes = [ceil(x.shape[axis] * abs(scale)) for axis, scale in zip(axes, scales)]
    axes = attributes.get("axes") or range(len(x.shape))
    out = list(x.shape)
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


def _conv(inputs: _Inputs, attributes: _Attributes) -> int:
    x, w = inputs[0], inputs[1]
    return _window(x.shape, w.shape[:-2], w.shape[-1], attributes)


def _pool(inputs: _Inputs, attributes: _Attributes) -> int:
    x = inputs[0]
    taps = prod(attributes["kernel_shape"])
    return max(_window(x.shape, attributes["kernel_shape"], x.shape[-1], attributes), taps)


def _window(shape: Sequence[int], kernel: Sequence[int], channels: int, attributes: _Attributes) -> int:
    """The padded input and the output."""
    geometry = (attributes.get("strides"), attributes.get("dilations"), attributes.get("pads"))
    win = window(shape[1:-1], kernel, *geometry, attributes.get("auto_pad", "NOTSET"))
    padded = prod(size + begin + end for size, (begin, end) in zip(shape[1:-1], win.pads))
    return shape[0] * max(padded * shape[-1], prod(win.out) * channels)


def _conv_transpose(inputs: _Inputs, attributes: _Attributes) -> int:
    x, w = inputs[0], inputs[1]
    rank = len(x.shape) - 2
    ones = [1] * rank
    strides, dilations = attributes.get("strides") or ones, attributes.get("dilations") or ones
    extra = attributes.get("output_padding") or [0] * rank
    axes = zip(strides, x.shape[1:-1], dilations, w.shape[:-2], extra)
    room = prod(abs(s * (n - 1) + d * (k - 1) + 1) + abs(e) for s, n, d, k, e in axes)
    return int(x.shape[0] * room * w.shape[-2] * abs(attributes.get("group", 1)))


def _matmul(inputs: _Inputs, attributes: _Attributes) -> int:
    a, b = inputs[0].shape, inputs[1].shape
    rows, columns = (a[-2] if len(a) > 1 else 1), (b[-1] if len(b) > 1 else 1)
    return prod(broadcast_shapes(a[:-2], b[:-2])) * rows * columns


def _gemm(inputs: _Inputs, attributes: _Attributes) -> int:
    a, b = inputs[0].shape, inputs[1].shape
    return int(a[1 if attributes.get("transA") else 0] * b[0 if attributes.get("transB") else 1])


def _dense(inputs: _Inputs, attributes: _Attributes) -> int:
    return int(prod(inputs[0].shape[:-1]) * inputs[1].shape[-1])


def _einsum(inputs: _Inputs, attributes: _Attributes) -> int:
    terms, _, result = attributes["equation"].replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for term, x in zip(terms.split(","), inputs):
        if "." in term:
            return 0
        sizes.update(zip(term, x.shape))
    return prod(sizes[letter] for letter in result)


def _all(inputs: _Inputs, attributes: _Attributes) -> int:
    return sum(prod(x.shape) for x in inputs if x is not None)


def _indices(inputs: _Inputs, attributes: _Attributes) -> int:
    return int(prod(inputs[0].shape) * max(len(inputs[0].shape), 1) * _WIDEST)


def _nothing(inputs: _Inputs, attributes: _Attributes) -> int:
    return 0


_RULES: dict[str, Callable[[_Inputs, _Attributes], int]] = {
    "AveragePool": _pool,
    "Concat": _all,
    "ConstantOfShape": _of_shape,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dense": _dense,
    "Einsum": _einsum,
    "Expand": _expand,
    "Flatten": _nothing,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "Identity": _nothing,
    "If": _nothing,
    "Loop": _nothing,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "NonZero": _indices,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Resize": _resize,
    "Scan": _nothing,
    "Shape": _nothing,
    "Size": _nothing,
    "Slice": _nothing,
    "Squeeze": _nothing,
    "Tile": _tile,
    "Transpose": _nothing,
    "Unsqueeze": _nothing,
}
"""What may make more than it gets; Reshape is left to the general rule, as it may have to copy."""
