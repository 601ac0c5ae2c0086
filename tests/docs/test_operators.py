"""FORMAT.md says what each operator computes, so that a reader can be written from it alone."""

from __future__ import annotations

from runtime.kernels import KERNELS
from tests.docs.operators import FORMULAS, block, written


def test_the_table_is_that_of_the_kernels() -> None:
    """If it isn't, `python -m tests.docs.operators` writes it."""
    assert written() == block()


def test_every_formula_is_of_an_operator() -> None:
    """None is left over."""
    assert FORMULAS.keys() <= KERNELS.keys()
