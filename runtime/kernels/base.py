"""What a kernel is, and how a plain function becomes one.

A kernel's function is written with the signature that the operator has: its inputs by position, absent ones None,
its attributes by keyword with their defaults. `exact` and `in_float` make the uniform call of it that a plan uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    Array = np.ndarray

__all__ = [
    "Array",
    "Function",
    "Kernel",
    "Signature",
    "broadcast_shapes",
    "exact",
    "in_float",
    "mean_over",
    "number",
    "signature",
    "texts",
]

Kernel = Callable[[Sequence[Optional[Array]], Mapping[str, Any]], "tuple[Array, ...]"]
Function = Callable[..., Union[Array, "tuple[Array, ...]"]]


_VARARGS = 0x04  # inspect.CO_VARARGS, without importing inspect


class Signature(NamedTuple):
    """How an operator may be called.

    Attributes:
        least: Inputs that must be there.
        most: Inputs that may be there; None for any number.
        attributes: Attributes that it knows.
        required: Those among them that have no default.
    """

    least: int
    most: int | None
    attributes: frozenset[str]
    required: frozenset[str]


def exact(function: Function) -> Kernel:
    """The kernel of a function that moves or compares elements, in whatever type they are."""

    @wraps(function)
    def kernel(inputs: Sequence[Array | None], attributes: Mapping[str, Any]) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return _as_tuple(function(*inputs, **attributes))

    return kernel


def in_float(function: Function) -> Kernel:
    """The kernel of a function that calculates: half precision is widened to float32, the results rounded back."""
    plain = exact(function)

    @wraps(function)
    def kernel(inputs: Sequence[Array | None], attributes: Mapping[str, Any]) -> tuple[Array, ...]:
        half = next((x.dtype for x in inputs if x is not None and _is_half(x)), None)
        if half is None:
            return plain(inputs, attributes)
        wide = [x.astype(np.float32) if x is not None and _is_half(x) else x for x in inputs]
        with np.errstate(all="ignore"):  # what is too large becomes infinite
            return tuple(y.astype(half) if y.dtype == np.float32 else y for y in plain(wide, attributes))

    return kernel


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these have together, as NumPy's function from 1.20 on; ValueError if they have none."""
    rank = max(map(len, shapes), default=0)
    whole = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size == 1:
                continue
            if whole[axis] not in (1, size):
                raise ValueError(f"shapes {' and '.join(str(tuple(each)) for each in shapes)} don't go together")
            whole[axis] = size
    return tuple(whole)


def mean_over(x: Array, **where: Any) -> Any:
    """The mean over some axes; over no elements it is NaN, of which NumPy's would warn."""
    return np.mean(x, **where) if x.size else np.divide(np.sum(x, **where), number(x, 0))


def number(x: Array, value: float) -> Array:
    """A constant in the element type of x, which it then doesn't widen in any version of NumPy."""
    return np.asarray(value, dtype=x.dtype)


def texts(items: Iterable[Any], shape: Sequence[int]) -> Array:
    """Strings as an array of `str` objects."""
    found = np.empty(prod(shape), object)
    found[:] = list(items)
    return found.reshape(shape)


def _is_half(x: Array) -> bool:
    """Whether it is float16, or bfloat16, which NumPy knows as a two-byte void or float with that name."""
    return x.dtype.itemsize == 2 and (x.dtype.kind == "f" or x.dtype.name == "bfloat16")


def _as_tuple(result: Array | tuple[Array, ...]) -> tuple[Array, ...]:
    results = result if isinstance(result, tuple) else (result,)
    return tuple(np.asarray(y) for y in results)


def signature(kernel: Kernel) -> Signature:
    """How the function that a kernel was made of may be called."""
    function = kernel.__wrapped__  # type: ignore[attr-defined]
    code = function.__code__
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    variadic = bool(code.co_flags & _VARARGS)
    least = code.co_argcount - len(function.__defaults__ or ())
    optional = frozenset(function.__kwdefaults__ or ())
    return Signature(least, None if variadic else code.co_argcount, frozenset(named), frozenset(named) - optional)
