"""One NumPy meaning for each operator, by its name: `KERNELS[op](inputs, attributes) -> outputs`.

The operators are those of the IR: ONNX's of opset 18, and those of the domain channels_last, whose tensors are
[N, *spatial, C]. A kernel works in the float type of its inputs; half precision is calculated in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runtime.kernels import (
    activation,
    cast,
    control,
    convolution,
    detection,
    elementwise,
    indexing,
    linear,
    logic,
    normalization,
    pooling,
    recurrent,
    reduction,
    resize,
    shape,
    text,
)
from runtime.kernels.base import Array, Function, Kernel, exact, in_float

__all__ = ["KERNELS", "Array", "Kernel", "merge"]


def merge(tables: Iterable[Mapping[str, Kernel]]) -> dict[str, Kernel]:
    """One table of all; a name in two of them is a mistake in this package."""
    merged: dict[str, Kernel] = {}
    for table in tables:
        twice = merged.keys() & table.keys()
        if twice:
            raise ValueError(f"two kernels for {', '.join(sorted(twice))}")
        merged.update(table)
    return merged


def _calculating(functions: Mapping[str, Function]) -> dict[str, Kernel]:
    return {name: in_float(function) for name, function in functions.items()}


def _moving(functions: Mapping[str, Function]) -> dict[str, Kernel]:
    return {name: exact(function) for name, function in functions.items()}


KERNELS: dict[str, Kernel] = merge(
    [
        _calculating(activation.OPS),
        _calculating(convolution.OPS),
        _calculating(detection.OPS),
        _calculating(elementwise.OPS),
        _calculating(linear.OPS),
        _calculating(logic.OPS),
        _calculating(normalization.OPS),
        _calculating(pooling.OPS),
        _calculating(recurrent.OPS),
        _calculating(reduction.OPS),
        _calculating(resize.OPS),
        _moving(cast.OPS),
        _moving(control.OPS),
        _moving(indexing.OPS),
        _moving(shape.OPS),
        _moving(text.OPS),
    ]
)
"""Every operator that a plan may name."""
