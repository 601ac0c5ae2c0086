"""Reductions over axes: `axes` is an input; without it all axes, or none if noop_with_empty_axes is 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from runtime.kernels.base import Array, Function, mean_over

__all__ = ["OPS"]


def _reduction(function: Callable[..., Any], *, before: Callable[..., Any] | None = None) -> Function:
    """A kernel of `function(x, axis=, keepdims=)`; `before` is what an empty list of axes still applies."""

    def kernel(x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array:
        if (axes is None or not axes.size) and noop_with_empty_axes:
            return x if before is None else np.asarray(before(x), dtype=x.dtype)
        axis = tuple(range(x.ndim)) if axes is None or not axes.size else tuple(axes.ravel().tolist())
        return np.asarray(function(x, axis=axis, keepdims=bool(keepdims)), dtype=x.dtype)

    return kernel


def _mean(x: Array, **where: Any) -> Any:
    if x.dtype.kind == "f":
        return mean_over(x, **where)
    total = np.sum(x, dtype=np.int64, **where)
    count = x.size // max(np.size(total), 1)
    return np.trunc(total / max(count, 1))


def _extreme(function: Callable[..., Any], of_nothing: Callable[[np.dtype[Any]], Any]) -> Callable[..., Any]:
    """Max or min; over no elements it is the type's lowest or highest value."""

    def reduce(x: Array, **where: Any) -> Any:
        return function(x, initial=of_nothing(x.dtype), **where) if not x.size else function(x, **where)

    return reduce


def _lowest(dtype: np.dtype[Any]) -> Any:
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _highest(dtype: np.dtype[Any]) -> Any:
    return np.inf if dtype.kind == "f" else True if dtype.kind == "b" else np.iinfo(dtype).max


def _sum(x: Array, **where: Any) -> Any:
    return np.sum(x, dtype=x.dtype, **where)


def _log_sum_exp(x: Array, *, axis: Any, keepdims: bool) -> Any:
    highest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(highest), highest, 0).astype(x.dtype)
    total = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else np.squeeze(total, axis=axis)


OPS: dict[str, Function] = {
    "ReduceL1": _reduction(lambda x, **where: _sum(np.abs(x), **where), before=np.abs),
    "ReduceL2": _reduction(lambda x, **where: np.sqrt(_sum(x * x, **where)), before=np.abs),
    "ReduceLogSum": _reduction(lambda x, **where: np.log(_sum(x, **where)), before=np.log),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceMax": _reduction(_extreme(np.max, _lowest)),
    "ReduceMean": _reduction(_mean),
    "ReduceMin": _reduction(_extreme(np.min, _highest)),
    "ReduceProd": _reduction(lambda x, **where: np.prod(x, dtype=x.dtype, **where)),
    "ReduceSum": _reduction(_sum),
    "ReduceSumSquare": _reduction(lambda x, **where: _sum(x * x, **where), before=np.square),
}
