"""Weights that are float32 to a model and float16 where they are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["HalfTensor"]


class HalfTensor(ir.LazyTensor):
    """A float32 tensor of numbers that float16 has, too.

    Attributes:
        half: The numbers in float16; `numpy()` widens them at each call.
    """

    def __init__(self, half: npt.NDArray[np.float16], name: str | None) -> None:
        super().__init__(self._widened, ir.DataType.FLOAT, ir.Shape(half.shape), name=name)
        self.half: npt.NDArray[Any] = half

    def _widened(self) -> ir.TensorProtocol:
        return ir.Tensor(self.half.astype(np.float32), name=self.name)
