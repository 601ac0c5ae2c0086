"""LSTM, GRU and RNN with ONNX's order of gates, weights and outputs.

X[T, N, I] (layout 0) or [N, T, I] (layout 1), W[D, G*H, I], R[D, G*H, H], B[D, 2*G*H] of D = 1 or 2 directions.
Y[T, D, N, H] or [N, T, D, H] holds every step, Y_h[D, N, H] or [N, D, H] the last one. Steps past a sequence's
length leave its state as it is and give zeros; the reverse direction begins at the sequence's own end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


_Cell = tuple[Array, Array, Step]
"""A cell in one direction: w[G*H, I] and b[G*H], where w x + b is what the input gives to the gates, for all steps at
once; and a function of what it gives to the gates of one step, [G*H, N], and the states before, which returns those
after. While it runs, a state is [H, N], of one sequence [H]: so each gate is one piece of memory."""


_BLOCK = 1 << 20
"""Elements of gates that are computed at once, for as many steps as that are."""


def _run(
    x: Array,
    lengths: Array | None,
    states: Sequence[Sequence[Array]],
    cells: Sequence[_Cell],
    *,
    direction: str,
    layout: int,
) -> tuple[Array, ...]:
    """Each direction's cell over all of x[T, N, I]; states[d] and cells[d] belong to direction d."""
    if direction not in _DIRECTIONS:
        raise ValueError(f"direction is {direction!r}, expected one of {', '.join(_DIRECTIONS)}")
    x = np.swapaxes(x, 0, 1) if layout else x
    y = np.zeros((x.shape[0], len(cells), *states[0][0].shape), x.dtype)
    last = []
    with np.errstate(over="ignore"):
        for d, backwards in enumerate(_DIRECTIONS[direction]):
            last.append(_one_way(x, lengths, states[d], cells[d], y[:, d], backwards=backwards))
    after = [np.stack(values) for values in zip(*last)]
    if layout:
        return (y.transpose(2, 0, 1, 3), *(np.swapaxes(value, 0, 1) for value in after))
    return (y, *after)


def _one_way(
    x: Array, lengths: Array | None, states: Sequence[Array], cell: _Cell, outputs: Array, *, backwards: bool
) -> list[Array]:
    """Writes the outputs [T, N, H] of all steps; returns the last states [N, H]."""
    alone, step = x.shape[1] == 1, cell[2]
    state = [value[0] if alone else np.ascontiguousarray(value.T) for value in states]
    if lengths is None:
        for time, given in _gates(x[::-1] if backwards else x, cell, alone=alone):
            state = list(step(given, *state))
            outputs[-1 - time if backwards else time] = state[0].T
        return [value.reshape(-1, x.shape[1]).T for value in state]
    x = reverse_sequence(x, lengths) if backwards else x
    for time, given in _gates(x, cell, alone=alone):
        going = time < lengths
        after = step(given, *state)
        state = [np.where(going, new, old) for new, old in zip(after, state)]
        outputs[time] = np.where(going, after[0], 0).T
    if backwards:
        outputs[:] = reverse_sequence(outputs, lengths)
    return [value.reshape(-1, x.shape[1]).T for value in state]


