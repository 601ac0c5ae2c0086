"""LSTM, GRU and RNN with ONNX's order of gates, weights and outputs; the engine has faster ones.

X[T, N, I] (layout 0) or [N, T, I] (layout 1), W[D, G*H, I], R[D, G*H, H], B[D, 2*G*H] of D = 1 or 2 directions.
Y[T, D, N, H] or [N, T, D, H] holds every step, Y_h[D, N, H] or [N, D, H] the last one. Steps past a sequence's
length leave its state as it is and give zeros; the reverse direction begins at the sequence's own end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from runtime.kernels.activation import OPS as ACTIVATIONS
from runtime.kernels.base import Array, Function
from runtime.kernels.indexing import reverse_sequence

__all__ = ["DIRECTIONS", "OPS", "biases"]

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""For each direction of a layer whether it goes backwards."""

_TAKE_ALPHA = ("LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu")

Activation = Callable[[Array], Any]
Step = Callable[..., "tuple[Array, ...]"]
"""A step of direction d: from d, a part [N, I] of x and the states [N, H] before it the states after it."""


def _functions(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[Activation]:
    """The activations by name; alphas and betas are handed out in order to those that take one."""
    left, right = list(alphas), list(betas)
    found: list[Activation] = []
    for name in names:
        if name != "Tanh" and name not in ACTIVATIONS:
            raise ValueError(f"activation {name!r} is not one of Tanh, {', '.join(sorted(ACTIVATIONS))}")
        given: dict[str, float] = {}
        if name in _TAKE_ALPHA and left:
            given["alpha"] = left.pop(0)
        if name == "HardSigmoid" and right:
            given["beta"] = right.pop(0)
        found.append(np.tanh if name == "Tanh" else partial(ACTIVATIONS[name], **given))
    return found


def _run(
    step: Step, x: Array, r: Array, lengths: Array | None, states: Sequence[Array | None], direction: str, layout: int
) -> tuple[Array, ...]:
    """Y and the last states, the first of which is the output, of all directions."""
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}, expected one of {', '.join(DIRECTIONS)}")
    x = np.swapaxes(x, 0, 1) if layout else x
    steps, batch = x.shape[:2]
    ends = np.full(batch, steps) if lengths is None else lengths
    y = np.zeros((steps, len(r), batch, r.shape[2]), x.dtype)
    last = []
    for d, backwards in enumerate(DIRECTIONS[direction]):
        state = [np.zeros(y.shape[2:], x.dtype) if s is None else (s[:, d] if layout else s[d]) for s in states]
        for time, row in enumerate(reverse_sequence(x, ends) if backwards else x):
            going = (time < ends)[:, None]
            state = [np.where(going, new, old) for new, old in zip(step(d, row, *state), state)]
            y[time, d] = np.where(going, state[0], 0)
        y[:, d] = reverse_sequence(y[:, d], ends) if backwards else y[:, d]
        last.append(state)
    after = (np.stack(values, axis=1 if layout else 0) for values in zip(*last))
    return (y.transpose(2, 0, 1, 3) if layout else y, *after)


def biases(b: Array | None, w: Array) -> Array:
    """The biases of the input and of the recurrence: [2, D, G*H]."""
    return np.zeros((2, *w.shape[:2]), w.dtype) if b is None else np.stack(np.split(b, 2, axis=1))


def lstm(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    initial_c: Array | None = None,
    p: Array | None = None,
    *,
    hidden_size: int | None = None,
    direction: str = "forward",
    layout: int = 0,
    activations: Sequence[str] = (),
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    input_forget: int = 0,
) -> tuple[Array, ...]:
    """i, o, f = f(x W + h R + b + P c); c = f c + i g(...); h = o h(c). Gates i, o, f, c; returns Y, Y_h, Y_c."""
    names = activations or ["Sigmoid", "Tanh", "Tanh"] * len(w)
    functions = _functions(names, activation_alpha, activation_beta)
    bias = np.sum(biases(b, w), axis=0, dtype=w.dtype)

    def step(d: int, row: Array, hidden: Array, cell: Array) -> tuple[Any, ...]:
        f, g, h = functions[3 * d : 3 * d + 3]
        i, o, forget, c = np.split(row @ w[d].T + hidden @ r[d].T + bias[d], 4, axis=-1)
        pi, po, pf = (0, 0, 0) if p is None else np.split(p[d], 3)
        i = f(i + pi * cell)
        forget = 1 - i if input_forget else f(forget + pf * cell)
        cell = forget * cell + i * g(c)
        return f(o + po * cell) * h(cell), cell

    return _run(step, x, r, sequence_lens, [initial_h, initial_c], direction, layout)


def gru(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    hidden_size: int | None = None,
    direction: str = "forward",
    layout: int = 0,
    activations: Sequence[str] = (),
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    linear_before_reset: int = 0,
) -> tuple[Array, ...]:
    """z, r = f(x W + h R + b); n = g(x W + b + (r h) R + rb), or r (h R + rb) if linear_before_reset;

    h = (1 - z) n + z h. Gates z, r, n; returns Y, Y_h.
    """
    functions = _functions(activations or ["Sigmoid", "Tanh"] * len(w), activation_alpha, activation_beta)
    wb, rb = biases(b, w)
    cut = 2 * r.shape[2]

    def step(d: int, row: Array, hidden: Array) -> tuple[Any, ...]:
        f, g = functions[2 * d : 2 * d + 2]
        given = row @ w[d].T + wb[d]
        matrix, bias = r[d, cut:].T, rb[d, cut:]
        z, reset = np.split(f(given[:, :cut] + hidden @ r[d, :cut].T + rb[d, :cut]), 2, axis=-1)
        new = reset * (hidden @ matrix + bias) if linear_before_reset else (reset * hidden) @ matrix + bias
        return ((1 - z) * g(given[:, cut:] + new) + z * hidden,)

    return _run(step, x, r, sequence_lens, [initial_h], direction, layout)


def rnn(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    hidden_size: int | None = None,
    direction: str = "forward",
    layout: int = 0,
    activations: Sequence[str] = (),
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
) -> tuple[Array, ...]:
    """h = f(x W + h R + b). Returns Y, Y_h."""
    functions = _functions(activations or ["Tanh"] * len(w), activation_alpha, activation_beta)
    bias = np.sum(biases(b, w), axis=0, dtype=w.dtype)

    def step(d: int, row: Array, hidden: Array) -> tuple[Any, ...]:
        return (functions[d](row @ w[d].T + hidden @ r[d].T + bias[d]),)

    return _run(step, x, r, sequence_lens, [initial_h], direction, layout)


OPS: dict[str, Function] = {"GRU": gru, "LSTM": lstm, "RNN": rnn}
