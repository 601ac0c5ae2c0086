"""Numbers moved as little as their type allows: what other rounding does to a model, seen from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.opset import record_of

__all__ = ["nudged", "nudged_kernels"]

Array = npt.NDArray[Any]

_PERIOD = 4099


def nudged(feeds: Mapping[str, Array], seed: int = 0) -> dict[str, Array]:
    """The same inputs with each float one unit in the last place up or down, but for whole numbers.

    A 0 or 1 that masks, a class or a count is exact: to move it would be another input, not rounding.
    """
    signs = _signs(seed)
    return {name: _nudged(array, signs) if array.dtype.kind == "f" else array for name, array in feeds.items()}


@contextmanager
def nudged_kernels(model: ir.Model, seed: int = 0) -> Iterator[None]:
    """The model with each weight of its linear ops one unit in the last place up or down, for as long as it takes.

    Every product is rounded by about as much; inputs stay as they are, since what is exact in the model, such as the
    difference of two large numbers, is no noise.
    """
    signs, before = _signs(seed), dict[ir.Value, ir.TensorProtocol | None]()
    for node in model.graph:
        for value in node.inputs[:2] if record_of(node.op_type).weights else ():
            array = constant_array(value)
            if value is not None and value not in before and array is not None and array.dtype.kind == "f":
                before[value] = value.const_value
                value.const_value = ir.tensor(_nudged(array, signs), name=value.name)
    try:
        yield
    finally:
        for value, tensor in before.items():
            value.const_value = tensor


def _signs(seed: int) -> Array:
    return np.asarray(np.random.RandomState(seed).randint(0, 2, _PERIOD) * 2 - 1)


def _nudged(array: Array, signs: Array) -> Array:
    """Each number to one of its neighbours, by a repeated pattern of signs."""
    unit = np.spacing(np.abs(array)) * np.resize(signs, array.shape).astype(array.dtype)
    return np.where(array == np.rint(array), array, array + unit)
