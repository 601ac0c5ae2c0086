"""Rounds weights to float16, for who has little room for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.ir.half import HalfTensor

__all__ = ["RoundedWeights", "round_weights"]

_WEIGHTS = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Dense": (1,),
    "Einsum": (0, 1),
    "GRU": (1, 2),
    "Gather": (0,),
    "Gemm": (0, 1),
    "LSTM": (1, 2),
    "MatMul": (0, 1),
    "RNN": (1, 2),
}
"""Which inputs of an op are weights: what is multiplied and added up, or looked up in a table."""

_LARGEST = float(np.finfo(np.float16).max)
_MOST = 2.0**-10
"""The root mean square of what rounding changes, as a share of that of the weights: usual are 2**-12. It grows where
the weights are so small that float16 has few digits for them, or none."""


@dataclass(frozen=True)
class RoundedWeights:
    """What has become of each weight tensor in float32.

    Attributes:
        rounded: Those that are float16 numbers now.
        kept: Those that are as they were, each with the reason.
    """

    rounded: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]


def round_weights(model: ir.Model) -> RoundedWeights:
    """Rounds every kernel, matrix and table of weights to the nearest float16 numbers; they stay float32 in the model.

    Vectors stay as they are: biases and statistics are few, and much depends on each. So does a tensor with numbers
    beyond the range of float16, or mostly below it.
    """
    rounded, kept = [], []
    for value in dict.fromkeys(_weights(model)):
        name, tensor = str(value.name), value.const_value
        assert tensor is not None
        array = tensor.numpy()
        largest = float(np.max(np.abs(array), initial=0.0))
        if not largest <= _LARGEST:
            kept.append((name, f"it has {largest:.3g}, and float16 ends at {_LARGEST:.0f}"))
            continue
        half, wide = array.astype(np.float16), array.astype(np.float64)
        usual = float(np.sqrt(np.mean(np.square(wide)))) if array.size else 0.0
        change = float(np.sqrt(np.mean(np.square(half - wide)))) if array.size else 0.0
        if change > _MOST * usual:
            digits = f"its numbers are about {usual:.2g}, for which float16 has too few digits: off by {change:.2g}"
            kept.append((name, digits))
            continue
        value.const_value = HalfTensor(half, tensor.name)
        rounded.append(name)
    return RoundedWeights(tuple(rounded), tuple(kept))


def _weights(model: ir.Model) -> Iterator[ir.Value]:
    """The matrices of weights in float32, those in subgraphs included."""
    for node in model.graph.all_nodes():
        for place in _WEIGHTS.get(node.op_type, ()):
            value = node.inputs[place] if place < len(node.inputs) else None
            if value is None or not value.is_initializer() or value.const_value is None:
                continue
            if value.const_value.dtype == ir.DataType.FLOAT and len(value.const_value.shape) >= 2:
                yield value
