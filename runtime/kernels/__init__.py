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
from runtime.kernels.base import Array, Kernel, exact, in_float

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


_CALCULATING = (activation, convolution, detection, elementwise, linear, logic, normalization, pooling, recurrent)
_MOVING = (cast, control, indexing, shape, text)

KERNELS: dict[str, Kernel] = merge(
    [
        *({name: in_float(f) for name, f in module.OPS.items()} for module in (*_CALCULATING, reduction, resize)),
        *({name: exact(f) for name, f in module.OPS.items()} for module in _MOVING),
    ]
)
"""Every operator that a plan may name."""
