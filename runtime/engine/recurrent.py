"""LSTM and GRU as `runtime.kernels.recurrent` has them, in less time.

What the input gives to the gates is computed for many steps at once, and the steps write into memory that they share.
X[T, N, I] (layout 0) or [N, T, I] (layout 1), W[D, G*H, I], R[D, G*H, H], B[D, 2*G*H] of D = 1 or 2 directions.
Y[T, D, N, H] or [N, T, D, H] holds every step, Y_h[D, N, H] or [N, D, H] the last one. Steps past a sequence's
length leave its state as it is and give zeros; the reverse direction begins at the sequence's own end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from runtime.kernels.base import Array, Function
from runtime.kernels.indexing import reverse_sequence
from runtime.kernels.recurrent import DIRECTIONS, named_functions

__all__ = ["OPS"]

Steps = Callable[..., "tuple[Array, ...]"]


class _Cell(NamedTuple):
    """A cell in one direction. While it runs, a state is [H, N], of one sequence [H]: each gate is one piece of memory.

    Attributes:
        w: [G*H, I] and
        b: [G*H], where w x + b is what the input gives to the gates, for all steps at once.
        steps: From what it gives to the gates of some steps, [K, G*H, N], the places of their outputs, [K, H, N], and
            the states before, those after. The first is the last place; others may be memory that it uses again.
        negated: It works on the states, inputs and biases with the other sign, and so without copies of its matrices:
            what goes into exp(-x) is there, and tanh is odd.
    """

    w: Array
    b: Array
    steps: Steps
    negated: bool = False


def _one_by_one(step: Callable[..., tuple[Array, ...]]) -> Steps:
    """Some steps, of what one does."""

    def steps(given: Array, places: Array, *states: Array) -> tuple[Array, ...]:
        for row, place in zip(given, places):
            states = step(row, place, *states)
        return states

    return steps


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
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}, expected one of {', '.join(DIRECTIONS)}")
    x = np.swapaxes(x, 0, 1) if layout else x
    y = np.zeros((x.shape[0], len(cells), *states[0][0].shape), x.dtype)
    last = []
    with np.errstate(over="ignore"):
        for d, backwards in enumerate(DIRECTIONS[direction]):
            last.append(_one_way(x, lengths, states[d], cells[d], y[:, d], backwards=backwards))
    after = [np.stack(values) if len(values) > 1 else values[0][None] for values in zip(*last)]
    if layout:
        return (y.transpose(2, 0, 1, 3), *(np.swapaxes(value, 0, 1) for value in after))
    return (y, *after)


def _one_way(
    x: Array, lengths: Array | None, states: Sequence[Array], cell: _Cell, outputs: Array, *, backwards: bool
) -> list[Array]:
    """Writes the outputs [T, N, H] of all steps; returns the last states [N, H]."""
    if lengths is not None and backwards:
        x = reverse_sequence(x, lengths)
    if cell.negated:
        states = [-value for value in states]
    written = outputs[::-1] if lengths is None and backwards else outputs
    last = _steps(x[::-1] if written is not outputs else x, lengths, states, cell, written)
    if cell.negated:
        last = [-value for value in last]  # before the outputs, of which one may be among them
        np.negative(outputs, out=outputs)
    if lengths is not None:
        outputs[np.arange(len(x))[:, None] >= lengths] = 0
        if backwards:
            outputs[:] = reverse_sequence(outputs, lengths)
    return last


def _steps(x: Array, lengths: Array | None, states: Sequence[Array], cell: _Cell, outputs: Array) -> list[Array]:
    """One step after the other, from the first on; what stands past a sequence's length means nothing."""
    count, batch, _ = x.shape
    alone = batch == 1
    state: Sequence[Array] = [value[0] if alone else np.ascontiguousarray(value.T) for value in states]
    ends = np.full(batch, count) if lengths is None else lengths
    shortest = min([count, *ends.tolist()])
    block = max(1, _BLOCK // max(1, batch * len(cell.w)))
    for start in range(0, count, block):
        given = _gates(x[start : start + block], cell, alone=alone)
        rows = outputs[start : start + block]
        places = rows[:, 0] if alone else np.empty((len(rows), *state[0].shape), x.dtype)
        whole = min(max(0, shortest - start), len(rows))
        if whole:
            state = cell.steps(given[:whole], places[:whole], *state)
        for time in range(whole, len(rows)):
            before = [value.copy() for value in state]
            after = cell.steps(given[time : time + 1], places[time : time + 1], *state)
            going = start + time < ends
            state = [np.where(going, new, old) for new, old in zip(after, before)]
        if not alone:
            rows[...] = places.swapaxes(1, 2)
    return [value.reshape(-1, batch).T.copy() for value in state]  # it may be a view of the outputs


def _gates(x: Array, cell: _Cell, *, alone: bool) -> Array:
    """What the input x[K, N, I] gives to the gates of each step, [K, G*H, N] or [K, G*H]."""
    x, bias = (-x, -cell.b) if cell.negated else (x, cell.b)
    given = x[:, 0] @ cell.w.T if alone else np.matmul(cell.w, x.swapaxes(1, 2))
    given += bias if alone else bias[:, None]
    return given


def _column(vector: Array, like: Array) -> Array:
    """A vector [H] beside states [H, N] or [H]."""
    return vector if like.ndim == 1 else vector[:, None]


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


def _plain_lstm(w: Array, r: Array, bias: Array, batch: int) -> _Cell:
    """Sigmoid and Tanh, in memory that all steps share: i, o, f, c of the gates, an unused part, and c itself.

    So c / (1 + exp(-i)), nothing and c before / (1 + exp(-f)) are one division.
    """
    size = r.shape[-1]
    rows = np.zeros((6, size) if batch == 1 else (6, size, batch), w.dtype)
    parts = np.empty_like(rows[:3])
    gates, iof, divided, quotients = (part.reshape(-1) for part in (rows[:4], rows[:3], rows[3:], parts))
    products = gates.reshape(4 * size, *rows.shape[2:])
    one, output, new, state = np.ones_like(iof), rows[1], rows[3], rows[5]
    entered, kept = parts[0], parts[2]

    def steps(given: Array, places: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
        dot, add, divide, exp, tanh = np.dot, np.add, np.divide, np.exp, np.tanh  # looked up once, not in each step
        state[...] = cell
        for row, place in zip(given, places):
            dot(r, hidden, products)
            add(products, row, products)
            tanh(new, new)
            exp(iof, iof)
            add(iof, one, iof)
            divide(divided, iof, quotients)
            add(entered, kept, state)
            tanh(state, new)
            divide(new, output, place)
            hidden = place
        return hidden, state

    return _Cell(w, bias, steps, negated=True)


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
    names = list(activations) or ["Sigmoid", "Tanh", "Tanh"] * ways
    plain = p is None and not input_forget and names == ["Sigmoid", "Tanh", "Tanh"] * ways
    functions = [] if plain else named_functions(names, activation_alpha, activation_beta)
    bias = np.add(*_biases(b, w))

    def cell_of(d: int) -> _Cell:
        f, g, h = functions[3 * d : 3 * d + 3]
        peepholes = None if p is None else np.split(p[d], 3)

        def step(given: Array, place: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
            i, o, forget, c = np.split(given + np.dot(r[d], hidden), 4)
            pi, po, pf = (0, 0, 0) if peepholes is None else (_column(vector, cell) for vector in peepholes)
            i = f(i + pi * cell)
            forget = 1 - i if input_forget else f(forget + pf * cell)
            cell = forget * cell + i * g(c)
            return np.multiply(f(o + po * cell), h(cell), place), cell

        return _Cell(w[d], bias[d], _one_by_one(step))

    starts = zip(_initial(initial_h, w, r, batch, layout), _initial(initial_c, w, r, batch, layout))
    cells = [_plain_lstm(w[d], r[d], bias[d], batch) if plain else cell_of(d) for d in range(ways)]
    return _run(x, sequence_lens, list(starts), cells, direction=direction, layout=layout)


def _plain_gru(w: Array, r: Array, wb: Array, rb: Array, batch: int, *, reset_after: bool) -> _Cell:
    """Sigmoid and Tanh, in memory that all steps share: rows z, r, n of the gates."""
    size, cut = r.shape[-1], 2 * r.shape[-1]
    rows = np.empty((3, size) if batch == 1 else (3, size, batch), w.dtype)
    gates, one = rows.reshape(3 * size, *rows.shape[2:]), np.ones_like(rows[:2])
    zr, update, reset, new = rows[:2], rows[0], rows[1], rows[2]
    first, bias_of_new = gates[:cut], _column(rb[cut:], rows[2])
    scaled = np.empty_like(new)

    def denominators(given: Array) -> None:
        """1 + exp(-x) of the gates z and r."""
        np.add(first, given[:cut], first)
        np.exp(zr, zr)
        np.add(zr, one, zr)

    def blended(given: Array, place: Array, hidden: Array) -> tuple[Array]:
        """(1 - z) n + z h = n + z (h - n)."""
        np.add(new, given[cut:], new)
        np.tanh(new, new)
        np.subtract(hidden, new, place)
        np.divide(place, update, place)
        return (np.add(place, new, place),)

    def before(given: Array, place: Array, hidden: Array) -> tuple[Array]:
        """The reset gate before the product with the matrix."""
        np.dot(r[:cut], hidden, first)
        denominators(given)
        np.divide(hidden, reset, scaled)
        np.dot(r[cut:], scaled, new)
        return blended(given, place, hidden)

    def after(given: Array, place: Array, hidden: Array) -> tuple[Array]:
        np.dot(r, hidden, gates)
        denominators(given)
        np.subtract(new, bias_of_new, new)
        np.divide(new, reset, new)
        return blended(given, place, hidden)

    bias = wb + (np.concatenate([rb[:cut], 0 * rb[cut:]]) if reset_after else rb)
    return _Cell(w, bias, _one_by_one(after if reset_after else before), negated=True)


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
    functions = named_functions(names, activation_alpha, activation_beta)
    wb, rb = _biases(b, w)
    cut = 2 * size

    def cell_of(d: int) -> _Cell:
        f, g = functions[2 * d : 2 * d + 2]

        def step(given: Array, place: Array, hidden: Array) -> tuple[Array]:
            z, reset = np.split(f(np.dot(r[d, :cut], hidden) + given[:cut]), 2)
            matrix, bias = r[d, cut:], _column(rb[d, cut:], hidden)
            if linear_before_reset:
                new = reset * (np.dot(matrix, hidden) + bias)
            else:
                new = np.dot(matrix, reset * hidden) + bias
            return (np.add((1 - z) * g(new + given[cut:]), z * hidden, place),)

        return _Cell(w[d], np.concatenate([wb[d, :cut] + rb[d, :cut], wb[d, cut:]]), _one_by_one(step))

    starts = [(start,) for start in _initial(initial_h, w, r, batch, layout)]
    plain = names == ["Sigmoid", "Tanh"] * ways
    cells = [
        _plain_gru(w[d], r[d], wb[d], rb[d], batch, reset_after=bool(linear_before_reset)) if plain else cell_of(d)
        for d in range(ways)
    ]
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
    functions = named_functions(activations or ["Tanh"] * ways, activation_alpha, activation_beta)
    bias = np.add(*_biases(b, w))

    def cell_of(d: int) -> _Cell:
        def step(given: Array, place: Array, hidden: Array) -> tuple[Array]:
            place[...] = functions[d](given + np.dot(r[d], hidden))
            return (place,)

        return _Cell(w[d], bias[d], _one_by_one(step))

    starts = [(start,) for start in _initial(initial_h, w, r, batch, layout)]
    cells = [cell_of(d) for d in range(ways)]
    return _run(x, sequence_lens, starts, cells, direction=direction, layout=layout)


OPS: dict[str, Function] = {"GRU": gru, "LSTM": lstm, "RNN": rnn}
