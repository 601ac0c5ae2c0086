"""Private helpers with one caller don't become more."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.helpers import called_once
from tests.architecture.imports import modules

_MOST = 0.21
"""It is 0.202; code bases that are pleasant to read have 0.05 to 0.15. Lower it whenever it has gone down."""


def test_helpers_with_one_caller_do_not_become_more() -> None:
    """A helper that one function calls needs an idea of its own, or else it belongs into that function."""
    once, functions = called_once(modules(Path(__file__).parents[2]).values())
    assert once <= _MOST * functions


def test_a_helper_with_one_caller_is_counted() -> None:
    """Private, and called in one place of its module."""
    assert called_once(["def _a(): pass\ndef _b(): pass\ndef c(): _a(); _b(); _b()"]) == (1, 3)


def test_an_entry_of_a_table_is_no_helper() -> None:
    """A private function that is named as a value isn't counted, whether it is also called or not."""
    assert called_once(["def _a(): pass\ndef _b(): pass\nTABLE = {1: _a, 2: _b}\n_b()"]) == (0, 2)
