"""What onnxruntime can't compute in double precision: TensorFlow models of float64 may be right, and yet be refused."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["note_on_doubles"]

_NO_KERNEL = frozenset(
    {
        *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Celu", "Conv", "ConvTranspose", "Cosh"),
        *("Det", "Elu", "Erf", "GRU", "GlobalAveragePool", "GridSample", "HardSigmoid", "HardSwish"),
        *("InstanceNormalization", "LRN", "LSTM", "Mish", "RNN", "Resize", "Selu", "Sinh", "Softplus", "Softsign"),
        *("Tan", "ThresholdedRelu"),
    }
)
"""Ops that onnxruntime 1.31's CPU kernels have for float32, and not for float64."""


def note_on_doubles(model: ir.Model) -> tuple[str, ...]:
    """A sentence for the report on those ops of a standard ONNX model; nothing if there are none."""
    found = set()
    for node in model.graph.all_nodes():
        x = node.inputs[0] if node.op_type in _NO_KERNEL and node.inputs else None
        if x is not None and x.dtype == ir.DataType.DOUBLE:
            found.add(node.op_type)
    if not found:
        return ()
    ops = ", ".join(sorted(found))
    refused = f"onnxruntime's CPU kernels have no {ops} of float64, so it refuses the ONNX file"
    return (f"{refused}; the bundle computes it with NumPy",)
