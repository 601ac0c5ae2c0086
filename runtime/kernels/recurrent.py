"""LSTM, GRU and RNN with ONNX's order of gates, weights and outputs.

X[T, N, I] (layout 0) or [N, T, I] (layout 1), W[D, G*H, I], R[D, G*H, H], B[D, 2*G*H] of D = 1 or 2 directions.
Y[T, D, N, H] or [N, T, D, H] holds every step, Y_h[D, N, H] or [N, D, H] the last one. Steps past a sequence's
length leave its state as it is and give zeros; the reverse direction begins at the sequence's own end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from runtime.kernels.activation import OPS as ACTIVATIONS
from runtime.kernels.base import Array, Function
from runtime.kernels.indexing import reverse_sequence

__all__ = ["OPS"]

Activation = Callable[[Array], Array]
Step = Callable[..., "tuple[Array, ...]"]

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_TAKE_ALPHA = ("LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu")


def _activations(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[Activation]:
    """The functions by name; alphas and betas are handed out in order to those that take one."""
    left, right = list(alphas), list(betas)
    found: list[Activation] = []
    for name in names:
        given: dict[str, float] = {}
        if name in _TAKE_ALPHA and left:
            given["alpha"] = left.pop(0)
        if name == "HardSigmoid" and right:
            given["beta"] = right.pop(0)
        found.append(_activation(name, given))
    return found


def _activation(name: str, given: dict[str, float]) -> Activation:
    if name == "Tanh":
        return np.tanh
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is not one of Tanh, {', '.join(sorted(ACTIVATIONS))}")
    function = ACTIVATIONS[name]
    return lambda x: np.asarray(function(x, **given))


def _run(
    x: Array,
    lengths: Array | None,
    states: Sequence[Sequence[Array]],
    steps: Sequence[Step],
    *,
    direction: str,
    layout: int,
) -> tuple[Array, ...]:
    """Each direction's step over all of x[T, N, I]; states[d] and steps[d] belong to direction d."""
    if direction not in _DIRECTIONS:
        raise ValueError(f"direction is {direction!r}, expected one of {', '.join(_DIRECTIONS)}")
    x = np.swapaxes(x, 0, 1) if layout else x
    sizes = np.full(x.shape[1], x.shape[0]) if lengths is None else lengths
    ran = [
        _one_way(x, sizes, state, step, backwards=backwards)
        for backwards, state, step in zip(_DIRECTIONS[direction], states, steps)
    ]
    y = np.stack([outputs for outputs, _ in ran], axis=1)
    last = [np.stack(values) for values in zip(*(state for _, state in ran))]
    if layout:
        return (y.transpose(2, 0, 1, 3), *(np.swapaxes(value, 0, 1) for value in last))
    return (y, *last)


def _one_way(
    x: Array, sizes: Array, state: Sequence[Array], step: Step, *, backwards: bool
) -> tuple[Array, Sequence[Array]]:
    x = reverse_sequence(x, sizes) if backwards else x
    outputs = np.zeros((x.shape[0], *state[0].shape), x.dtype)
    for time, row in enumerate(x):
        going = (time < sizes)[:, None]
        after = step(row, *state)
        state = [np.where(going, new, old) for new, old in zip(after, state)]
        outputs[time] = np.where(going, after[0], 0)
    return (reverse_sequence(outputs, sizes) if backwards else outputs), state


def _initial(given: Array | None, w: Array, r: Array, batch: int, layout: int) -> Array:
    """An initial state [D, N, H], zero by default."""
    if given is None:
        return np.zeros((w.shape[0], batch, r.shape[2]), w.dtype)
    return np.swapaxes(given, 0, 1) if layout else given


def _biases(b: Array | None, w: Array) -> tuple[Array, Array]:
    """The biases [D, G*H] of the input and of the recurrence."""
    if b is None:
        return np.zeros(w.shape[:2], w.dtype), np.zeros(w.shape[:2], w.dtype)
    return b[:, : w.shape[1]], b[:, w.shape[1] :]


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
    ways, batch = w.shape[0], x.shape[0 if layout else 1]
    functions = _activations(activations or ["Sigmoid", "Tanh", "Tanh"] * ways, activation_alpha, activation_beta)
    bias = np.add(*_biases(b, w))
    peephole = np.zeros((ways, 3 * r.shape[2]), w.dtype) if p is None else p

    def step_of(d: int) -> Step:
        f, g, h = functions[3 * d : 3 * d + 3]
        pi, po, pf = np.split(peephole[d], 3)

        def step(row: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
            gates = row @ w[d].T + hidden @ r[d].T + bias[d]
            i, o, forget, c = np.split(gates, 4, axis=1)
            i = f(i + pi * cell)
            forget = 1 - i if input_forget else f(forget + pf * cell)
            cell = forget * cell + i * g(c)
            return f(o + po * cell) * h(cell), cell

        return step

    starts = zip(_initial(initial_h, w, r, batch, layout), _initial(initial_c, w, r, batch, layout))
    steps = [step_of(d) for d in range(ways)]
    return _run(x, sequence_lens, list(starts), steps, direction=direction, layout=layout)


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
    ways, batch, size = w.shape[0], x.shape[0 if layout else 1], r.shape[2]
    functions = _activations(activations or ["Sigmoid", "Tanh"] * ways, activation_alpha, activation_beta)
    wb, rb = _biases(b, w)

    def step_of(d: int) -> Step:
        f, g = functions[2 * d : 2 * d + 2]
        gates, new = slice(2 * size), slice(2 * size, None)

        def step(row: Array, hidden: Array) -> tuple[Array]:
            given = row @ w[d].T + wb[d]
            z, reset = np.split(f(given[:, gates] + hidden @ r[d][gates].T + rb[d][gates]), 2, axis=1)
            if linear_before_reset:
                recurrent = reset * (hidden @ r[d][new].T + rb[d][new])
            else:
                recurrent = (reset * hidden) @ r[d][new].T + rb[d][new]
            return ((1 - z) * g(given[:, new] + recurrent) + z * hidden,)

        return step

    starts = [(start,) for start in _initial(initial_h, w, r, batch, layout)]
    steps = [step_of(d) for d in range(ways)]
    return _run(x, sequence_lens, starts, steps, direction=direction, layout=layout)


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
    ways, batch = w.shape[0], x.shape[0 if layout else 1]
    functions = _activations(activations or ["Tanh"] * ways, activation_alpha, activation_beta)
    bias = np.add(*_biases(b, w))

    def step_of(d: int) -> Step:
        return lambda row, hidden: (functions[d](row @ w[d].T + hidden @ r[d].T + bias[d]),)

    starts = [(start,) for start in _initial(initial_h, w, r, batch, layout)]
    steps = [step_of(d) for d in range(ways)]
    return _run(x, sequence_lens, starts, steps, direction=direction, layout=layout)


OPS: dict[str, Function] = {"GRU": gru, "LSTM": lstm, "RNN": rnn}
