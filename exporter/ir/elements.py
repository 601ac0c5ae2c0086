"""The contents of small integer tensors, as far as they are known while a graph is built: for `tf.shape` arithmetic.

Elements are a NumPy array: of a plain dtype where all are known numbers, of dtype object where some are `SymbolicDim`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.dims import Dims, normal, product

__all__ = ["Elements", "of_shape", "symbolic"]

Elements = npt.NDArray[Any]

_TOO_LARGE = 1 << 63

_Inputs = Sequence[Elements]
_Attributes = Mapping[str, Any]


def of_shape(dims: Dims) -> Elements:
    """The contents of `Shape(x)`: int64 where every dimension is known."""
    if all(isinstance(dim, int) for dim in dims):
        return np.array(dims, np.int64)
    return _object(list(dims), (len(dims),))


def symbolic(op_type: str, inputs: Sequence[Elements | None], attributes: _Attributes) -> Elements | None:
    """What an op makes of elements of which some are symbols; None where nothing is known of the result."""
    rule = RULES.get(op_type)
    if rule is None or not inputs or inputs[0] is None:
        return None
    if any(known is None for known in inputs):
        return None
    try:
        result = rule([known for known in inputs if known is not None], attributes)
    except (TypeError, ValueError, IndexError):  # arithmetic that symbols don't have
        return None
    return None if result is None else _settle(result)


def _object(items: Sequence[Any], shape: tuple[int, ...]) -> Elements:
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def _settle(array: Elements) -> Elements | None:
    """Plain int64 where no symbol is left; None where a symbol has become unknown altogether."""
    items = [normal(item) if isinstance(item, ir.SymbolicDim) else item for item in array.reshape(-1)]
    if any(isinstance(item, ir.SymbolicDim) and item.value is None for item in items):
        return None if all(isinstance(item, ir.SymbolicDim) for item in items) else _object(items, array.shape)
    if all(isinstance(item, int | np.integer) for item in items):
        return np.array(items, np.int64).reshape(array.shape)
    return _object(items, array.shape)


def _elementwise(function: Callable[[Any, Any], Any]) -> Callable[[_Inputs, _Attributes], Elements]:
    def rule(inputs: _Inputs, attributes: _Attributes) -> Elements:
        a, b = np.broadcast_arrays(*[array.astype(object) for array in inputs])
        results = [function(p, q) for p, q in zip(a.reshape(-1), b.reshape(-1), strict=True)]
        if any(isinstance(result, int) and abs(result) >= _TOO_LARGE for result in results):
            # squaring again and again would make endless ones
            raise ValueError("an integer of more than 64 bits")
        return _object(results, a.shape)

    return rule


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, ir.SymbolicDim) and isinstance(b, ir.SymbolicDim) and a == b:
        return 1
    return a // b if isinstance(a, ir.SymbolicDim) else int(a / b)


def _integer(inputs: _Inputs, index: int) -> list[int]:
    items = inputs[index].reshape(-1)
    if any(isinstance(item, ir.SymbolicDim) for item in items):
        raise TypeError("a symbol is no integer")
    return [int(item) for item in items]


def _gather(inputs: _Inputs, attributes: _Attributes) -> Elements:
    return np.asarray(np.take(inputs[0], inputs[1].astype(np.int64), axis=attributes.get("axis", 0)), object)


def _slice(inputs: _Inputs, attributes: _Attributes) -> Elements:
    starts, ends = _integer(inputs, 1), _integer(inputs, 2)
    axes = _integer(inputs, 3) if len(inputs) > 3 else list(range(len(starts)))
    steps = _integer(inputs, 4) if len(inputs) > 4 else [1] * len(starts)
    index = [slice(None)] * inputs[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        index[axis] = slice(start, end, step)
    return inputs[0][tuple(index)]


def _concat(inputs: _Inputs, attributes: _Attributes) -> Elements:
    return np.concatenate([array.astype(object) for array in inputs], axis=attributes["axis"])


def _reshape(inputs: _Inputs, attributes: _Attributes) -> Elements:
    return inputs[0].reshape(_integer(inputs, 1))


def _squeeze(inputs: _Inputs, attributes: _Attributes) -> Elements:
    axes = tuple(_integer(inputs, 1)) if len(inputs) > 1 else None
    return np.squeeze(inputs[0], axis=axes)


def _unsqueeze(inputs: _Inputs, attributes: _Attributes) -> Elements:
    return np.expand_dims(inputs[0], tuple(_integer(inputs, 1)))


def _reduce_prod(inputs: _Inputs, attributes: _Attributes) -> Elements | None:
    if inputs[0].ndim > 1:
        return None
    total = product(inputs[0].reshape(-1))
    return _object([total], (1,) * inputs[0].ndim if attributes.get("keepdims", 1) else ())


def _cast(inputs: _Inputs, attributes: _Attributes) -> Elements | None:
    integer = attributes["to"] in (ir.DataType.INT32, ir.DataType.INT64)
    return inputs[0] if integer else None


def _identity(inputs: _Inputs, attributes: _Attributes) -> Elements:
    return inputs[0]


RULES: dict[str, Callable[[_Inputs, _Attributes], Elements | None]] = {
    "Add": _elementwise(lambda a, b: a + b),
    "Cast": _cast,
    "Concat": _concat,
    "Div": _elementwise(_divide),
    "Gather": _gather,
    "Identity": _identity,
    "Mod": _elementwise(lambda a, b: a % b),
    "Mul": _elementwise(lambda a, b: a * b),
    "ReduceProd": _reduce_prod,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _elementwise(lambda a, b: a - b),
    "Unsqueeze": _unsqueeze,
}
