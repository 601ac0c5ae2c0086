"""Sequences with masks: the steps that count moved to the front, so that ONNX's recurrent ops can skip the others.

Keras leaves the state as it is at a masked step, wherever it lies; ONNX only knows lengths. Running over the unmasked
steps alone, with their number as length, and handing each step the result of its turn is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.ops import Ops

__all__ = ["Compacted", "compact"]


@dataclass(frozen=True)
class Compacted:
    """A sequence without its masked steps.

    Attributes:
        x: [N, T, F], the unmasked steps first, in their order.
        lengths: How many they are, [N], int32.
        turns: [N, T], int64: how many unmasked steps there are up to each step, itself included.
        before: The same without the step itself.
    """

    x: ir.Value
    lengths: ir.Value
    turns: ir.Value
    before: ir.Value

    def spread(self, ops: Ops, y: ir.Value, *, backwards: bool) -> ir.Value:
        """Results [N, T, H] of the unmasked steps, back at all steps: masked ones repeat the one run before.

        Before the first one run it is zeros; y is zero past each length.
        """
        if backwards:
            return _take(ops, y, self.before)
        return _take(ops, ops.pad(y, [0, 1, 0], [0, 0, 0]), self.turns)


def compact(ops: Ops, x: ir.Value, mask: ir.Value) -> Compacted:
    """A sequence x[N, T, F] without the steps at which mask[N, T] is false."""
    counted = ops.cast(mask, ir.DataType.INT64)
    axis = ops.builder.constant(np.array(1, np.int64))
    turns = ops("CumSum", counted, axis)
    steps = ops.vector([ops.size(x, 1)])
    zero, one = (ops.builder.constant(np.array(n, np.int64)) for n in (0, 1))
    numbers = ops("Range", zero, ops.squeeze(steps, 0), one)
    late = ops("Mul", ops("Sub", one, counted), steps)
    order = ops.builder.op_n("TopK", 2, ops("Add", late, numbers), steps, axis=1, largest=0, sorted=1)[1]
    lengths = ops.cast(ops.reduce("ReduceSum", counted, [1], keepdims=False), ir.DataType.INT32)
    return Compacted(_take(ops, x, order), lengths, turns, ops("Sub", turns, counted))


def _take(ops: Ops, x: ir.Value, indices: ir.Value) -> ir.Value:
    """x[n, indices[n, t]] for each n and t."""
    return ops("GatherND", x, ops.unsqueeze(indices, -1), batch_dims=1)
