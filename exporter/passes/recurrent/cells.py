"""Tells LSTM, GRU and simple cells by what they compute, whatever wrote it.

LSTM   c' = f c + i g(..), h' = o g(c'), with peepholes where gates see c or c'
GRU    h' = z h + (1 - z) n, n of r h R (linear_before_reset 0) or of r (h R + rb) (1)
RNN    h' = f(x W + h R + b)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.passes.recurrent.forms import Applied, Array, Atom, Function, Product, State, Step, Sum

__all__ = ["Cell", "find_cell"]


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A cell of a recurrent layer.

    Attributes:
        op_type: `LSTM`, `GRU` or `RNN`.
        states: Its loop variables: h, and c of an LSTM.
        sequences: The sequences [time, batch, width] that it sees a row of at each step, side by side.
        w: [gates * units, width], gates in ONNX's order.
        r: [gates * units, units].
        b: [2 * gates * units], of the input and of the recurrence; None if there is none.
        p: The peepholes [3 * units] of an LSTM, if it has any.
        activations: In ONNX's order.
        attributes: Others of the op.
    """

    op_type: str
    states: tuple[State, ...]
    sequences: tuple[ir.Value, ...]
    w: Array
    r: Array
    b: Array | None
    p: Array | None
    activations: tuple[Function, ...]
    attributes: Mapping[str, int]


def find_cell(state: State, following: Mapping[State, Sum]) -> Cell | None:
    """The cell whose output is a loop variable; None if that is anything else.

    Args:
        state: The loop variable that would be h.
        following: What each loop variable, or each part of one, is after the step.
    """
    after = following[state]
    for find in (_rnn, _gru, _lstm):
        cell = find(state, after, following)
        if cell is not None:
            return cell
    return None


@dataclass(frozen=True, slots=True)
class _Gate:
    """`function(x W + h R + b + p c)` of one gate: W for each sequence; p is None without a peephole."""

    function: Function
    w: dict[Step, Array]
    r: Array | None
    b: Array


def _gate(atom: Atom | None, state: State, width: int, *, extra: Sequence[Atom] = ()) -> _Gate | None:
    """An activation of sequences and of one state, and of other atoms that the caller looks at."""
    if not isinstance(atom, Applied) or atom.of.width != width:
        return None
    w: dict[Step, Array] = {}
    r: Array | None = None
    for term, coefficient in atom.of.terms.items():
        if any(term is other or term == other for other in extra):
            continue
        if coefficient.ndim != 2:
            return None
        if isinstance(term, Step):
            w[term] = coefficient
        elif term == state:
            r = coefficient
        else:
            return None
    return _Gate(atom.function, w, r, np.broadcast_to(atom.of.bias, (width,)))


def _factors(atom: Atom | None) -> Iterator[tuple[Sum, Sum]]:
    """Both factors of a product, in both orders."""
    if isinstance(atom, Product):
        yield atom.a, atom.b
        yield atom.b, atom.a


def _units(state: State) -> int:
    return state.stop - state.start


def _rnn(state: State, after: Sum, following: Mapping[State, Sum]) -> Cell | None:
    gate = _gate(after.alone(), state, _units(state))
    if gate is None or gate.r is None:
        return None
    return _cell("RNN", (state,), [gate], (gate.function,))


def _two_products(after: Sum) -> tuple[Product, Product] | None:
    atoms = list(after.terms.items())
    if len(atoms) != 2 or np.any(after.bias):
        return None
    if any(not isinstance(atom, Product) or c.ndim or c != 1 for atom, c in atoms):
        return None
    (first, _), (second, _) = atoms
    assert isinstance(first, Product) and isinstance(second, Product)
    return first, second


def _gru(state: State, after: Sum, following: Mapping[State, Sum]) -> Cell | None:
    pair = _two_products(after)
    if pair is None:
        return None
    for kept, fresh in (pair, pair[::-1]):
        for z, h in _factors(kept):
            for rest, n in _factors(fresh):
                gate = z.alone()
                if h.alone() == state and gate is not None and _is_rest(rest, gate):
                    return _gru_of(state, gate, n.alone())
    return None


def _is_rest(form: Sum, gate: Atom) -> bool:
    """Whether a sum is 1 - z."""
    if form.terms.keys() != {gate}:
        return False
    coefficient = form.terms[gate]
    return coefficient.ndim == 0 and coefficient == -1 and bool(np.all(form.bias == 1))


