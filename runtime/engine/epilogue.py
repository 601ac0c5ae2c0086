"""The last steps on a block of results while it is in the cache: bias, sums, activations, stored where they belong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from runtime.kernels import KERNELS
from runtime.kernels.base import Array

try:
    from numpy._core import umath as _umath
except ImportError:  # NumPy 1
    from numpy.core import umath as _umath  # type: ignore[no-redef]

__all__ = ["Finish", "Step", "collapse", "finish"]

Step = Callable[[], Any]
"""What is called when a program runs. Outputs go by position where NumPy takes them so: a keyword costs 0.2 us."""

_clip: Any = getattr(_umath, "clip", np.clip)  # without the wrapper, and several times as fast as np.maximum


class Finish(NamedTuple):
    """One operation on a block.

    Attributes:
        op: `Add`, an activation, or `Swish`.
        other: For `Add`: an array of the block's shape, or one number per channel.
        constants: Further inputs of an activation.
        attributes: Those of the activation.
    """

    op: str
    other: Array | None = None
    constants: Sequence[Array | None] = ()
    attributes: Mapping[str, Any] | None = None


def collapse(array: Array, *shape: int) -> Array | None:
    """The array under another shape, if that needs no copy."""
    other = array.view()
    try:
        other.shape = shape
    except AttributeError:
        return None
    return other


def finish(block: Array, target: Array, finishes: Sequence[Finish], spare: Array | None) -> list[Step]:
    """Steps from `block` to `target`, both [n, h, w, c] or [..., c]; in place if they are the same.

    Args:
        block: What was computed; overwritten.
        target: Where it goes, in whatever strides.
        finishes: What happens on the way.
        spare: Memory of the block's size, for activations that need some.
    """
    if not finishes:
        return [] if block is target else [partial(np.copyto, target, block)]
    others = [f.other if f.other is not None and f.other.ndim > 1 else None for f in finishes]
    full = [array for array in (block, target, *others) if array is not None]
    views, repeat = _flattened(full)
    source, goal, rest = views[0], views[1], iter(views[2:])
    steps: list[Step] = []
    for number, (item, other) in enumerate(zip(finishes, others)):
        out = goal if number == len(finishes) - 1 else source
        operand = next(rest) if other is not None else None if item.other is None else np.tile(item.other, repeat)
        steps += _steps(item, source, operand, out, spare)
    return steps


def _flattened(arrays: Sequence[Array]) -> tuple[list[Array], int]:
    """The arrays in the flattest shape that all can take, and how often its last axis repeats the channels."""
    shape = arrays[0].shape
    if len(shape) >= 3:
        lines = [collapse(array, -1, shape[-2] * shape[-1]) for array in arrays]
        if all(line is not None for line in lines):
            return _rows([line for line in lines if line is not None]), shape[-2]
    return _rows(arrays), 1


def _rows(arrays: Sequence[Array]) -> list[Array]:
    """Without the first axis, if there is but one row."""
    return [array[0] for array in arrays] if arrays[0].ndim == 2 and len(arrays[0]) == 1 else list(arrays)


def _steps(item: Finish, source: Array, operand: Array | None, out: Array, spare: Array | None) -> list[Step]:
    if item.op == "Add":
        return [partial(np.add, source, operand, out)]
    if item.op in ("Relu", "Clip"):
        low, high = _bounds(item, source.dtype)
        return [partial(_clip, source, low, high, out)]
    if item.op in ("Sigmoid", "Swish") and spare is not None:
        room = spare.reshape(-1)[: source.size].reshape(source.shape)
        numerator = source if item.op == "Swish" else source.dtype.type(1)
        return [
            partial(np.negative, source, room),
            partial(np.exp, room, room),
            partial(np.add, room, source.dtype.type(1), room),
            partial(np.divide, numerator, room, out),
        ]
    return [partial(_by_kernel, item, source, out)]


def _bounds(item: Finish, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """As arrays: NumPy takes longer for its own scalars."""
    low, high = (0.0, None) if item.op == "Relu" else (*item.constants, None, None)[:2]
    return (
        np.full((), -np.inf if low is None else np.reshape(low, -1)[0], dtype),
        np.full((), np.inf if high is None else np.reshape(high, -1)[0], dtype),
    )


def _by_kernel(item: Finish, source: Array, out: Array) -> None:
    (result,) = KERNELS[item.op]([source, *item.constants], item.attributes or {})
    np.copyto(out, result)
