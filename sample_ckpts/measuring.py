"""How sensitive a model is to float32's rounding, and what it computes when it is slightly wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sample_ckpts.oracle import tf

__all__ = ["Array", "Run", "assign", "measure_noise", "plant_error", "read_variables"]

Array = np.ndarray[Any, Any]
Run = Callable[[Sequence[Array]], list[Array]]
_EPSILON = 1e-3
_VARIANCES = re.compile(r"(moving_variance|pop_var\w*|Squeeze_1)(/ExponentialMovingAverage)?(:\d+)?$")


def read_variables(session: Any) -> dict[Any, Array]:
    """The values of all floating-point variables."""
    floating = [variable for variable in tf.global_variables() if variable.dtype.is_floating]
    return dict(zip(floating, session.run(floating), strict=True))


def assign(session: Any, values: Mapping[Any, Array]) -> None:
    """Set variables, in one step."""
    feed = {
        variable.initializer.inputs[1]: value.astype(variable.dtype.base_dtype.as_numpy_dtype)
        for variable, value in values.items()
    }
    session.run([variable.initializer for variable in values], feed)


def measure_noise(
    session: Any, run: Run, inputs: Sequence[Array], outputs: Sequence[Array], rng: np.random.Generator
) -> list[float]:
    """Per output, the largest change when each weight and input moves by one rounding, up or down at random."""
    original = read_variables(session)
    noise = [0.0] * len(outputs)
    for _ in range(4):
        assign(session, {variable: _rounded(value, rng) for variable, value in original.items()})
        moved = run([_rounded(value, rng) for value in inputs])
        noise = [max(n, _distance(a, b)) for n, a, b in zip(noise, outputs, moved, strict=True)]
    assign(session, original)
    return noise


def _rounded(value: Array, rng: np.random.Generator) -> Array:
    if value.dtype.kind != "f":
        return value
    step = 2.0**-24 * rng.choice([-1.0, 1.0], size=value.shape)
    return np.asarray(value * (1 + step), value.dtype)


def _distance(a: Array, b: Array) -> float:
    if a.dtype.kind != "f" or not a.size:
        return 0.0
    return float(np.max(np.abs(a.astype(np.float64) - b)))


def plant_error(session: Any, run: Run, inputs: Sequence[Array], epsilon: float) -> list[Array]:
    """The outputs with epsilon outside the root, or taken as 1e-3; where no variance is read, with weights 0.1 % off.

    A model that normalises by the batch may have variances that it doesn't read.
    """
    original = read_variables(session)
    variances = {v: value for v, value in original.items() if _VARIANCES.search(v.name)}
    if variances:
        right = run(inputs)
        assign(session, {variable: _misplaced(value, epsilon) for variable, value in variances.items()})
        wrong = run(inputs)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(right, wrong, strict=True)):
            return wrong
    assign(session, {variable: value * 1.001 for variable, value in original.items()})
    return run(inputs)


def _misplaced(variance: Array, epsilon: float) -> Array:
    """The variance with which the right formula gives what the wrong one does with the given variance."""
    if epsilon != _EPSILON:
        return variance + (_EPSILON - epsilon)
    return np.asarray((np.sqrt(np.abs(variance)) + epsilon) ** 2 - epsilon)
