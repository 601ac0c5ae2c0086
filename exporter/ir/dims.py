"""Dimensions: an int, or an `onnx_ir.SymbolicDim` where the size is known only at run time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import onnx_ir as ir

__all__ = ["UNKNOWN", "Dim", "Dims", "ceil_div", "dims_of", "floor_div", "normal", "product", "same_dim", "to_shape"]

Dim = int | ir.SymbolicDim
Dims = tuple[Dim, ...]

UNKNOWN = ir.SymbolicDim(None)

_LONGEST_EXPRESSION = 80

_MULTIPLE = re.compile(r"(\d+)\*([A-Za-z_]\w*)")
"""`7*N`."""


def dims_of(shape: Iterable[object]) -> Dims:
    """Dimensions from ints, names (str) and None for unknown."""
    dims: list[Dim] = []
    for size in shape:
        if isinstance(size, int | ir.SymbolicDim):
            dims.append(size)
        elif size is None or isinstance(size, str):
            dims.append(ir.SymbolicDim(size))
        else:
            raise TypeError(f"a dimension is an int, a name or None, not {size!r}")
    return tuple(dims)


def to_shape(dims: Sequence[Dim] | None) -> ir.Shape | None:
    """The same as an `onnx_ir.Shape`; None, an unknown rank, stays None."""
    return None if dims is None else ir.Shape(dims)


def same_dim(a: Dim, b: Dim) -> bool:
    """Whether two dimensions are certainly equal; an unknown one equals nothing, not even itself."""
    if isinstance(a, ir.SymbolicDim) and a.value is None:
        return False
    return bool(a == b)


def normal(dim: Dim) -> Dim:
    """An int where symbolic arithmetic has come out as a plain number, as in `N - N`."""
    if isinstance(dim, ir.SymbolicDim) and dim.value is not None and dim.value.lstrip("-").isdigit():
        return int(dim.value)
    return dim


def floor_div(a: Dim, b: int) -> Dim:
    """`floor(a / b)`."""
    if isinstance(a, int):
        return a // b
    if b == 1 or a.value is None:
        return a
    multiple = _MULTIPLE.fullmatch(a.value)
    if multiple is not None and int(multiple[1]) % b == 0:
        times = int(multiple[1]) // b
        return ir.SymbolicDim(multiple[2] if times == 1 else f"{times}*{multiple[2]}")
    expression = f"floor(({a.value})/{b})"
    # a nested expression nobody can read is as good as an unknown size
    return ir.SymbolicDim(expression if len(expression) <= _LONGEST_EXPRESSION else None)


def ceil_div(a: Dim, b: int) -> Dim:
    """`ceil(a / b)`."""
    return a if b == 1 else floor_div(normal(a + (b - 1)), b)


def product(dims: Iterable[Dim]) -> Dim:
    """The product of dimensions, 1 of none."""
    result: Dim = 1
    for dim in dims:
        if isinstance(dim, int) and dim == 1:
            continue
        result = dim if isinstance(result, int) and result == 1 else result * dim
    return normal(result)