def _gru_of(state: State, z: Atom, n: Atom | None) -> Cell | None:
    width = _units(state)
    if not isinstance(n, Applied):
        return None
    products = [(atom, c) for atom, c in n.of.terms.items() if isinstance(atom, Product)]
    if len(products) != 1:
        return None
    product, coefficient = products[0]
    z_gate, new = _gate(z, state, width), _gate(n, state, width, extra=[product])
    if z_gate is None or new is None or new.r is not None:
        return None
    for r, inner in _factors(product):
        r_gate = _gate(r.alone(), state, width)
        if r_gate is None or r_gate.function != z_gate.function:
            continue
        if coefficient.ndim == 2 and inner.alone() == state:
            made = _Gate(new.function, new.w, coefficient, new.b)
            return _cell("GRU", (state,), [z_gate, r_gate, made], (z_gate.function, n.function), linear_before_reset=0)
        if coefficient.ndim == 0 and coefficient == 1 and inner.terms.keys() == {state}:
            matrix = inner.terms[state]
            if matrix.ndim == 2:
                made = _Gate(new.function, new.w, matrix, new.b)
                bias = np.concatenate([np.zeros(2 * width), np.broadcast_to(inner.bias, (width,))])
                functions = (z_gate.function, n.function)
                return _cell("GRU", (state,), [z_gate, r_gate, made], functions, bias, linear_before_reset=1)
    return None


def _lstm(state: State, after: Sum, following: Mapping[State, Sum]) -> Cell | None:
    for o, outer in _factors(after.alone()):
        shown = outer.alone()
        if not isinstance(o.alone(), Applied) or not isinstance(shown, Applied):
            continue
        for c, c_after in following.items():
            if c != state and _units(c) == _units(state) and c_after.same(shown.of):
                cell = _lstm_of(state, c, o.alone(), shown.function, c_after)
                if cell is not None:
                    return cell
    return None


def _lstm_of(h: State, c: State, o: Atom | None, shown: Function, c_after: Sum) -> Cell | None:
    pair = _two_products(c_after)
    if pair is None:
        return None
    for kept, fresh in (pair, pair[::-1]):
        for forget, before in _factors(kept):
            if before.alone() != c:
                continue
            for i, g in _factors(fresh):
                cell = _lstm_gates(h, c, (i.alone(), o, forget.alone(), g.alone()), shown, c_after)
                if cell is not None:
                    return cell
    return None


def _lstm_gates(h: State, c: State, atoms: tuple[Atom | None, ...], shown: Function, c_after: Sum) -> Cell | None:
    width = _units(h)
    seen: tuple[Sequence[Atom], ...] = ([c], list(c_after.terms), [c], [])
    gates: list[_Gate] = []
    peepholes: list[Array] = []
    for atom, extra in zip(atoms, seen, strict=True):
        gate = _gate(atom, h, width, extra=extra)
        if gate is None:
            return None
        assert isinstance(atom, Applied)
        peephole = _peephole(atom.of, extra, width)
        if peephole is None:
            return None
        gates.append(gate)
        peepholes.append(peephole)
    if len({gate.function for gate in gates[:3]}) != 1:
        return None
    p = np.concatenate(peepholes[:3])
    functions = (gates[0].function, gates[3].function, shown)
    return _cell("LSTM", (h, c), gates, functions, p=p if p.any() else None)


def _peephole(form: Sum, atoms: Sequence[Atom], width: int) -> Array | None:
    """The vector that scales all these atoms in a gate; zeros where it has none of them, None if they differ."""
    found = [form.terms[atom] for atom in atoms if atom in form.terms]
    if not found:
        return np.zeros(width)
    if len(found) != len(atoms) or any(each.ndim == 2 or not np.array_equal(each, found[0]) for each in found):
        return None
    return np.broadcast_to(found[0], (width,))


def _cell(
    op_type: str,
    states: tuple[State, ...],
    gates: Sequence[_Gate],
    activations: tuple[Function, ...],
    recurrent_bias: Array | None = None,
    *,
    p: Array | None = None,
    **attributes: int,
) -> Cell | None:
    """The cell of these gates, in ONNX's order; None if it sees no sequence."""
    steps = list(dict.fromkeys(step for gate in gates for step in gate.w))
    if not steps:
        return None
    units = _units(states[0])
    w = np.concatenate(
        [
            np.concatenate([gate.w.get(step, np.zeros((step.width, units))) for step in steps], axis=0).T
            for gate in gates
        ]
    )
    r = np.concatenate([(np.zeros((units, units)) if gate.r is None else gate.r).T for gate in gates])
    of_input = np.concatenate([gate.b for gate in gates])
    bias = np.concatenate([of_input, np.zeros(len(of_input)) if recurrent_bias is None else recurrent_bias])
    sequences = tuple(step.sequence for step in steps)
    return Cell(op_type, states, sequences, w, r, bias if bias.any() else None, p, activations, attributes)
