"""Arrays of strings: `str` objects while something is computed, UTF-8 in the tensors of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["array_of", "tensor_of"]

_Array = npt.NDArray[Any]


def tensor_of(array: _Array, name: str) -> ir.TensorProtocol:
    """A tensor with this array, of strings or of anything else."""
    if array.dtype != object:
        return ir.Tensor(array, name=name)  # without the instance checks of `ir.tensor`, which take ten times as long
    items = [item.encode("utf-8") if isinstance(item, str) else bytes(item) for item in array.reshape(-1)]
    return ir.StringTensor(items, shape=ir.Shape(array.shape), name=name)


def array_of(tensor: ir.TensorProtocol) -> _Array:
    """The array in a tensor; strings are `str` objects."""
    array = tensor.numpy()
    if tensor.dtype != ir.DataType.STRING:
        return array
    found = np.empty(array.size, object)
    found[:] = [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in array.reshape(-1)]
    return found.reshape(tuple(tensor.shape.numpy()))
