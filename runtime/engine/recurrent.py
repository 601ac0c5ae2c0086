"""LSTM and GRU of Sigmoid and Tanh as `runtime.kernels.recurrent` has them, in less time; of others, those themselves.

What the input gives to the gates is computed for many steps at once, and the steps write into memory that they share.
X[T, N, I] (layout 0) or [N, T, I] (layout 1), W[D, G*H, I], R[D, G*H, H], B[D, 2*G*H] of D = 1 or 2 directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from runtime.kernels import recurrent
from runtime.kernels.base import Array, Function
from runtime.kernels.indexing import reverse_sequence
from runtime.kernels.recurrent import DIRECTIONS, biases

__all__ = ["OPS"]


class _Cell(NamedTuple):
    """A cell in one direction. While it runs, a state is [H, N], of one sequence [H]: each gate is one piece of memory.

    It works on the states, inputs and biases with the other sign, and so without copies of its matrices: what goes into
    exp(-x) is there, and tanh is odd.

    Attributes:
        w: [G*H, I] and
        b: [G*H], where w x + b is what the input gives to the gates, for many steps at once.
        steps: From what it gives to the gates of some steps, [K, G*H, N], the places of their outputs, [K, H, N], and
            the states before, those after. The first is the last place; others may be memory that it uses again.
    """

    w: Array
    b: Array
    steps: Callable[..., tuple[Array, ...]]


_BLOCK = 1 << 20
"""Elements of gates that are computed at once, for as many steps as that are."""


def _run(
    x: Array,
    lengths: Array | None,
    states: Sequence[Sequence[Array]],
    cells: Sequence[_Cell],
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
    written = outputs[::-1] if lengths is None and backwards else outputs
    last = _steps(x[::-1] if written is not outputs else x, lengths, [-state for state in states], cell, written)
    last = [-state for state in last]  # before the outputs, of which one may be among them
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
    given = -x[:, 0] @ cell.w.T if alone else np.matmul(cell.w, -x.swapaxes(1, 2))
    given -= cell.b if alone else cell.b[:, None]
    return given


def _initial(given: Array | None, w: Array, r: Array, batch: int, layout: int) -> Array:
    """An initial state [D, N, H], zero by default."""
    if given is None:
        return np.zeros((w.shape[0], batch, r.shape[2]), w.dtype)
    return np.swapaxes(given, 0, 1) if layout else given


def _lstm_cell(w: Array, r: Array, bias: Array, batch: int) -> _Cell:
    """In memory that all steps share: i, o, f, c of the gates, an unused part, and c itself.

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

    return _Cell(w, bias, steps)


def lstm(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    initial_c: Array | None = None,
    p: Array | None = None,
    **attributes: Any,
) -> tuple[Array, ...]:
    """Return what `runtime.kernels.recurrent.lstm` does."""
    usual = ["Sigmoid", "Tanh", "Tanh"] * len(w)
    if p is not None or attributes.get("input_forget") or list(attributes.get("activations") or usual) != usual:
        return recurrent.lstm(x, w, r, b, sequence_lens, initial_h, initial_c, p, **attributes)
    layout = attributes.get("layout", 0)
    batch = x.shape[0 if layout else 1]
    starts = zip(_initial(initial_h, w, r, batch, layout), _initial(initial_c, w, r, batch, layout))
    bias = np.sum(biases(b, w), axis=0, dtype=w.dtype)
    cells = [_lstm_cell(w[d], r[d], bias[d], batch) for d in range(len(w))]
    return _run(x, sequence_lens, list(starts), cells, attributes.get("direction", "forward"), layout)


def _gru_cell(w: Array, r: Array, wb: Array, rb: Array, batch: int, *, reset_after: bool) -> _Cell:
    """In memory that all steps share: rows z, r, n of the gates."""
    size, cut = r.shape[-1], 2 * r.shape[-1]
    rows = np.empty((3, size) if batch == 1 else (3, size, batch), w.dtype)
    gates, one = rows.reshape(3 * size, *rows.shape[2:]), np.ones_like(rows[:2])
    zr, update, reset, new = rows[:2], rows[0], rows[1], rows[2]
    first, bias_of_new = gates[:cut], rb[cut:].reshape(-1, *[1] * (rows.ndim - 2))
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

    step = after if reset_after else before

    def steps(given: Array, places: Array, *state: Array) -> tuple[Array, ...]:
        for row, place in zip(given, places):
            state = step(row, place, *state)
        return state

    bias = wb + (np.concatenate([rb[:cut], 0 * rb[cut:]]) if reset_after else rb)
    return _Cell(w, bias, steps)


def gru(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    **attributes: Any,
) -> tuple[Array, ...]:
    """Return what `runtime.kernels.recurrent.gru` does."""
    usual = ["Sigmoid", "Tanh"] * len(w)
    if list(attributes.get("activations") or usual) != usual:
        return recurrent.gru(x, w, r, b, sequence_lens, initial_h, **attributes)
    layout = attributes.get("layout", 0)
    batch = x.shape[0 if layout else 1]
    starts = [(start,) for start in _initial(initial_h, w, r, batch, layout)]
    after = bool(attributes.get("linear_before_reset"))
    wb, rb = biases(b, w)
    cells = [_gru_cell(w[d], r[d], wb[d], rb[d], batch, reset_after=after) for d in range(len(w))]
    return _run(x, sequence_lens, starts, cells, attributes.get("direction", "forward"), layout)


OPS: dict[str, Function] = {"GRU": gru, "LSTM": lstm}