def _gates(x: Array, cell: _Cell, *, alone: bool) -> Iterator[tuple[int, Array]]:
    """The number of each step and what the input x[T, N, I] gives to its gates."""
    steps, batch, features = x.shape
    w, b, _ = cell
    count = max(1, _BLOCK // max(1, batch * len(w)))
    bias = b if alone else b[:, None]
    for start in range(0, steps, count):
        rows = x[start : start + count].reshape(-1, features)
        if alone:
            yield from enumerate(rows @ w.T + bias, start)
            continue
        given = w @ rows.T
        given += bias
        for time in range(len(rows) // max(1, batch)):
            yield start + time, given[:, time * batch : (time + 1) * batch]


def _column(vector: Array, like: Array) -> Array:
    """A vector [H] beside states [H, N] or [H]."""
    return vector if like.ndim == 1 else vector[:, None]


def _logistic_of_negative(x: Array) -> Array:
    """1 / (1 + exp(x)), in the place of x."""
    np.exp(x, out=x)
    x += 1
    return np.reciprocal(x, out=x)


def _negated(array: Array, count: int) -> Array:
    """The first rows with the other sign."""
    return np.concatenate([-array[:count], array[count:]])


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
    ways, batch, size = w.shape[0], x.shape[0 if layout else 1], r.shape[2]
    names = list(activations) or ["Sigmoid", "Tanh", "Tanh"] * ways
    functions = _activations(names, activation_alpha, activation_beta)
    bias = np.add(*_biases(b, w))

    def usual(d: int) -> _Cell:
        """Sigmoid and Tanh; what goes into a Sigmoid is computed with the other sign."""
        recurrent, cut = _negated(r[d], 3 * size), 3 * size

        def step(given: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
            gates = np.dot(recurrent, hidden)
            gates += given
            iof = _logistic_of_negative(gates[:cut])
            cell = iof[2 * size :] * cell
            new = np.tanh(gates[cut:])
            new *= iof[:size]
            cell += new
            hidden = np.tanh(cell)
            hidden *= iof[size : 2 * size]
            return hidden, cell

        return _negated(w[d], cut), _negated(bias[d], cut), step

    def cell_of(d: int) -> _Cell:
        f, g, h = functions[3 * d : 3 * d + 3]
        peepholes = None if p is None else np.split(p[d], 3)

        def step(given: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
            i, o, forget, c = np.split(given + np.dot(r[d], hidden), 4)
            pi, po, pf = (0, 0, 0) if peepholes is None else (_column(vector, cell) for vector in peepholes)
            i = f(i + pi * cell)
            forget = 1 - i if input_forget else f(forget + pf * cell)
            cell = forget * cell + i * g(c)
            return f(o + po * cell) * h(cell), cell

        return w[d], bias[d], step

    starts = zip(_initial(initial_h, w, r, batch, layout), _initial(initial_c, w, r, batch, layout))
    plain = p is None and not input_forget and names == ["Sigmoid", "Tanh", "Tanh"] * ways
    cells = [(usual if plain else cell_of)(d) for d in range(ways)]
    return _run(x, sequence_lens, list(starts), cells, direction=direction, layout=layout)


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
    names = list(activations) or ["Sigmoid", "Tanh"] * ways
    functions = _activations(names, activation_alpha, activation_beta)
    wb, rb = _biases(b, w)
    cut = 2 * size

    def cell_of(d: int) -> _Cell:
        f, g = functions[2 * d : 2 * d + 2]
        usual = names[2 * d] == "Sigmoid"
        recurrent, matrix = (_negated(array, cut) if usual else array for array in (r[d], w[d]))
        bias = np.concatenate([wb[d, :cut] + rb[d, :cut], wb[d, cut:]])

        def gated(gates: Array) -> Array:
            return _logistic_of_negative(gates) if usual else f(gates)

        def blended(gates: Array, new: Array, hidden: Array) -> tuple[Array]:
            z = gates[:size]
            kept = z * hidden
            kept += (1 - z) * new
            return (kept,)

        def before(given: Array, hidden: Array) -> tuple[Array]:
            """The reset gate before the product with the matrix."""
            gates = gated(np.dot(recurrent[:cut], hidden) + given[:cut])
            new = np.dot(recurrent[cut:], gates[size:] * hidden)
            new += _column(rb[d, cut:], hidden)
            new += given[cut:]
            return blended(gates, g(new), hidden)

        def after(given: Array, hidden: Array) -> tuple[Array]:
            both = np.dot(recurrent, hidden)
            gates, new = gated(both[:cut] + given[:cut]), both[cut:]
            new += _column(rb[d, cut:], hidden)
            new *= gates[size:]
            new += given[cut:]
            return blended(gates, g(new), hidden)

        return matrix, _negated(bias, cut) if usual else bias, after if linear_before_reset else before

    starts = [(start,) for start in _initial(initial_h, w, r, batch, layout)]
    cells = [cell_of(d) for d in range(ways)]
    return _run(x, sequence_lens, starts, cells, direction=direction, layout=layout)


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

    def cell_of(d: int) -> _Cell:
        return w[d], bias[d], lambda given, hidden: (functions[d](given + np.dot(r[d], hidden)),)

    starts = [(start,) for start in _initial(initial_h, w, r, batch, layout)]
    cells = [cell_of(d) for d in range(ways)]
    return _run(x, sequence_lens, starts, cells, direction=direction, layout=layout)


OPS: dict[str, Function] = {"GRU": gru, "LSTM": lstm, "RNN": rnn}
