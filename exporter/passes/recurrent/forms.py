"""What a step of a loop computes, as sums: `bias + sum of coefficient * atom`, each [batch, width].

A coefficient is a number, a vector [width] that scales each unit, or a matrix [width of the atom, width]. So a dense
layer on `[x, h]`, its bias and the parts that it is split into are one form, however they are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["Applied", "Array", "Atom", "Function", "Product", "Slices", "State", "Step", "Sum", "constant", "plain"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Function:
    """An activation: ONNX's name of it, alpha and beta where it takes them."""

    name: str
    alpha: float | None = None
    beta: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Columns `start` to `stop` of a loop variable at the start of the step."""

    index: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The step's row of a sequence [time, batch, width]."""

    sequence: ir.Value
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """An activation of a sum."""

    function: Function
    of: Sum


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """The product of two sums, element by element."""

    a: Sum
    b: Sum


Atom = State | Step | Applied | Product


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """`bias + sum of coefficient * atom`.

    Attributes:
        width: The number of columns.
        terms: For each atom its coefficient, in float64.
        bias: A number or a vector [width].
    """

    width: int
    terms: dict[Atom, Array]
    bias: Array

    def alone(self) -> Atom | None:
        """The atom that the sum is, with the coefficient 1 and nothing added."""
        if len(self.terms) != 1 or np.any(self.bias):
            return None
        ((atom, coefficient),) = self.terms.items()
        return atom if coefficient.ndim == 0 and coefficient == 1 else None

    def same(self, other: Sum) -> bool:
        """Whether two sums are certainly the same."""
        if self is other:
            return True
        if self.width != other.width or self.terms.keys() != other.terms.keys():
            return False
        pairs = [(self.terms[atom], other.terms[atom]) for atom in self.terms]
        return all(np.array_equal(a, b) for a, b in [*pairs, (self.bias, other.bias)])

    def plus(self, other: Sum, sign: float = 1.0) -> Sum | None:
        """The sum of both, or the difference; None where their coefficients don't add."""
        terms = dict(self.terms)
        for atom, coefficient in other.terms.items():
            if atom not in terms:
                terms[atom] = sign * coefficient
            elif max(terms[atom].ndim, coefficient.ndim) == 2 and terms[atom].ndim != coefficient.ndim:
                return None
            else:
                terms[atom] = terms[atom] + sign * coefficient
        return Sum(self.width, terms, self.bias + sign * other.bias)

    def scaled(self, factor: Array) -> Sum:
        """Each column times a number, or times its own."""
        terms = {atom: coefficient * factor for atom, coefficient in self.terms.items()}
        return Sum(self.width, terms, self.bias * factor)

    def times(self, matrix: Array) -> Sum | None:
        """The sum times a matrix [width, columns]; None if it isn't made of plain atoms."""
        if np.any(self.bias) or any(coefficient.ndim for coefficient in self.terms.values()):
            return None
        terms = {atom: coefficient * matrix for atom, coefficient in self.terms.items()}
        return Sum(matrix.shape[1], terms, np.zeros(()))


class Slices:
    """Columns of sums; the same columns of the same atom are the same atom each time."""

    def __init__(self) -> None:
        self._made: dict[tuple[Atom, int, int], Atom] = {}

    def of(self, form: Sum, start: int, stop: int) -> Sum | None:
        """Columns `start` to `stop`; None if an atom can't be cut."""
        if (start, stop) == (0, form.width):
            return form
        terms: dict[Atom, Array] = {}
        for atom, coefficient in form.terms.items():
            if coefficient.ndim == 2:
                terms[atom] = coefficient[:, start:stop]
                continue
            part = self._atom(atom, start, stop)
            if part is None:
                return None
            terms[part] = coefficient[start:stop] if coefficient.ndim else coefficient
        return Sum(stop - start, terms, form.bias[start:stop] if form.bias.ndim else form.bias)

    def _atom(self, atom: Atom, start: int, stop: int) -> Atom | None:
        key = (atom, start, stop)
        if key in self._made:
            return self._made[key]
        part: Atom | None = None
        if isinstance(atom, State):
            part = State(atom.index, atom.start + start, atom.start + stop)
        elif isinstance(atom, Applied):
            inner = self.of(atom.of, start, stop)
            part = None if inner is None else Applied(atom.function, inner)
        elif isinstance(atom, Product):
            a, b = self.of(atom.a, start, stop), self.of(atom.b, start, stop)
            part = None if a is None or b is None else Product(a, b)
        if part is not None:
            self._made[key] = part
        return part


def plain(atom: Atom, width: int) -> Sum:
    """A sum that is an atom."""
    return Sum(width, {atom: np.ones(())}, np.zeros(()))


def constant(array: Array, width: int) -> Sum:
    """A number or a vector [width] as a sum of nothing else."""
    return Sum(width, {}, array)
